// The bars of the tape as a grid of eight or sixteen a row, of which some can be selected: by mouse, touch or keys.

const MOST_BARS = 128;
const COLOURS = { heard: "var(--known)", made: "var(--made)", repainted: "var(--repainted)", "": "var(--empty)" };

export class Bars {
  /** `changed` is called when other bars are selected. */
  constructor(list, blank, tape, timeline, changed) {
    Object.assign(this, { list, blank, tape, timeline, changed });
    this.cells = new Map();
    this.anchor = this.focus = null;
    this.current = 0;
    list.addEventListener("pointerdown", (event) => this.press(event));
    list.addEventListener("pointermove", (event) => this.drag(event));
    list.addEventListener("keydown", (event) => this.key(event));
  }

  /** The first and the last selected bar; null: none is. */
  get selected() {
    if (this.anchor === null) return null;
    return [Math.min(this.anchor, this.focus), Math.max(this.anchor, this.focus)];
  }

  select(anchor, focus) {
    this.anchor = anchor;
    this.focus = focus;
    this.showSelection();
    this.changed();
  }

  /** The tape has changed. */
  show() {
    const bars = this.tape.bars;
    this.blank.hidden = Boolean(bars);
    this.list.hidden = !bars;
    const last = bars?.[1] ?? 0;
    const first = bars ? Math.max(bars[0], last - MOST_BARS + 1) : 1;
    for (const [bar, cell] of this.cells) {
      if (bar >= first && bar <= last) continue;
      cell.remove();
      this.cells.delete(bar);
    }
    const wasAtEnd = this.list.scrollTop + this.list.clientHeight >= this.list.scrollHeight - 8;
    const count = this.cells.size;
    for (let bar = first; bar <= last; bar++) this.showBar(bar, bar === first);
    if (wasAtEnd && this.cells.size !== count) this.list.scrollTop = this.list.scrollHeight;
    const selected = this.selected;
    if (selected && (selected[0] < first || selected[1] > last)) {
      if (selected[1] < first || selected[0] > last) this.select(null, null);
      else this.select(Math.max(first, Math.min(last, this.anchor)), Math.max(first, Math.min(last, this.focus)));
    } else {
      this.showSelection();
    }
  }

  showBar(bar, isFirst) {
    let cell = this.cells.get(bar);
    if (!cell) {
      cell = document.createElement("div");
      cell.setAttribute("role", "option");
      cell.id = `bar-${bar}`;
      cell.dataset.bar = bar;
      cell.append(document.createElement("b"), document.createElement("i"));
      cell.firstChild.textContent = bar;
      this.cells.set(bar, cell);
      const next = [...this.list.children].find((other) => Number(other.dataset.bar) > bar);
      this.list.insertBefore(cell, next ?? null);
    }
    // rows begin where phrases do
    cell.style.setProperty("--row-place", isFirst ? String(((bar - 1) % 8) + 1) : "auto");
    cell.style.setProperty("--wide-row-place", isFirst ? String(((bar - 1) % 16) + 1) : "auto");
    const slices = this.tape.slices(bar);
    const stops = slices.map((kind, n) => `${COLOURS[kind]} ${(100 * n) / slices.length}% ${(100 * (n + 1)) / slices.length}%`);
    cell.style.setProperty("--holds", `linear-gradient(90deg, ${stops.join(", ")})`);
    cell.dataset.loop = this.tape.loops(bar);
    const takes = this.tape.takesIn(bar);
    cell.lastChild.textContent = takes.length ? `t${takes.at(-1)}` : "";
    const kinds = [...new Set(slices)].map((kind) => kind || "nothing").join(" and ");
    const of = takes.length ? `, take ${takes.join(", ")}` : "";
    cell.setAttribute("aria-label", `Bar ${bar}, ${kinds}${of}${this.tape.loops(bar) ? ", in the loop" : ""}`);
  }

  /** The music is at this beat now. */
  play(beat) {
    let place = beat;
    const loop = this.tape.loop;
    if (loop && beat >= loop.pass) place = loop.from + ((beat - loop.pass) % (loop.to - loop.from));
    const bar = this.timeline.barAt(place);
    if (bar !== this.current) {
      this.cells.get(this.current)?.removeAttribute("data-now");
      this.current = bar;
    }
    const cell = this.cells.get(bar);
    if (!cell) return;
    cell.dataset.now = "";
    cell.style.setProperty("--place", `${(100 * (place / this.timeline.barBeats - bar + 1)).toFixed(1)}%`);
  }

  showSelection() {
    const selected = this.selected;
    for (const [bar, cell] of this.cells) {
      cell.setAttribute("aria-selected", String(Boolean(selected) && bar >= selected[0] && bar <= selected[1]));
      cell.toggleAttribute("data-focus", bar === this.focus);
    }
    if (this.focus === null) this.list.removeAttribute("aria-activedescendant");
    else this.list.setAttribute("aria-activedescendant", `bar-${this.focus}`);
  }

  barUnder(event) {
    const bar = document.elementFromPoint(event.clientX, event.clientY)?.closest("[data-bar]")?.dataset.bar;
    return bar === undefined ? null : Number(bar);
  }

  press(event) {
    const bar = this.barUnder(event);
    if (bar === null || event.button !== 0) return;
    this.list.setPointerCapture(event.pointerId);
    const only = this.selected?.[0] === bar && this.selected[1] === bar;
    if (event.shiftKey && this.anchor !== null) this.select(this.anchor, bar);
    else if (only) this.select(null, null);
    else this.select(bar, bar);
  }

  drag(event) {
    if (!this.list.hasPointerCapture(event.pointerId) || this.anchor === null) return;
    const bar = this.barUnder(event);
    if (bar !== null && bar !== this.focus) this.select(this.anchor, bar);
  }

  key(event) {
    const bars = [...this.cells.keys()].sort((a, b) => a - b);
    if (!bars.length || event.ctrlKey || event.metaKey || event.altKey) return;
    const row = getComputedStyle(this.list).gridTemplateColumns.split(" ").length;
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -row, ArrowDown: row };
    let bar;
    if (event.key === "Escape") return this.select(null, null);
    if (event.key === "Home") bar = bars[0];
    else if (event.key === "End") bar = bars.at(-1);
    else if (event.key in steps) bar = this.focus === null ? bars.at(-1) : this.focus + steps[event.key];
    else return undefined;
    event.preventDefault();
    bar = Math.max(bars[0], Math.min(bars.at(-1), bar));
    this.select(event.shiftKey && this.anchor !== null ? this.anchor : bar, bar);
    this.cells.get(bar).scrollIntoView({ block: "nearest" });
    return undefined;
  }
}
