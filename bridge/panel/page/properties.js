// All properties, with the controls that their types and ranges ask for: made from the daemon's own description.

const WIDEST_SLIDER = 20000;
const SEND_EVERY_MS = 40;
const HANDS_OFF_MS = 600;

export class Properties {
  constructor(form, send) {
    this.form = form;
    this.send = send;
    this.rows = new Map();
    form.addEventListener("submit", (event) => event.preventDefault());
  }

  /** Make the controls of the node that holds them, as OSCQuery describes it. */
  build(node) {
    this.rows.clear();
    this.form.replaceChildren();
    for (const [name, each] of Object.entries(node.CONTENTS)) {
      const row = new Row(name, each, (value) => this.send(each.FULL_PATH, value));
      this.rows.set(name, row);
      this.form.append(row.element);
      row.show(each.VALUE[0]);
    }
  }

  /** A property has another value now. */
  show(name, value) {
    this.rows.get(name)?.show(value);
  }

  value(name) {
    return this.rows.get(name)?.value;
  }
}

class Row {
  constructor(name, node, send) {
    this.send = send;
    this.whole = node.TYPE === "i";
    const range = node.RANGE?.[0] ?? {};
    const [help, ...more] = node.DESCRIPTION.split("; ");
    const unit = more.find((part) => part.startsWith("in "))?.slice(3) ?? "";
    this.element = document.createElement("div");
    this.element.className = "property";
    this.element.title = node.DESCRIPTION;
    const label = document.createElement("label");
    label.textContent = name.replaceAll("_", " ");
    label.htmlFor = `property-${name}`;
    const hint = document.createElement("span");
    hint.className = "hidden";
    hint.id = `help-${name}`;
    hint.textContent = help;
    this.element.append(label, hint);
    this.field = range.VALS ? selectOf(range.VALS) : inputOf(node.TYPE, range);
    this.field.id = label.htmlFor;
    this.field.setAttribute("aria-describedby", hint.id);
    this.element.append(this.field);
    if (range.MAX - range.MIN <= WIDEST_SLIDER) this.addSlider(name, range);
    const unitText = document.createElement("span");
    unitText.className = "unit";
    unitText.textContent = unit;
    this.element.append(unitText);
    if (node.OVERLOADS) this.addPreset(name);
    this.field.addEventListener("change", () => this.changed(this.read()));
  }

  addSlider(name, range) {
    this.slider = document.createElement("input");
    Object.assign(this.slider, { type: "range", min: range.MIN, max: range.MAX, step: this.whole ? 1 : "any" });
    this.slider.setAttribute("aria-label", `${name.replaceAll("_", " ")}, slider`);
    this.slider.addEventListener("input", () => {
      const value = this.whole ? Number(this.slider.value) : nice(Number(this.slider.value), range);
      this.field.value = value;
      this.fill();
      this.changed(value);
    });
    this.element.insertBefore(this.slider, this.field);
  }

  addPreset(name) {
    this.preset = document.createElement("button");
    this.preset.type = "button";
    this.preset.className = "own";
    this.preset.textContent = "preset";
    this.preset.setAttribute("aria-label", `${name.replaceAll("_", " ")}: the preset's own`);
    this.preset.addEventListener("click", () => this.changed("preset"));
    this.element.append(this.preset);
  }

  read() {
    const { value, type } = this.field;
    return type === "number" ? Number(value) : value;
  }

  /** Send a value, or only the last of many that come at once. */
  changed(value) {
    if (value === "" || Number.isNaN(value)) return;
    this.touchedAt = performance.now();
    this.waiting = value;
    if (this.timer) return;
    this.timer = setTimeout(() => {
      this.timer = null;
      this.send(this.waiting);
    }, SEND_EVERY_MS);
  }

  /** What the daemon says, a null or its word for the preset's own; while a hand is on it, the hand is right. */
  show(told) {
    const value = this.preset && told === "preset" ? null : told;
    this.value = value;
    const busy = performance.now() - (this.touchedAt ?? -Infinity) < HANDS_OFF_MS;
    if (busy && value !== null && document.activeElement === this.slider) return;
    this.preset?.setAttribute("aria-pressed", String(value === null));
    this.field.placeholder = value === null ? "preset" : "";
    this.field.value = value === null ? "" : typeof value === "number" ? +value.toPrecision(6) : value;
    if (this.slider && value !== null) this.slider.value = value;
    this.element.toggleAttribute("data-own", value === null);
    this.fill();
  }

  fill() {
    if (!this.slider) return;
    const { min, max, value } = this.slider;
    this.slider.style.setProperty("--fill", `${(100 * (value - min)) / (max - min)}%`);
  }
}

/** A value with as many digits as its range is worth. */
function nice(value, range) {
  const digits = Math.max(0, 3 - Math.floor(Math.log10(range.MAX - range.MIN)));
  return Math.max(range.MIN, Math.min(range.MAX, +value.toFixed(digits)));
}

function selectOf(choices) {
  const select = document.createElement("select");
  for (const choice of choices) select.add(new Option(choice, choice));
  return select;
}

function inputOf(type, range) {
  const input = document.createElement("input");
  if (type === "s") return Object.assign(input, { type: "text", spellcheck: false });
  Object.assign(input, { type: "number", inputMode: type === "i" ? "numeric" : "decimal", step: type === "i" ? 1 : "any" });
  if (range.MIN !== undefined) input.min = range.MIN;
  if (range.MAX !== undefined) input.max = range.MAX;
  return input;
}
