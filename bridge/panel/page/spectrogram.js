// The scrolling picture of the sound: past to the left of the line that is now, planned notes on both sides of it.

import { KNOWN, MADE } from "./colours.js";

const KEPT_COLUMNS = 1024;
const NOW = 0.84;
const RECOLOUR_SECONDS = 2;
const CALM_MS = 500;
const DRAW_EVERY_MS = 25; // the machine that draws may be the one that plays

// Slaney's mel scale, as the daemon's columns have it.
const mel = (hz) => (hz < 1000 ? (hz * 3) / 200 : 15 + (27 * Math.log(hz / 1000)) / Math.log(6.4));

export class Spectrogram {
  constructor(canvas, timeline, tape, notes) {
    Object.assign(this, { canvas, timeline, tape, notes });
    this.context = canvas.getContext("2d", { alpha: false });
    this.still = matchMedia("(prefers-reduced-motion: reduce)");
    this.shape = null;
    this.newest = -Infinity;
    this.shown = -Infinity;
    this.drawnAt = 0;
    requestAnimationFrame((now) => this.frame(now));
  }

  /** Columns as they came: see connection.js. */
  add(columns) {
    const { bins, count, rate, first, hop, lowest, highest } = columns;
    this.timeline.useRate(rate);
    const shape = `${bins} ${rate} ${hop}`;
    if (shape !== this.shape?.name || first < this.newest - RECOLOUR_SECONDS * rate) {
      this.shape = { name: shape, bins, rate, hop, lowest, highest };
      this.picture = new OffscreenCanvas(KEPT_COLUMNS, bins);
      this.paint = this.picture.getContext("2d");
      this.made = new Uint8Array(KEPT_COLUMNS * bins);
      this.heard = new Uint8Array(KEPT_COLUMNS * bins);
      this.numbers = new Float64Array(KEPT_COLUMNS).fill(-1);
      this.known = new Uint8Array(KEPT_COLUMNS);
      this.strip = new ImageData(1, bins);
      this.strip.data.fill(255);
      this.newest = this.shown = -Infinity;
    }
    for (let n = 0; n < count; n++) {
      const number = Math.round(first / hop + n);
      const slot = number % KEPT_COLUMNS;
      this.made.set(columns.made.subarray(n * bins, (n + 1) * bins), slot * bins);
      this.heard.set(columns.heard.subarray(n * bins, (n + 1) * bins), slot * bins);
      this.numbers[slot] = number;
      this.colour(slot);
    }
    this.newest = first + (count - 1) * hop;
    this.arrived = performance.now();
  }

  /** The tape is known better now: what came last may be of another kind than it was taken for. */
  recolour() {
    if (!this.shape) return;
    const newest = Math.round(this.newest / this.shape.hop);
    const count = Math.min(KEPT_COLUMNS, Math.round((RECOLOUR_SECONDS * this.shape.rate) / this.shape.hop));
    for (let number = Math.max(0, newest - count); number <= newest; number++) {
      const slot = number % KEPT_COLUMNS;
      if (this.numbers[slot] === number && this.isKnown(slot) !== this.known[slot]) this.colour(slot);
    }
  }

  isKnown(slot) {
    const beat = this.timeline.beatAt(this.numbers[slot] * this.shape.hop);
    return this.timeline.known && this.tape.repeatsKnown(beat) ? 1 : 0;
  }

  colour(slot) {
    const { bins } = this.shape;
    this.known[slot] = this.isKnown(slot);
    const map = this.known[slot] ? KNOWN : MADE;
    const pixels = this.strip.data;
    for (let bin = 0; bin < bins; bin++) {
      const made = 3 * this.made[slot * bins + bin];
      const heard = 3 * this.heard[slot * bins + bin];
      const pixel = 4 * (bins - 1 - bin);
      for (let c = 0; c < 3; c++) pixels[pixel + c] = Math.max(map[made + c], KNOWN[heard + c]);
    }
    this.paint.putImageData(this.strip, slot, 0);
  }

  frame(now) {
    requestAnimationFrame((next) => this.frame(next));
    if (now - this.drawnAt < (this.still.matches ? CALM_MS : DRAW_EVERY_MS)) return;
    this.advance(now);
    this.drawnAt = now;
    this.draw();
  }

  /** The device time at the line: it runs evenly, and is led to where the columns are. */
  advance(now) {
    if (!Number.isFinite(this.newest)) return;
    const { rate } = this.shape;
    const target = Math.min(this.newest + ((now - this.arrived) / 1000) * rate, this.newest + 0.25 * rate);
    const evenly = this.shown + ((now - this.drawnAt) / 1000) * rate;
    const far = !(Math.abs(target - evenly) < 0.3 * rate);
    this.shown = far || this.still.matches ? target : evenly + 0.06 * (target - evenly);
  }

  /** The device time that is shown as now; not finite: there was no sound yet. */
  get sample() {
    return this.shown;
  }

  draw() {
    const { canvas, context } = this;
    const scale = Math.min(2, devicePixelRatio || 1);
    const width = Math.round(canvas.clientWidth * scale);
    const height = Math.round(canvas.clientHeight * scale);
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width;
      canvas.height = height;
    }
    context.fillStyle = "#07090c";
    context.fillRect(0, 0, width, height);
    const now = Math.round(width * NOW);
    context.fillStyle = "#0d1218";
    context.fillRect(now, 0, width - now, height);
    if (!this.shape || !Number.isFinite(this.shown)) return;
    const seconds = canvas.clientWidth < 600 ? 5 : 8;
    const view = { width, height, scale, now, samplesAPixel: (seconds * this.shape.rate) / now };
    this.drawColumns(view);
    if (this.timeline.known) {
      this.drawBars(view);
      this.drawNotes(view);
    }
    this.drawAxis(view);
    context.fillStyle = "#e8eef5";
    context.fillRect(now, 0, Math.max(1, scale), height);
  }

  drawColumns({ height, now, samplesAPixel }) {
    const { hop, bins } = this.shape;
    const { context } = this;
    const last = Math.floor(Math.min(this.newest, this.shown) / hop);
    const first = Math.max(0, last - KEPT_COLUMNS + 2, Math.floor((this.shown - now * samplesAPixel) / hop));
    context.imageSmoothingEnabled = true;
    for (let begin = first; begin <= last; ) {
      while (begin <= last && this.numbers[begin % KEPT_COLUMNS] !== begin) begin++;
      let end = begin;
      while (end <= last && this.numbers[end % KEPT_COLUMNS] === end && (end === begin || end % KEPT_COLUMNS)) end++;
      if (end > begin) {
        const x = now + (begin * hop - this.shown) / samplesAPixel;
        const length = ((end - begin) * hop) / samplesAPixel;
        context.drawImage(this.picture, begin % KEPT_COLUMNS, 0, end - begin, bins, x, 0, length, height);
      }
      begin = end;
    }
  }

  x({ now, samplesAPixel }, beat) {
    return now + (this.timeline.sampleAt(beat) - this.shown) / samplesAPixel;
  }

  y({ height }, hz) {
    const { bins, lowest, highest } = this.shape;
    const step = (mel(hz) - mel(lowest)) / (mel(highest) - mel(lowest));
    return height * (1 - (step * (bins + 1) - 0.5) / bins);
  }

  drawBars(view) {
    const { context, timeline } = this;
    const { width, height, scale, now, samplesAPixel } = view;
    const first = Math.ceil(timeline.beatAt(this.shown - now * samplesAPixel));
    const last = timeline.beatAt(this.shown + (width - now) * samplesAPixel);
    context.font = `${11 * scale}px system-ui, sans-serif`;
    context.textBaseline = "top";
    context.textAlign = "left";
    for (let beat = Math.max(0, first); beat <= last; beat++) {
      const isBar = Math.abs(beat / timeline.barBeats - Math.round(beat / timeline.barBeats)) < 1e-6;
      const x = Math.round(this.x(view, beat));
      context.fillStyle = isBar ? "rgb(255 255 255 / 34%)" : "rgb(255 255 255 / 9%)";
      context.fillRect(x, 0, Math.max(1, scale / 2), height);
      if (isBar) {
        context.fillStyle = "rgb(255 255 255 / 78%)";
        context.fillText(String(timeline.barAt(beat)), x + 4 * scale, 4 * scale);
      }
    }
  }

  drawNotes(view) {
    const { context } = this;
    const { width, scale, now } = view;
    const beatNow = this.timeline.beatAt(this.shown);
    for (const note of this.notes.list) {
      const begin = this.x(view, note.beat);
      const end = this.x(view, note.beat + note.beats);
      if (end < 0 || begin > width) continue;
      const y = Math.round(this.y(view, 440 * 2 ** ((note.key - 69) / 12)));
      const sounds = note.beat <= beatNow && beatNow < note.beat + note.beats;
      context.fillStyle = sounds ? "#ffffff" : begin > now ? "rgb(214 255 226 / 85%)" : "rgb(190 255 210 / 55%)";
      const thick = Math.max(1, Math.round((sounds ? 2.5 : 1.5) * scale));
      context.fillRect(begin, y - thick / 2, Math.max(2 * scale, end - begin - scale), thick);
    }
  }

  drawAxis(view) {
    const { context } = this;
    const { width, scale } = view;
    context.font = `${10 * scale}px system-ui, sans-serif`;
    context.textAlign = "right";
    context.textBaseline = "middle";
    let lastY = -Infinity;
    for (const hz of [8000, 4000, 2000, 1000, 500, 250, 100]) {
      const y = Math.round(this.y(view, hz));
      if (hz >= this.shape.highest || y - lastY < 14 * scale) continue;
      lastY = y;
      context.fillStyle = "rgb(255 255 255 / 6%)";
      context.fillRect(0, y, width, 1);
      context.fillStyle = "rgb(255 255 255 / 52%)";
      context.fillText(hz < 1000 ? `${hz} Hz` : `${hz / 1000} kHz`, width - 6 * scale, y);
    }
  }
}
