// Where the music is: beats by the sound device's samples, steadied over some answers of the daemon.

const KEPT = 9;
const JUMP_BEATS = 0.1;

export class Timeline {
  constructor() {
    this.rate = 48000;
    this.tempo = 120;
    this.meter = "4/4";
    this.offsets = [];
    this.offset = 0;
  }

  get known() {
    return this.offsets.length > 0;
  }

  /** Quarter notes of a bar. */
  get barBeats() {
    const [count, unit] = this.meter.split("/").map(Number);
    return (count * 4) / unit || 4;
  }

  get beatSamples() {
    return (60 * this.rate) / this.tempo;
  }

  /** Of the sound device; places by another rate are forgotten. */
  useRate(rate) {
    if (rate !== this.rate) this.offsets = [];
    this.rate = rate;
  }

  /** The daemon said that at a sample it was this bar and beat. */
  stamp(sample, { bar, beat, tempo, meter }) {
    const moved = Math.abs(tempo - this.tempo) > 0.01 || meter !== this.meter;
    this.tempo = tempo;
    this.meter = meter;
    if (!Number.isFinite(sample)) return;
    const offset = this.beatOf(bar, beat) - sample / this.beatSamples;
    if (moved || Math.abs(offset - this.offset) > JUMP_BEATS) this.offsets = [];
    this.offsets.push(offset);
    if (this.offsets.length > KEPT) this.offsets.shift();
    this.offset = [...this.offsets].sort((a, b) => a - b)[this.offsets.length >> 1];
  }

  /** Beats since the beginning of bar 1. */
  beatOf(bar, beat) {
    return (bar - 1) * this.barBeats + beat - 1;
  }

  beatAt(sample) {
    return sample / this.beatSamples + this.offset;
  }

  sampleAt(beat) {
    return (beat - this.offset) * this.beatSamples;
  }

  barAt(beat) {
    return Math.floor(beat / this.barBeats + 1e-6) + 1;
  }
}
