// What lies where on the tape, in beats.

const SLICES = 8;

export class Tape {
  constructor(timeline) {
    this.timeline = timeline;
    this.parts = [];
    this.loop = null;
    this.coming = [];
  }

  /** One part of an answer; it counts once the answer is complete. */
  add(part) {
    const { timeline } = this;
    this.coming.push({
      kind: part.part,
      take: part.take,
      from: timeline.beatOf(part.from_bar, part.from_beat),
      to: timeline.beatOf(part.to_bar, part.to_beat),
      pass: part.pass_bar === undefined ? null : timeline.beatOf(part.pass_bar, part.pass_beat),
    });
  }

  complete() {
    this.parts = this.coming.filter((part) => part.kind !== "loop");
    this.loop = this.coming.find((part) => part.kind === "loop") ?? null;
    this.coming = [];
  }

  /** The first and the last bar that hold anything; null: there is none. Bars before the first have no number. */
  get bars() {
    if (!this.parts.length) return null;
    const from = Math.min(...this.parts.map((part) => part.from));
    const to = Math.max(...this.parts.map((part) => part.to));
    const last = this.timeline.barAt(Math.max(from, to - 0.01));
    return last < 1 ? null : [Math.max(1, this.timeline.barAt(from)), last];
  }

  /** The topmost part at a beat. */
  at(beat) {
    return this.parts.findLast((part) => part.from <= beat && beat < part.to);
  }

  /** What a bar holds, slice by slice: "heard", "made", "repainted" or "". */
  slices(bar) {
    const beats = this.timeline.barBeats;
    return Array.from({ length: SLICES }, (_, n) => this.at((bar - 1 + (n + 0.5) / SLICES) * beats)?.kind ?? "");
  }

  /** The takes that begin in a bar. */
  takesIn(bar) {
    const starts = this.parts.filter((part) => part.kind !== "heard" && this.timeline.barAt(part.from) === bar);
    return [...new Set(starts.map((part) => part.take))];
  }

  loops(bar) {
    if (!this.loop) return false;
    const beat = (bar - 0.5) * this.timeline.barBeats;
    return this.loop.from <= beat && beat < this.loop.to;
  }

  /** Whether what the device plays at a beat was heard before: the lead of a take, or bars of the loop. */
  repeatsKnown(beat) {
    const sounding = this.parts.findLast((part) => part.take && part.kind !== "repainted" && part.from <= beat && beat < part.to);
    if (sounding) return sounding.kind === "heard";
    const loop = this.loop;
    if (!loop || beat < loop.pass) return false;
    const length = loop.to - loop.from;
    const place = loop.from + ((beat - loop.pass) % length);
    return (this.at(place)?.kind ?? "heard") === "heard";
  }
}
