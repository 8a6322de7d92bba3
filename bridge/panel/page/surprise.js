// How surprising to the model what it hears is: a line of the last minutes, while the daemon tells it.

const KEPT = 430; // chunks of 139 ms: a minute
const HIGH_NATS = 1; // above the usual: the top of the line

export class Surprise {
  /** `panel` is shown once there is something to show. */
  constructor(panel, canvas, text) {
    Object.assign(this, { panel, canvas, text });
    this.values = [];
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  /** One `surprise` event. */
  add({ over_usual: over }) {
    this.values.push(over);
    if (this.values.length > KEPT) this.values.shift();
    this.panel.hidden = false;
    const shown = `${over < 0 ? "−" : "+"}${Math.abs(over).toFixed(2)}`;
    if (this.text.textContent !== shown) this.text.textContent = shown;
    this.draw();
  }

  draw() {
    const scale = devicePixelRatio;
    const width = Math.round(this.canvas.clientWidth * scale);
    const height = Math.round(this.canvas.clientHeight * scale);
    if (!width || !height) return;
    if (this.canvas.width !== width || this.canvas.height !== height) Object.assign(this.canvas, { width, height });
    const pen = this.canvas.getContext("2d");
    const styles = getComputedStyle(this.canvas);
    pen.clearRect(0, 0, width, height);
    const usual = height * 0.7;
    pen.fillStyle = styles.borderTopColor;
    pen.fillRect(0, usual, width, scale);
    pen.fillStyle = styles.color;
    const step = width / KEPT;
    const first = KEPT - this.values.length;
    this.values.forEach((over, place) => {
      const length = Math.max(-1, Math.min(1, over / HIGH_NATS)) * (over > 0 ? usual : height - usual);
      pen.fillRect((first + place) * step, usual - Math.max(length, 0), Math.max(step, 1), Math.max(Math.abs(length), 1));
    });
  }
}
