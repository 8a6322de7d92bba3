// The websocket to the daemon, which is opened again whenever it is lost.

import { decode, encode } from "./osc.js";

const COLUMNS = 1;
const TRANSPORT = 2;
const HEADER_BYTES = 32;
const STAMP_BYTES = 16;
const SOONEST_MS = 400;
const LATEST_MS = 4000;

export class Connection {
  /** `on` has open(), lost(), columns(columns), transport(sample, values) and message(address, values). */
  constructor(on) {
    this.on = on;
    this.wait = SOONEST_MS;
    this.open();
  }

  open() {
    const socket = new WebSocket(`ws://${location.host}/panel/socket`);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this.wait = SOONEST_MS;
      this.on.open();
    };
    socket.onmessage = (event) => this.receive(event.data);
    socket.onclose = () => {
      this.on.lost();
      setTimeout(() => this.open(), this.wait);
      this.wait = Math.min(LATEST_MS, 2 * this.wait);
    };
    this.socket = socket;
  }

  /** Whether it was sent: not while there is no daemon. */
  send(address, ...values) {
    if (this.socket.readyState !== WebSocket.OPEN) return false;
    this.socket.send(encode(address, values));
    return true;
  }

  receive(buffer) {
    const view = new DataView(buffer);
    const kind = view.getUint8(0);
    if (kind === COLUMNS) {
      this.on.columns(columnsOf(view, buffer));
    } else if (kind === TRANSPORT) {
      this.on.transport(view.getFloat64(8, true), decode(buffer.slice(STAMP_BYTES)).values);
    } else {
      const { address, values } = decode(buffer);
      this.on.message(address.replace("/melnet/", ""), values);
    }
  }
}

function columnsOf(view, buffer) {
  const bins = view.getUint8(1);
  const count = view.getUint16(2, true);
  return {
    bins,
    count,
    rate: view.getUint32(4, true),
    first: view.getFloat64(8, true),
    hop: view.getFloat32(16, true),
    lowest: view.getFloat32(20, true),
    highest: view.getFloat32(24, true),
    made: new Uint8Array(buffer, HEADER_BYTES, bins * count),
    heard: new Uint8Array(buffer, HEADER_BYTES + bins * count, bins * count),
  };
}
