// Two colour maps of even lightness, from the ground of the picture to nearly white: a cool one for what is known, a warm one for what is generated.
// A level has the same lightness in both (OKLab, Ottosson 2020), so that they can be compared.

const LEVELS = 256;

function srgb(lightness, chroma, hueDegrees) {
  const hue = (hueDegrees * Math.PI) / 180;
  const a = chroma * Math.cos(hue);
  const b = chroma * Math.sin(hue);
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  const linear = [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ];
  return linear.map((c) => {
    const clipped = Math.min(1, Math.max(0, c));
    return 255 * (clipped <= 0.0031308 ? 12.92 * clipped : 1.055 * clipped ** (1 / 2.4) - 0.055);
  });
}

function ramp(fromHue, toHue, mostChroma) {
  const map = new Uint8ClampedArray(3 * LEVELS);
  for (let level = 0; level < LEVELS; level++) {
    const x = level / (LEVELS - 1);
    const lightness = 0.13 + 0.85 * x ** 1.15;
    const chroma = mostChroma * Math.sin(Math.PI * 0.97 * x) ** 0.8;
    map.set(srgb(lightness, chroma, fromHue + (toHue - fromHue) * x), 3 * level);
  }
  return map;
}

export const KNOWN = ramp(272, 205, 0.15);
export const MADE = ramp(18, 98, 0.17);
