// OSC messages as bytes: what the panel sends, and what the daemon answers.

const text = new TextEncoder();
const plain = new TextDecoder();

function padded(bytes) {
  const whole = new Uint8Array((bytes.length + 4) & ~3);
  whole.set(bytes);
  return whole;
}

/** The packet of one message. Whole numbers travel as int32, others as float32, booleans as T and F, null as nil. */
export function encode(address, values) {
  let tags = ",";
  const parts = [];
  for (const value of values) {
    if (typeof value === "string") {
      tags += "s";
      parts.push(padded(text.encode(value)));
    } else if (typeof value === "boolean") {
      tags += value ? "T" : "F";
    } else if (value === null) {
      tags += "N";
    } else {
      const whole = Number.isInteger(value) && Math.abs(value) < 2 ** 31;
      const view = new DataView(new ArrayBuffer(4));
      if (whole) view.setInt32(0, value);
      else view.setFloat32(0, value);
      tags += whole ? "i" : "f";
      parts.push(new Uint8Array(view.buffer));
    }
  }
  const all = [padded(text.encode(address)), padded(text.encode(tags)), ...parts];
  const packet = new Uint8Array(all.reduce((length, part) => length + part.length, 0));
  let place = 0;
  for (const part of all) {
    packet.set(part, place);
    place += part.length;
  }
  return packet;
}

/** {address, values} of one message that begins at a place of a buffer. */
export function decode(buffer, begin = 0) {
  const bytes = new Uint8Array(buffer);
  const view = new DataView(buffer);
  let place = begin;
  const string = () => {
    const end = bytes.indexOf(0, place);
    const found = plain.decode(bytes.subarray(place, end));
    place = begin + (((end - begin) + 4) & ~3);
    return found;
  };
  const readers = {
    i: () => view.getInt32((place += 4) - 4),
    f: () => view.getFloat32((place += 4) - 4),
    d: () => view.getFloat64((place += 8) - 8),
    s: string,
    T: () => true,
    F: () => false,
    N: () => null,
  };
  const address = string();
  const values = [...string().slice(1)].map((tag) => {
    if (!(tag in readers)) throw new Error(`OSC type ${tag} is not expected here`);
    return readers[tag]();
  });
  return { address, values };
}

/** Keys and values that alternate, as an object. */
export function named(values) {
  const found = {};
  for (let place = 0; place + 1 < values.length; place += 2) found[values[place]] = values[place + 1];
  return found;
}
