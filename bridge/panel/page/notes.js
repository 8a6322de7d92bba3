// The planned notes of takes, by beat.

const KEPT = 400;

export class Notes {
  constructor(timeline) {
    this.timeline = timeline;
    this.list = [];
  }

  /** One `plan` event. */
  add({ take, key, bar, beat, beats }) {
    const at = this.timeline.beatOf(bar, beat);
    this.list = this.list.filter((note) => note.take !== take || note.key !== key || note.beat !== at);
    this.list.push({ take, key, beat: at, beats });
    if (this.list.length > KEPT) this.list.shift();
  }

  /** A take has ended at a beat: what it had planned from there on does not sound. */
  end(take, beat) {
    this.list = this.list.filter((note) => note.take !== take || note.beat < beat);
  }
}
