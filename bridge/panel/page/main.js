// The panel: everything that it shows and sends goes through one websocket to the daemon.

import { Bars } from "./bars.js";
import { Connection } from "./connection.js";
import { Notes } from "./notes.js";
import { named } from "./osc.js";
import { Properties } from "./properties.js";
import { Spectrogram } from "./spectrogram.js";
import { Surprise } from "./surprise.js";
import { Tape } from "./tape.js";
import { Timeline } from "./timeline.js";
import { Triggers } from "./triggers.js";

const find = (id) => document.getElementById(id);
const put = (id, text) => {
  const element = find(id);
  if (element.textContent !== text) element.textContent = text;
};

const timeline = new Timeline();
const tape = new Tape(timeline);
const notes = new Notes(timeline);
const spectrogram = new Spectrogram(find("spectrogram"), timeline, tape, notes);
const surprise = new Surprise(find("surprise"), find("surprise-line"), find("surprise-over"));
let connection = null;
const send = (address, ...values) => connection.send(address, ...values);
const properties = new Properties(find("properties"), send);
const bars = new Bars(find("bars"), find("blank"), tape, timeline, () => selectionChanged());
const triggers = new Triggers(
  { buttons: find("buttons"), error: find("error"), log: find("log"), keys: find("keys") },
  send,
  bars,
  tape,
  () => Number(find("length").value),
);

function selectionChanged() {
  const selected = bars.selected;
  const count = selected ? selected[1] - selected[0] + 1 : 0;
  put("selection", !count ? "Drag over bars, or use the arrow keys with Shift, to select them"
    : count === 1 ? `Bar ${selected[0]} selected` : `Bars ${selected[0]} to ${selected[1]} selected`);
  triggers.update();
}

// --- what the daemon says ---

function opened() {
  say("live", "live");
  find("error").textContent = "";
  send("/melnet/presets");
  fetch("/melnet/set", { headers: { Accept: "application/json" } })
    .then((answer) => answer.json())
    .then((node) => properties.build(node))
    .catch((error) => triggers.fail("properties", error.message));
}

function say(state, text) {
  find("connection").dataset.state = state;
  put("connection", text);
}

function showStatus(status) {
  triggers.listening = status.listening;
  put("underruns", String(status.underruns));
  find("underruns").dataset.bad = status.underruns > 0;
  find("load-meter").value = status.load;
  put("load-text", `${status.load.toFixed(2)} cores`);
  put("speed", status.real_time_factor ? `${status.real_time_factor.toFixed(1)} ×` : status.player);
  put("jobs", String(status.jobs));
  const input = status.input === "none" ? "no input" : `in: ${status.input}${status.listening ? ", listening" : ""}`;
  put("device", `out: ${status.output} · ${input} · ${status.heard.toFixed(1)} s heard`);
  if (status.player !== "ready") say("waiting", `player ${status.player}`);
  else say("live", "live");
  showPreset(status.preset);
  triggers.update();
}

function showPreset(name) {
  const select = find("preset");
  if (select.dataset.loaded === name) return;
  if (![...select.options].some((option) => option.value === name)) select.add(new Option(name, name));
  select.dataset.loaded = name;
  select.value = name;
}

function showPresets(values) {
  const select = find("preset");
  const loaded = select.dataset.loaded;
  select.replaceChildren();
  for (let place = 0; place + 1 < values.length; place += 2) {
    const option = new Option(values[place], values[place]);
    option.title = values[place + 1];
    select.add(option);
  }
  delete select.dataset.loaded;
  if (loaded) showPreset(loaded);
}

function event(what, values) {
  if (what === "property") return properties.show(...values);
  if (what === "plan") return notes.add(named(values));
  if (what === "surprise") return surprise.add(named(values));
  if (what === "fail" && values[0] === "midi:0") return triggers.fail(values[1], values[4]);
  const [, , , ...rest] = values;
  if (what === "finished") return notes.end(named(rest).take, timeline.beatAt(spectrogram.sample));
  if (what === "clock") return put("clock", clockText(values[0], values[1]));
  return undefined;
}

const clockText = (clock, state) => (clock === "internal" ? "" : `${clock} ${state}`);

connection = new Connection({
  open: opened,
  lost: () => say("lost", "no daemon, trying again"),
  columns: (columns) => spectrogram.add(columns),
  transport(sample, values) {
    const told = named(values);
    timeline.stamp(sample, told);
    put("tempo", told.tempo.toFixed(1));
    put("meter", told.meter);
    put("clock", clockText(told.clock, told.state));
    if (!timeline.known) showBeat(told.bar, told.beat - 1); // there is no sound to go by
  },
  message(name, values) {
    if (name === "event") event(values[0], values.slice(1));
    else if (name === "status.reply") showStatus(named(values));
    else if (name === "tape.reply") tape.add(named(values));
    else if (name === "presets.reply") showPresets(values);
    else if (name === "done" && values[0] === "tape") showTape();
    else triggers.answered(name, values);
  },
});

function showTape() {
  tape.complete();
  bars.show();
  spectrogram.recolour();
  triggers.update();
}

find("load").addEventListener("click", () => triggers.ask("load", find("preset").value));

// --- what goes on by itself ---

const PLACE_EVERY_MS = 45;
let placedAt = 0;

function showPlace(now) {
  requestAnimationFrame(showPlace);
  const sample = spectrogram.sample;
  if (now - placedAt < PLACE_EVERY_MS || !timeline.known || !Number.isFinite(sample)) return;
  placedAt = now;
  const beat = timeline.beatAt(sample);
  const bar = timeline.barAt(beat);
  showBeat(bar, beat - (bar - 1) * timeline.barBeats);
  bars.play(beat);
}

/** `inBar`: beats since the bar began. */
function showBeat(bar, inBar) {
  put("bar", String(bar));
  put("beat", String(Math.floor(inBar) + 1));
  const lamps = find("beats");
  const count = Math.max(1, Math.ceil(timeline.barBeats));
  while (lamps.children.length < count) lamps.append(document.createElement("i"));
  while (lamps.children.length > count) lamps.lastChild.remove();
  for (let n = 0; n < count; n++) lamps.children[n].toggleAttribute("data-on", n === Math.floor(inBar));
}

requestAnimationFrame(showPlace);
