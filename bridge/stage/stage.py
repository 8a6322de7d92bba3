"""The stage: takes commands, gives requests to the player, and answers whoever asked.

Nothing here waits. Every command gets an answer: what can be said at once is said at once, the rest when
the player reports, refuses or dies.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Literal, TypeAlias, cast

from bridge.audio.device_process import AudioDeviceOpened, OpenedDevice
from bridge.audio.loop_player import LoopPlayer
from bridge.audio.output_ring import OutputRing
from bridge.clock.midi_clock_source import CLOCK_MESSAGES
from bridge.clock.midi_clock_ticks import ClockPlan
from bridge.clock.transport import Meter, Place, read_meter
from bridge.midi.controller import BeginPhrase as BeginMidiPhrase
from bridge.midi.controller import Deed, Learned, MidiController, NotLearned
from bridge.midi.mapping_file import FILE_NAME as MIDI_MAP
from bridge.midi.ports import MidiEvent, MidiLost, MidiPorts, MidiReport
from bridge.osc.answers import MESSAGE_CHARACTERS, MIDI, Answers, Asked, Send, flat
from bridge.osc.udp_server import Address, MalformedDatagram, parse_datagram
from bridge.player.player import PlayerSettings
from bridge.processes.child_process import ChildProcess
from bridge.processes.messages import (
    AT_SAMPLE,
    BeginPhrase,
    Cancel,
    Edited,
    HandedOver,
    Heard,
    Job,
    Key,
    Listen,
    ListPresets,
    Load,
    Loaded,
    Moved,
    NumberedRequest,
    Panic,
    Pedal,
    PlayerEvent,
    PrimeClear,
    Recall,
    Refusal,
    Report,
    Undo,
    UseSound,
    Warn,
)
from bridge.protocol.errors import NO_ID, CommandError
from bridge.protocol.parse import check_property, find_property, parse
from bridge.protocol.table import (
    CLOCK,
    CLOCK_OFFSET,
    CLOCK_OUT,
    COMMANDS,
    INPUT_OFFSET,
    LEVEL,
    METER,
    PROPERTIES,
    SEED,
    TAKE,
    TEMPO,
)
from bridge.protocol.timed_bundles import TimedBundles
from bridge.protocol.types import INT32_MAX, NAMESPACE, PRESET_OWN, Clock, CurveKind, Invocation, Value
from bridge.stage.clock_selection import ClockSelection
from bridge.stage.device_transport import DeviceTransport
from bridge.stage.job_request import JobRequestReader
from bridge.stage.pending_lines import PendingLines
from bridge.takes.take_list import ListedTake, TakeList, export_take
from bridge.tape.tape_index import TapeIndex
from bridge.tape.tape_memory import TapeMemory

_LOG = logging.getLogger(__name__)

Publish: TypeAlias = Callable[[str, Value | None], None]
"""(property, value); None: the preset's own."""

HELD_COMMANDS = 1024
"""Most commands of dated bundles that are held at once."""
HORIZON_SECONDS = 3600.0
"""A bundle dated farther ahead is refused."""
_OPEN_REQUESTS = 32  # so few fit into the pipe whatever the player is doing
_DYING_SECONDS = 1.0
_RESTARTS = 3
_RESTARTS_WITHIN_SECONDS = 60.0
_LISTED_TAKES = 32
_PLAYER_DOWN = "the player keeps dying; see the log, then load a preset"


class Stage:
    """All methods belong to the daemon's one thread."""

    def __init__(
        self,
        *,
        send: Send,
        player: ChildProcess[PlayerSettings],
        output_ring: OutputRing,
        tape: TapeMemory,
        loop: LoopPlayer,
        controller: MidiController[Asked],
        preset: str,
        allowed_folders: Sequence[Path],
        takes_folder: Path,
        dropped_datagrams: Callable[[], int],
        publish: Sequence[Publish],
        reply_hosts: Mapping[str, str],
        lead_clock: Callable[[ClockPlan | None], None] | None = None,
    ) -> None:
        """
        Args:
            controller: what MIDI controllers do.
            publish: all are told every property at once, and then whenever one changes; they must not wait.
            reply_hosts: to which clients may have their answers sent, besides their own, with their addresses.
            lead_clock: is told by which plan to send MIDI clock, None: by none; it must not wait. None: nobody does.
        """
        self._answers = Answers(send, reply_hosts)
        self._player = player
        self._output_ring = output_ring
        self._tape = tape
        self._loop_lane = loop
        self._controller = controller
        self._tape_index = TapeIndex()
        self._take_list = TakeList()
        self._jobs: dict[int, Job] = {}
        """That are not finished, by number."""
        self._preset = preset
        self._takes_folder = takes_folder
        self._dropped_datagrams = dropped_datagrams
        self._publish = publish
        self._properties: dict[str, Value | None] = {name: argument.default for name, argument in PROPERTIES.items()}
        for name, value in self._properties.items():
            for tell in publish:
                tell(name, value)
        self._device_transport = DeviceTransport(
            output_ring.clock, float(cast(float, TEMPO.default)), _meter(str(METER.default))
        )
        self._clock_selection = ClockSelection(self._device_transport, lead_clock)
        self._lines = PendingLines(self._device_transport, player.send)
        self._reader = JobRequestReader(
            transport=self._device_transport,
            tape=tape,
            loop=loop,
            book=self._take_list,
            properties=self._properties,
            allowed_folders=allowed_folders,
            next_number=self._next_number,
        )
        self._syncs: list[tuple[Asked, set[int]]] = []
        """Who waits for which requests to be closed."""
        self._held: TimedBundles[Asked] = TimedBundles(HELD_COMMANDS)
        self._asked: dict[int, Asked] = {}
        self._more_panics: list[Asked] = []
        self._request_number = 0
        self._loaded: Loaded | None = None
        self._ever_loaded = False
        self._heard = Heard(0.0, 0.0)
        self._sound: AudioDeviceOpened | None = None
        self._listening = False
        self._midi_ports = MidiPorts((), ())
        self._keys_down: dict[int, Key] = {}
        self._pedal_down: Pedal | None = None
        """What is held, for a player that takes a dead one's place."""
        self._phrase_is_played = False
        """Whether what is played is a phrase for the model, by the player's knowledge."""
        self._deaths: list[float] = []
        self.startup_error: str | None = None
        """Why the first preset could not be loaded."""

    # --- life -------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the player and have it load the preset."""
        self._player.start()
        self._loaded = None
        self._tell_player_of_sound()
        self._player.send(Load(self._next_number(), self._preset, self._next_number()))
        self._restore_tape()
        for played in (*self._keys_down.values(), *([self._pedal_down] if self._pedal_down else [])):
            self._player.send(played)
        if self._listening:
            self._player.send(Listen(self._next_number(), True))

    def close(self) -> None:
        """Fade out, and tell everybody who waits for an answer that none is coming."""
        self._clock_selection.close()
        self._output_ring.hush()
        self._loop_lane.hush()
        for asked in (*self._asked.values(), *self._more_panics, *self._held.clear()):
            kept = "; what is made of the take by now is kept as a file" if asked.is_job else ""
            self._answers.fail(asked, "cancelled", f"the daemon is stopping{kept}")

    # --- in: datagrams ----------------------------------------------------------------------------------

    def receive(self, sender: Address, data: bytes) -> None:
        """Obey a datagram, or hold it until its time, or answer why not."""
        try:
            messages = parse_datagram(data)
        except MalformedDatagram as error:
            self._answers.fail_to(sender, "", NO_ID, "malformed", str(error))
            return
        for message in messages:
            try:
                invocation = parse(message.address, message.values)
            except CommandError as error:
                self._answers.fail_to(sender, error.command, error.job_id, error.code, str(error))
            else:
                self._attempt(Asked(sender, invocation), message.due_unix_seconds)

    def dropped(self, sender: Address, count: int) -> None:
        """Tell a client that so many of its datagrams came faster than they are looked at, and were dropped."""
        self._answers.fail_to(
            sender,
            "",
            NO_ID,
            "busy",
            f"{count} datagrams of yours were dropped: they came too fast; send fewer",
        )

    @property
    def next_due_seconds(self) -> float | None:
        """Monotonic time at which ``run_due`` has something to do."""
        dues = (self._held.next_due_seconds, self._controller.next_due_seconds, self._clock_selection.next_due_seconds)
        return min((due for due in dues if due is not None), default=None)

    def run_due(self) -> None:
        """Obey the held commands whose time has come, look at the clock, and show MIDI controllers what has changed."""
        while (due := self._held.pop_due(time.monotonic())) is not None:
            self._attempt(due, None)
        clock_due = self._clock_selection.next_due_seconds
        if clock_due is not None and clock_due <= time.monotonic():
            self._look_at_clock()
        self._do(self._controller.run_due())

    def _attempt(self, asked: Asked, due_unix_seconds: float | None) -> None:
        try:
            ahead_seconds = 0.0 if due_unix_seconds is None else due_unix_seconds - time.time()
            if ahead_seconds > 0.0:
                self._hold(asked, ahead_seconds)
            else:
                self._obey(asked)
        except CommandError as error:
            self._answers.fail(asked, error.code, str(error))
        except Exception as error:  # one command must never end the daemon
            _LOG.exception("obeying %s", asked.invocation.command.name)
            self._answers.fail(asked, "failed", f"{type(error).__name__}: {error}")

    def _hold(self, asked: Asked, ahead_seconds: float) -> None:
        if ahead_seconds > HORIZON_SECONDS:
            raise CommandError(
                "too_far_ahead", f"it is {ahead_seconds:.4g} s ahead; at most {HORIZON_SECONDS:g} s are held"
            )
        if not self._held.put(time.monotonic() + ahead_seconds, asked):
            raise CommandError("busy", f"{HELD_COMMANDS} commands are held already")

    # --- commands ---------------------------------------------------------------------------------------

    def _obey(self, asked: Asked) -> None:
        arguments = asked.invocation.arguments
        match asked.invocation.command.name:
            case "ping":
                self._answers.to(asked.sender, f"{NAMESPACE}/pong", [])
            case "version":
                self._answers.reply(asked, [version("melnet-music")])
            case "status":
                self._answers.reply(asked, flat(self._status()))
            case "transport":
                self._answers.reply(asked, flat(self._transport_values()))
            case "transport/locate":
                if self._clock_selection.name != "internal":
                    raise CommandError(
                        "refused",
                        f"the {self._clock_selection.name} clock says which bar it is; set clock to internal to locate",
                    )
                self._device_transport.locate(Place(int(arguments["bar"]) - 1, float(arguments.get("beat", 1.0)) - 1.0))
                self._lines.retime()
                self._answers.answer(asked, "done", flat(self._transport_values()))
                self._warn_of_loop(asked)
            case "subscribe":
                self._subscribe(asked)
            case "unsubscribe":
                self._answers.unsubscribe(asked.sender)
                self._answers.answer(asked, "done", [])
            case "sync":
                self._sync(asked)
            case "reply":
                self._redirect(asked)
            case "get":
                name = find_property(str(arguments["name"])).name
                self._answers.reply(asked, [name, _shown_property(self._properties[name])])
            case "set":
                self._set(asked, str(arguments["name"]), arguments["value"])
            case _ if name := asked.invocation.command.sets:
                self._set(asked, name, arguments[name])
            case _ if asked.is_job:
                self._request_job(asked)
            case "loop/start":
                self._start_loop(asked)
            case "loop/stop":
                if self._tape_index.loop is None:
                    raise CommandError("refused", "there is no loop to stop")
                self._request(asked, self._reader.stop_loop(arguments))
                self._tape_index.loop = None
            case "tape/export":
                self._request(asked, self._reader.export_bars(arguments))
            case "take/list":
                self._list_takes(asked)
            case "take/undo":
                self._request(asked, Undo(self._next_number()))
            case "take/redo":
                self._request(asked, Undo(self._next_number(), redo=True))
            case "take/recall":
                self._recall(asked)
            case "take/export":
                self._export(asked)
            case "note" | "pedal":
                self._play(asked)
            case "notes/prompt/start":
                self._request(asked, BeginPhrase(self._next_number()))
                self._phrase_is_played = True
            case "notes/prompt/stop":
                self._render_phrase(asked)
            case "midi/learn":
                low, high = (None if end is None else float(end) for end in map(arguments.get, ("low", "high")))
                curve = cast(CurveKind | None, arguments.get("curve"))
                self._do(self._controller.learn(asked, str(arguments["name"]), low=low, high=high, curve=curve))
            case "midi/forget":
                self._do(self._controller.forget(str(arguments["name"])))
                self._answers.answer(asked, "done", flat(arguments))
            case "midi/map":
                entries = self._controller.listing()
                for entry in entries:
                    self._answers.reply(asked, flat(entry))
                self._answers.answer(asked, "done", ["entries", len(entries)])
            case "cancel":
                self._request(asked, Cancel(self._next_number(), self._job_number(asked)))
            case "panic":
                self._panic(asked)
            case "load":
                self._load(asked)
            case "presets":
                self._request(asked, ListPresets(self._next_number()))
            case "listen/start":
                self._request(asked, Listen(self._next_number(), True))
            case "listen/stop":
                self._request(asked, Listen(self._next_number(), False))
            case "prime/file":
                self._request(asked, self._reader.prime_file(asked.invocation))
            case "prime/clear":
                self._request(asked, PrimeClear(self._next_number()))
            case unknown:
                raise AssertionError(f"the table's command {unknown!r} is unknown to the stage")

    def note(self, key: int, velocity: int, at_seconds: float) -> None:
        """A key was struck, or let go (velocity 0).

        Args:
            at_seconds: the monotonic time when.
        """
        played = Key(key, velocity, at_seconds)
        self._keys_down.pop(key, None)
        if velocity:
            self._keys_down[key] = played
        if self._player.running:
            self._player.send(played)

    def pedal(self, down: bool, at_seconds: float) -> None:
        """The sustain pedal went down or up, at a monotonic time."""
        played = Pedal(down, at_seconds)
        self._pedal_down = played if down else None
        if self._player.running:
            self._player.send(played)

    def _play(self, asked: Asked) -> None:
        if not self._player.running:
            raise CommandError("player_died", _PLAYER_DOWN)
        arguments = asked.invocation.arguments
        if asked.invocation.command.name == "note":
            self.note(int(arguments["key"]), int(arguments["velocity"]), time.monotonic())
        else:
            self.pedal(bool(arguments["down"]), time.monotonic())
        self._answers.answer(asked, "done", flat(arguments))

    def _render_phrase(self, asked: Asked) -> None:
        if not self._phrase_is_played:
            raise CommandError("refused", "no phrase is being played: send /melnet/notes/prompt/start first")
        self._request(asked, self._reader.phrase(asked.invocation.arguments))
        self._phrase_is_played = False

    def _set(self, asked: Asked, name: str, given: Value) -> None:
        value, before = check_property(name, given), self._properties[name]
        try:
            self._apply(name, value)
        except CommandError:
            raise
        except ValueError as error:
            raise CommandError("refused", str(error)) from error
        if name in (TEMPO.name, METER.name):
            self._lines.retime()
        self._answers.answer(asked, "done", [name, _shown_property(value)])
        self._change_property(name, value)
        if name == INPUT_OFFSET.name and value != before and self._player.running:
            self._tell_player_of_sound()
        if name in (TEMPO.name, METER.name) and value != before:
            self._warn_of_loop(asked)

    def _apply(self, name: str, value: Value | None) -> None:
        """Have it be so at once, of those properties that are more than a default of the next jobs.

        Raises:
            ValueError: it cannot be.
            CommandError: it is no meter.
        """
        if value is None:
            return
        if name == TEMPO.name:
            self._clock_selection.set_tempo(float(value))
        elif name == METER.name:
            self._device_transport.set_meter(_meter(str(value)))
        elif name == CLOCK.name:
            self._clock_selection.choose(cast(Clock, value))
        elif name == CLOCK_OFFSET.name:
            self._device_transport.offset_seconds = float(value) / 1000.0
        elif name == CLOCK_OUT.name:
            self._clock_selection.send_out(value == "on")
        elif name == LEVEL.name:
            self._output_ring.set_level(float(value))

    def _change_property(self, name: str, value: Value | None) -> None:
        """Let everybody know who shows properties."""
        self._properties[name] = value
        for tell in self._publish:
            tell(name, value)
        self._answers.tell("property", [name, _shown_property(value)])

    def _subscribe(self, asked: Asked) -> None:
        lease = asked.invocation.command.keys[0]
        seconds = float(asked.invocation.arguments.get(lease.name, lease.default or 0.0))
        new = self._answers.subscribe(asked.sender, seconds)
        self._answers.answer(asked, "done", [lease.name, seconds])
        for name, value in self._properties.items() if new else ():
            self._answers.tell("property", [name, _shown_property(value)], only=new)

    def _sync(self, asked: Asked) -> None:
        waits_for = {
            number for number, other in self._asked.items() if other.sender == asked.sender and not other.is_job
        }
        if not waits_for:
            self._answers.to(asked.sender, f"{NAMESPACE}/synced", [asked.invocation.job_id])
        elif len(self._syncs) >= _OPEN_REQUESTS:
            raise CommandError("busy", f"{_OPEN_REQUESTS} syncs wait already")
        else:
            self._syncs.append((asked, waits_for))

    def _closed(self, number: int) -> None:
        """A request is closed: whoever waited for nothing else is told."""
        for asked, waits_for in self._syncs:
            waits_for.discard(number)
            if not waits_for:
                self._answers.to(asked.sender, f"{NAMESPACE}/synced", [asked.invocation.job_id])
        self._syncs = [(asked, waits_for) for asked, waits_for in self._syncs if waits_for]

    def _redirect(self, asked: Asked) -> None:
        port, host = int(asked.invocation.arguments["port"]), asked.invocation.arguments.get("host")
        self._answers.redirect(asked.sender, port, None if host is None else str(host))
        self._answers.answer(asked, "done", ["port", port, *(["host", host] if host is not None else [])])

    def _request_job(self, asked: Asked) -> None:
        if any(other.is_job and asked.is_same_job(other) for other in self._asked.values()):
            raise CommandError("id_in_use", f"your job {asked.invocation.job_id} is still running")
        job, line = self._reader.job(asked.invocation, phrase_is_played=self._phrase_is_played)
        if job.again is None and SEED.name not in asked.invocation.arguments:
            self._change_property(SEED.name, job.seed + 1 if job.seed < INT32_MAX else 0)
        self._request(asked, job)
        self._phrase_is_played = self._phrase_is_played and not job.ends_phrase
        self._jobs[job.number] = job
        if line:
            self._lines.put(job.number, line)

    # --- tape and takes ---------------------------------------------------------------------------------

    def _start_loop(self, asked: Asked) -> None:
        loop = self._reader.start_loop(asked.invocation.arguments)
        self._request(asked, loop)
        self._tape_index.loop = loop

    def _warn_of_loop(self, asked: Asked) -> None:
        """Bars have changed under a loop: sound cannot be stretched, so it stays as it is."""
        if self._tape_index.loop is None:
            return
        first, stop = self._tape_index.loop.span
        seconds = (stop - first) / self._tape.rate_hz
        bars = seconds * self._device_transport.tempo_bpm / 60.0 / _meter(str(self._properties[METER.name])).bar_beats
        message = (
            f"the loop keeps its length and its place: {seconds:.4g} s, now {bars:.4g} bars, which need not begin on a "
            "line; a loop that is started anew does"
        )
        self._answers.answer(asked, "warning", [message])

    def _list_takes(self, asked: Asked) -> None:
        takes = self._take_list.last(_LISTED_TAKES)
        for take in takes:
            told: dict[str, Value] = {
                "take": take.number,
                "kind": take.job.kind,
                "seed": take.job.seed,
                "seconds": take.seconds,
                "on_tape": take.number in self._tape_index.takes,
                "file": take.file,
            }
            if take.job.span and self._device_transport.has_device:
                first, stop = (self._device_transport.place_of(sample).bar for sample in take.job.span)
                told |= {"from_bar": first + 1, "to_bar": max(stop, first + 1)}
            self._answers.reply(asked, flat(told))
        self._answers.answer(asked, "done", ["takes", len(takes)])

    def _recall(self, asked: Asked) -> None:
        take = self._reader.take(asked.invocation.arguments[TAKE.name])
        if take.placed is None:
            raise CommandError("refused", f"take {take.number} was made for no bars of the tape; export or reroll it")
        self._request(asked, Recall(self._next_number(), take.placed))

    def _export(self, asked: Asked) -> None:
        arguments = asked.invocation.arguments
        take = self._reader.take(arguments[TAKE.name])
        path = self._reader.allowed_path(str(arguments["path"]))
        try:
            export_take(take, path)
        except ValueError as error:
            raise CommandError("bad_file", str(error)) from error
        self._answers.answer(asked, "done", ["take", take.number, "file", str(path)])

    def _look_at_clock(self) -> None:
        looked = self._clock_selection.look()
        if looked.state:
            self._answers.tell("clock", [self._clock_selection.name, looked.state])
        if looked.tempo_bpm is not None:
            self._change_property(TEMPO.name, looked.tempo_bpm)
        if looked.followed == "jumped":
            self._lines.jump()
        elif looked.followed == "steered":
            self._lines.steer()

    def _transport_values(self) -> dict[str, Value]:
        place = self._device_transport.place
        return {
            "bar": place.bar + 1,
            "beat": place.beat + 1.0,
            "tempo": self._device_transport.tempo_bpm,
            "meter": str(self._device_transport.meter),
            "clock": self._clock_selection.name,
            "state": self._clock_selection.state,
        }

    def _job_number(self, asked: Asked) -> int:
        for number, other in self._asked.items():
            if other.is_job and asked.is_same_job(other):
                return number
        raise CommandError("unknown_id", f"no job {asked.invocation.job_id} of yours is waiting or running")

    def _panic(self, asked: Asked) -> None:
        # The speaker obeys at once, whatever the player is busy with.
        self._output_ring.hush()
        self._loop_lane.hush()
        self._tape_index.loop, self._phrase_is_played = None, False
        self._keys_down.clear()
        self._pedal_down = None
        told = set()  # once is enough for commands that no id tells apart: a flood of answers would be lost
        for held in self._held.clear():
            same = held.sender, held.invocation.command.name, held.invocation.job_id
            if same not in told:
                told.add(same)
                self._answers.fail(held, "cancelled", "panic dropped all that was held")
        if not self._player.running:
            self._answers.answer(asked, "done", [])
        elif not any(other.invocation.command.name == "panic" for other in self._asked.values()):
            self._request(asked, Panic(self._next_number()))
        elif len(self._more_panics) < _OPEN_REQUESTS:
            # One at a time, so that a stuck button cannot fill the pipe of a busy player.
            self._more_panics.append(asked)
        else:
            self._answers.answer(asked, "done", [])

    def _load(self, asked: Asked) -> None:
        request, line = self._reader.load(asked.invocation.arguments)
        self._request(asked, request)
        if line:
            self._lines.put(request.number, line)

    def _status(self) -> dict[str, Value]:
        loaded, sound = self._loaded, self._sound
        return {
            "player": "ready" if loaded else "loading" if self._player.running else "dead",
            "preset": loaded.preset if loaded else self._preset,
            "digest": loaded.digest if loaded else "",
            "engine": loaded.engine if loaded else "",
            "real_time_factor": loaded.real_time_factor if loaded else 0.0,
            "output": _device_text(sound.output, _no_output_text(sound)) if sound else "starting",
            "input": _device_text(sound.input, "none") if sound else "starting",
            "midi_in": self._midi_text("inputs"),
            "midi_out": self._midi_text("outputs"),
            "clock_out": self._midi_text("clocks"),
            "listening": self._listening,
            "heard": self._heard.seconds,
            "missed_input": self._heard.missed_seconds,
            "jobs": sum(asked.is_job for asked in self._asked.values()),
            "held": len(self._held),
            "underruns": self._output_ring.underruns,
            "missing_samples": self._output_ring.missing_samples,
            "dropped_datagrams": self._dropped_datagrams(),
            "takes": str(self._takes_folder),
        }

    # --- requests and reports -----------------------------------------------------------------------------

    def _next_number(self) -> int:
        self._request_number += 1
        return self._request_number

    def _request(self, asked: Asked, request: NumberedRequest) -> None:
        if not self._player.running:
            if not isinstance(request, Load):
                raise CommandError("player_died", _PLAYER_DOWN)
            self._deaths.clear()
            self.start()
        if len(self._asked) >= _OPEN_REQUESTS and not isinstance(request, Panic):
            raise CommandError("busy", f"{_OPEN_REQUESTS} commands wait for the player already")
        self._asked[request.number] = asked
        self._player.send(request)

    def player_event(self, event: PlayerEvent) -> None:
        """Pass on what the player says."""
        match event:
            case Loaded():
                self._loaded, self._preset, self._ever_loaded = event, event.preset, True
                self._answers.tell("player", ["ready", event.preset, event.digest])
                self._use_midi_map(event)
                _LOG.info(
                    "preset %s, %s engine: %.2f times real time", event.preset, event.engine, event.real_time_factor
                )
            case Heard():
                self._heard = event
            case Edited():
                self._tape_index.edited = event
                self._answers.tell("tape", [each for take in event.takes for each in ("take", take)])
            case Moved():
                self._job_moved(event)
            case HandedOver():
                self._handed_over(event)
            case Warn():
                asked = self._asked.get(event.number)
                if asked:
                    self._answers.answer(asked, "warning", [event.message[:MESSAGE_CHARACTERS]])
            case Refusal():
                asked = self._asked.pop(event.number, None)
                self._lines.drop(event.number)
                self._jobs.pop(event.number, None)
                self._tape_index.refused(event.number)
                if asked:
                    self._answers.fail(asked, event.code, event.message)
                elif not self._ever_loaded:
                    self.startup_error = event.message
                self._closed(event.number)
            case Report():
                self._report(event)

    def _report(self, report: Report) -> None:
        asked = self._asked.get(report.number)
        if asked is None:
            return
        if _closes(asked, report):
            del self._asked[report.number]
            self._lines.drop(report.number)
        if report.answer == "finished":
            self._book_take(report)
        if report.answer == "started":
            self._lines.drop(report.number)
        values = self._told_report(report)
        command = asked.invocation.command.name
        if command == "presets":
            self._answers.reply(asked, values)
            self._closed(report.number)
            return
        if command.startswith("listen/"):
            self._listening = command == "listen/start"
        self._answers.answer(asked, report.answer, values)
        if report.number not in self._asked:
            self._closed(report.number)
        if command == "panic" and self._more_panics:
            last, *others = reversed(self._more_panics)
            self._more_panics.clear()
            self._request(last, Panic(self._next_number()))  # for the jobs that came in between
            for other in others:
                self._answers.answer(other, "done", [])

    def _told_report(self, report: Report) -> list[Value]:
        if report.answer == "done":
            for name, value in report.values:
                if name == AT_SAMPLE:
                    self._lines.promised(report.number, float(value))
        return self._told(report.values)

    def _told(self, values: Sequence[tuple[str, Value]]) -> list[Value]:
        """What clients are told of reported values: device time as bar and beat."""
        told: list[Value] = []
        for name, value in values:
            if name == AT_SAMPLE:
                place = self._device_transport.place_of(float(value))
                told += ["bar", place.bar + 1, "beat", place.beat + 1.0]
            else:
                told += [name, value]
        return told

    def _handed_over(self, event: HandedOver) -> None:
        """The job goes on under the number of its next take."""
        told, job = dict(event.values), self._jobs.pop(event.number)
        self._take_list.add(ListedTake(event.number, job, float(told["seconds"]), str(told["file"])))
        asked = self._asked.pop(event.number)
        self._asked[event.job.number], self._jobs[event.job.number] = asked, event.job
        self._answers.answer(asked, "handed", self._told(event.values))

    def _book_take(self, report: Report) -> None:
        told, job = dict(report.values), self._jobs.pop(report.number)
        seed = int(told["seed"])
        self._take_list.add(
            ListedTake(report.number, replace(job, seed=seed), float(told["seconds"]), str(told["file"]))
        )

    def _restore_tape(self) -> None:
        """Tell a new player what the dead one had of the tape."""
        restoring = self._tape_index.restoring(self._take_list)
        if restoring:
            self._player.send(restoring)

    def _job_moved(self, moved: Moved) -> None:
        self._lines.promised(moved.number, moved.at_sample)
        place = self._device_transport.place_of(moved.at_sample)
        asked = self._asked.get(moved.number)
        if asked:
            where = f"bar {place.bar + 1}, beat {place.beat + 1.0:g}"
            self._answers.answer(asked, "warning", [f"it was made slower than expected, and begins on {where}"])

    def player_died(self, *, hung: bool = False) -> None:
        """Tell everybody who waits, fade out, and start another player.

        Args:
            hung: it did nothing any more, and was killed for that.
        """
        self._output_ring.hush()
        how = "hung, and was killed" if hung else "died"
        for asked in (*self._asked.values(), *self._more_panics):
            self._answers.fail(
                asked, "player_died", f"the player process {how}; another one starts, and hears again what was heard"
            )
        self._player.stop(_DYING_SECONDS)
        self._answers.tell("player", ["died"])
        for number in self._asked:
            self._closed(number)
        self._asked.clear()
        self._jobs.clear()
        self._lines.clear()
        self._more_panics.clear()
        self._heard, self._loaded, self._phrase_is_played = Heard(0.0, 0.0), None, False
        now = time.monotonic()
        self._deaths = [death for death in self._deaths if now - death < _RESTARTS_WITHIN_SECONDS] + [now]
        if len(self._deaths) > _RESTARTS:
            _LOG.error("the player died %d times; it stays down until a preset is loaded", len(self._deaths))
            return
        _LOG.warning("the player died; starting another one")
        self.start()

    # --- MIDI -------------------------------------------------------------------------------------------

    def midi_event(self, event: MidiReport) -> None:
        """Take what came in by MIDI, and which ports it may come by."""
        match event:
            case MidiEvent() if event.data[0] in CLOCK_MESSAGES:
                self._clock_selection.midi.hear(event.port, event.at_seconds, event.data)
            case MidiEvent():
                self._do(self._controller.hear(event))
            case MidiPorts():
                self._midi_ports = event
                self._do(self._controller.ports_changed(event))
                inputs, outputs = (", ".join(names) or "none" for names in (event.inputs, event.outputs))
                self._answers.tell("midi", ["in", inputs, "out", outputs])
                if event.problem:
                    _LOG.warning("%s", event.problem)
                _LOG.info("MIDI: from %s, to %s", inputs, outputs)
            case MidiLost():
                _LOG.warning("%d MIDI messages came too fast, and are lost", event.count)
                self._do(self._controller.messages_lost())

    def _do(self, deeds: Iterator[Deed[Asked]]) -> None:
        """What MIDI controllers ask for."""
        for deed in deeds:
            match deed:
                case Invocation():
                    self._attempt(Asked(MIDI, deed), None)
                case Key():
                    self.note(deed.key, deed.velocity, deed.at_seconds)
                case Pedal():
                    self.pedal(deed.down, deed.at_seconds)
                case BeginMidiPhrase() if not self._phrase_is_played:
                    self._attempt(Asked(MIDI, Invocation(COMMANDS["notes/prompt/start"])), None)
                case Learned():
                    self._answers.answer(deed.ticket, "done", ["name", deed.name, "control", deed.control])
                case NotLearned():
                    self._answers.fail(deed.ticket, deed.code, deed.reason)

    def _use_midi_map(self, loaded: Loaded) -> None:
        try:
            self._controller.use_preset_map(loaded.midi_map, f"{loaded.preset}/{MIDI_MAP}")
        except ValueError as error:
            _LOG.warning("%s", error)
            self._answers.tell("midi", ["problem", str(error)[:MESSAGE_CHARACTERS]])

    def _midi_text(self, direction: Literal["inputs", "outputs", "clocks"]) -> str:
        names: tuple[str, ...] = getattr(self._midi_ports, direction)
        return ", ".join(names) or self._midi_ports.problem or "none"

    # --- sound ------------------------------------------------------------------------------------------

    def sound_changed(self, sound: AudioDeviceOpened | None) -> None:
        """The devices that are open now; None: they are gone."""
        had_output = self._sound is not None and self._sound.output is not None
        if sound is None and not had_output:
            return  # a speaker that could open nothing has left
        if sound and self._sound and not any((sound.output, sound.input, self._sound.output, self._sound.input)):
            self._sound = sound
            return  # nothing could be opened once more
        self._sound = sound or AudioDeviceOpened(None, None, ("the sound device is gone",))
        for problem in sound.problems if sound else ():
            _LOG.warning("%s", problem)
        if sound is None or sound.output is None:
            _LOG.warning("no sound: takes go to files in %s", self._takes_folder)
        else:
            _LOG.info("sound: %s", _device_text(sound.output, "none"))
        self._answers.tell("sound", [_device_text(sound.output, _no_output_text(sound)) if sound else "gone"])
        self._listening = self._listening and sound is not None and sound.input is not None
        for asked in self._asked.values() if sound is None else ():
            if asked.is_job:
                self._answers.answer(asked, "warning", ["the sound device is gone; the take goes to its file only"])
        rate_hz = sound.output.sample_rate_hz if sound and sound.output else None
        first, stop = self._tape.span
        if rate_hz and rate_hz != self._tape.rate_hz and first != stop:
            self._lose_tape(rate_hz)
        self._device_transport.use_device(rate_hz, sound.output.latency_seconds if sound and sound.output else 0.0)
        if self._player.running:
            self._tell_player_of_sound()
            self._lines.retime()

    def _lose_tape(self, rate_hz: int) -> None:
        """What lies on it is at the last device's rate, and the player makes it blank for this one."""
        why = f"the sound device has {rate_hz} Hz now, the tape had {self._tape.rate_hz}: tape, loop and edits are gone"
        _LOG.warning("%s", why)
        self._tape_index.clear()
        self._take_list.lift()
        self._answers.tell("tape", [])
        self._answers.tell("blank", [why])

    def _tell_player_of_sound(self) -> None:
        output = self._sound.output if self._sound else None
        audio_input = self._sound.input if self._sound else None
        self._player.send(
            UseSound(
                output.sample_rate_hz if output else None,
                audio_input.sample_rate_hz if audio_input else None,
                output.latency_seconds if output else 0.0,
                audio_input.latency_seconds if audio_input else 0.0,
                float(self._properties[INPUT_OFFSET.name] or 0.0) / 1000.0,
            )
        )


def _closes(asked: Asked, report: Report) -> bool:
    """Whether nothing is to come after a report."""
    if asked.is_job:
        return report.answer == "finished"
    promised = any(name == AT_SAMPLE for name, _ in report.values)  # a take is handed over there
    return report.answer == "started" or not (asked.invocation.command.name == "load" and promised)


def _meter(text: str) -> Meter:
    try:
        return read_meter(text)
    except ValueError as error:
        raise CommandError("out_of_range", str(error)) from error


def _shown_property(value: Value | None) -> Value:
    return PRESET_OWN if value is None else value


def _no_output_text(sound: AudioDeviceOpened) -> str:
    why = f" ({'; '.join(sound.problems)[:MESSAGE_CHARACTERS]})" if sound.problems else ""
    return f"none: takes go to files{why}"


def _device_text(device: OpenedDevice | None, otherwise: str) -> str:
    return f"{device.name}, {device.sample_rate_hz} Hz" if device else otherwise
