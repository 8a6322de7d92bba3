// The buttons that send commands, and what the daemon answers to them.

import { named } from "./osc.js";

const LOGGED = 6;
const FAMILIES = [
  ["continue", "Continue", "C", "Go on from what was heard"],
  ["inpaint", "Repaint", "R", "Make the selected bars anew, in place"],
  ["take/reroll", "Reroll", "E", "Make the last take again, with another seed"],
  ["take/undo", "Undo", "U", "Undo the last change of the tape"],
  ["take/redo", "Redo", "Y", "Redo the change that was undone last"],
  ["generate", "Generate", "G", "Make something new, whatever was heard"],
  ["loop", "Loop", "L", "Repeat the selected bars; once more: end the loop"],
  ["listen", "Listen", "I", "Prime the model with the audio input"],
  ["cancel", "Cancel", "X", "Drop the take that was asked for last here"],
  ["panic", "Panic", "P", "Silence at once, all jobs dropped"],
];

export class Triggers {
  constructor(elements, send, bars, tape, lengthBars) {
    Object.assign(this, { ...elements, send, bars, tape, lengthBars });
    this.id = Math.floor(Math.random() * 1e6) * 1000;
    this.jobs = [];
    this.listening = false;
    this.buttonsBy = new Map();
    for (const [name, label, key, help] of FAMILIES) this.addButton(name, label, key, help);
    document.addEventListener("keydown", (event) => this.key(event));
    this.update();
  }

  addButton(name, label, key, help) {
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.trigger = name;
    button.title = help;
    button.setAttribute("aria-keyshortcuts", key);
    const text = document.createElement("span");
    text.textContent = label;
    const hint = document.createElement("kbd");
    hint.textContent = key;
    hint.setAttribute("aria-hidden", "true");
    button.append(text, hint);
    button.addEventListener("click", () => this.pull(name));
    this.buttonsBy.set(name, button);
    this.buttons.append(button);
  }

  key(event) {
    if (!this.keys.checked || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    if (event.target.closest("input:not([type=checkbox]), select, textarea")) return;
    const family = FAMILIES.find(([, , key]) => key === event.key.toUpperCase());
    if (!family || this.buttonsBy.get(family[0]).disabled) return;
    event.preventDefault();
    this.pull(family[0]);
  }

  /** What the buttons say, and which can be used, by what is selected, loops and is open. */
  update() {
    const selected = this.bars.selected;
    const what = !selected ? "" : selected[0] === selected[1] ? ` ${selected[0]}` : ` ${selected[0]}–${selected[1]}`;
    this.label("inpaint", `Repaint${what}`);
    this.buttonsBy.get("inpaint").disabled = !selected;
    const loops = Boolean(this.tape.loop);
    this.label("loop", loops && !this.otherLoop() ? "End loop" : `Loop${what}`);
    this.buttonsBy.get("loop").setAttribute("aria-pressed", String(loops));
    this.buttonsBy.get("loop").disabled = !selected && !loops;
    this.buttonsBy.get("listen").setAttribute("aria-pressed", String(this.listening));
    this.buttonsBy.get("cancel").disabled = !this.jobs.length;
  }

  /** Whether other bars are selected than those that loop. */
  otherLoop() {
    const selected = this.bars.selected;
    return Boolean(selected) && !(this.tape.loops(selected[0]) && this.tape.loops(selected[1]));
  }

  label(name, text) {
    this.buttonsBy.get(name).firstChild.textContent = text;
  }

  pull(name) {
    const selected = this.bars.selected;
    const bars = this.lengthBars();
    const length = bars ? ["bars", bars] : [];
    switch (name) {
      case "continue":
      case "generate":
        return this.ask(name, this.newJob(name), ...length);
      case "inpaint":
        return this.ask(name, this.newJob(name), "from_bar", selected[0], "to_bar", selected[1]);
      case "take/reroll":
        return this.ask(name, this.newJob(name));
      case "loop":
        return this.tape.loop && !this.otherLoop() ? this.ask("loop/stop") : this.ask("loop/start", ...selected);
      case "listen":
        return this.ask(this.listening ? "listen/stop" : "listen/start");
      case "cancel":
        return this.ask("cancel", this.jobs.at(-1));
      default:
        return this.ask(name);
    }
  }

  newJob() {
    this.id += 1;
    this.jobs.push(this.id);
    this.update();
    return this.id;
  }

  ask(name, ...values) {
    this.error.textContent = "";
    if (!this.send(`/melnet/${name}`, ...values)) this.fail(name, "the daemon is not there");
  }

  /** An answer to this panel. */
  answered(answer, values) {
    const [command, id] = values;
    if (answer === "fail") {
      this.forget(id);
      return this.fail(command, values[3]);
    }
    if (answer === "warning") return this.tell(command, values[2], "warning");
    const told = named(values.slice(2));
    if (answer === "variation") {
      const what = `take ${told.take}, an alternative to take ${told.variation_of}`;
      return this.tell(command, told.ready ? `${what}, is made: seed ${told.seed}` : `${what}, is not made: ${told.why}`);
    }
    if (answer === "finished") {
      this.forget(id);
      const gaps = told.gaps ? `, ${told.gaps} gaps` : "";
      return this.tell(command, `take ${told.take} is over: ${told.seconds.toFixed(1)} s, seed ${told.seed}${gaps}`);
    }
    const where = told.bar === undefined ? "" : `, from bar ${told.bar}, beat ${+told.beat.toFixed(2)}`;
    if (answer === "started") return this.tell(command, `sounds${where}`);
    if (answer !== "done" || command.startsWith("set") || command === "tape") return undefined;
    if (told.seed !== undefined) return this.tell(command, `accepted: ${told.seconds.toFixed(1)} s, seed ${told.seed}${where}`);
    if (told.edits !== undefined) return this.tell(command, `done: ${told.edits} repainted parts${where}`);
    return this.tell(command, "done");
  }

  forget(id) {
    this.jobs = this.jobs.filter((job) => job !== id);
    this.update();
  }

  fail(command, message) {
    this.error.textContent = `${command || "message"}: ${message}`;
    this.tell(command, message, "fail");
  }

  tell(command, message, kind = "") {
    const line = document.createElement("li");
    line.dataset.kind = kind;
    const name = document.createElement("b");
    name.textContent = command;
    line.append(name, ` ${message}`);
    this.log.prepend(line);
    while (this.log.children.length > LOGGED) this.log.lastChild.remove();
  }
}
