"""What the controllers do to the stage, and what they are shown of it: the map at work."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from bridge.midi.gestures import (
    ALL_NOTES_OFF,
    ALL_SOUND_OFF,
    PEDAL_DOWN_FROM,
    RESET_CONTROLLERS,
    SUSTAIN,
    Gesture,
    GestureReader,
    encoder_steps,
    messages_for,
    value_at,
)
from bridge.midi.held_notes import HeldNotes, LetGo, Who
from bridge.midi.learn import MidiLearn
from bridge.midi.mapping import (
    NUMBERED_BY_US,
    DoCommand,
    Entry,
    MidiMap,
    PlayNotes,
    SetProperty,
    Source,
    read_midi_map,
    source_text,
    target_text,
)
from bridge.midi.mapping_file import MidiMapFile
from bridge.midi.ports import MidiEvent, MidiPorts, SendMidi
from bridge.midi.soft_takeover import SoftTakeover
from bridge.processes.messages import Key, Pedal
from bridge.protocol.curves import Curve
from bridge.protocol.errors import CommandError, FailCode
from bridge.protocol.parse import find_property
from bridge.protocol.table import COMMANDS
from bridge.protocol.types import PRESET_OWN, CurveKind, Invocation, Value

LEARNING_SECONDS = 60.0
_SHOW_EVERY_SECONDS = 0.02
"""A cable carries a thousand messages a second, and a property may change as often."""
_FIRST_JOB_ID = 1

Ticket = TypeVar("Ticket")


@dataclass(frozen=True)
class BeginPhrase:
    """A key is struck that belongs to a phrase: if none is being played, it begins here."""


@dataclass(frozen=True)
class Learned(Generic[Ticket]):
    """A control was given to a property; ``ticket`` asked for it."""

    ticket: Ticket
    name: str
    control: str


@dataclass(frozen=True)
class NotLearned(Generic[Ticket]):
    ticket: Ticket
    code: FailCode
    reason: str


Deed: TypeAlias = Invocation | Key | Pedal | BeginPhrase | Learned[Ticket] | NotLearned[Ticket]


@dataclass
class _Waiting(Generic[Ticket]):
    """A property that waits for a control."""

    ticket: Ticket
    target: SetProperty
    until_seconds: float
    learning: MidiLearn


_Knob: TypeAlias = tuple[int, str, int, int]
"""An entry's place, a port, a channel and a number."""


class MidiController(Generic[Ticket]):
    """All methods belong to the daemon's one thread, and none waits.

    Deeds are to be done one by one as they are yielded: what the next one is depends on what the last one did.
    """

    def __init__(self, send: Callable[[SendMidi], None], file: MidiMapFile | None) -> None:
        """
        Args:
            send: a message to the open outputs; it must not wait.
            file: the player's own mapping; None: no MIDI is wanted.

        Raises:
            ValueError: something in the file is wrong; the message names the line.
        """
        self._send = send
        self._file = file
        self._users = file.read() if file else MidiMap()
        self._presets = MidiMap()
        self._properties: dict[str, Value] = {}
        self._reader = GestureReader()
        self._held = HeldNotes()
        self._ports = MidiPorts((), ())
        self._takeovers: dict[_Knob, SoftTakeover] = {}
        self._pressed: set[_Knob] = set()
        self._channels: dict[int, int] = {}
        """Where entries were last heard, by their places."""
        self._last_job_id = _FIRST_JOB_ID - 1
        self._waiting: _Waiting[Ticket] | None = None
        self._moving: int | None = None
        """Place of the entry that is obeyed just now."""
        self._to_show: set[int] = set()
        self._show_at_seconds = 0.0

    # --- what it works with ------------------------------------------------------------------------------

    def property_changed(self, name: str, value: Value | None) -> None:
        self._properties[name] = PRESET_OWN if value is None else value
        for place, entry in enumerate(self._entries):
            if isinstance(entry.target, SetProperty) and entry.target.name == name:
                is_fader = entry.target.curve.kind != "toggle"
                if not (is_fader and place == self._moving):  # a fader is not sent where a hand is moving it
                    self._show(place)

    def use_preset_map(self, text: str, name: str) -> None:
        """Obey the map of the preset that plays now; the player's own goes before it.

        Raises:
            ValueError: something in it is wrong, the message names the line; the preset has none then.
        """
        self._presets = MidiMap()
        try:
            self._presets = read_midi_map(text, name)
        finally:
            self._map_changed()

    def ports_changed(self, ports: MidiPorts) -> Iterator[Deed[Ticket]]:
        """Let go of what is held on a port that is gone, and show a new one how things are."""
        gone = set(self._ports.inputs) - set(ports.inputs)
        is_new = set(ports.outputs) - set(self._ports.outputs)
        self._ports = ports
        for port in gone:
            self._reader.forget(port)
        for knob in [knob for knob in self._takeovers if knob[1] in gone]:
            del self._takeovers[knob]
        self._pressed = {knob for knob in self._pressed if knob[1] not in gone}
        if is_new:
            self._show_all()
        yield from _released(self._held.let_go(lambda who: who[0] in gone), time.monotonic())

    def messages_lost(self) -> Iterator[Deed[Ticket]]:
        """Somebody's release may be among them: let go of everything."""
        yield from _released(self._held.let_go(lambda who: True), time.monotonic())

    @property
    def _entries(self) -> tuple[Entry, ...]:
        """An entry's place is its number here."""
        return (*self._users.entries, *self._presets.entries)

    def _map_changed(self) -> None:
        self._takeovers.clear()
        self._pressed.clear()
        self._channels.clear()
        self._show_all()

    def _obeyed_by(self, gesture: Gesture) -> list[tuple[int, Entry]]:
        """With their places; the preset's only where the player's own map says nothing."""
        matching = [(place, entry) for place, entry in enumerate(self._entries) if entry.source.matches(gesture)]
        users = [(place, entry) for place, entry in matching if place < len(self._users.entries)]
        return users or matching

    # --- what comes in -----------------------------------------------------------------------------------

    def hear(self, event: MidiEvent) -> Iterator[Deed[Ticket]]:
        """What a message means."""
        for gesture in self._reader.read(event):
            if self._waiting is not None and (source := self._waiting.learning.hear(gesture)) is not None:
                yield self._learn_from(source)
            yield from self._obey(gesture)

    def _obey(self, gesture: Gesture) -> Iterator[Deed[Ticket]]:
        who = (gesture.port, gesture.channel)
        if gesture.kind == "note" and gesture.value == 0 and self._held.release(who, gesture.number):
            yield Key(gesture.number, 0, gesture.at_seconds)  # even if another map has come since it was struck
        if gesture.kind == "cc":
            yield from self._obey_pedal(who, gesture)
        for place, entry in self._obeyed_by(gesture):
            self._channels[place] = gesture.channel
            knob = (place, gesture.port, gesture.channel, gesture.number)
            is_pressed = self._is_pressed(knob, gesture)
            match entry.target:
                case SetProperty():
                    value = self._value(knob, entry, entry.target, gesture, is_pressed)
                    if value is not None:
                        self._moving = place
                        yield Invocation(COMMANDS["set"], {"name": entry.target.name, "value": value})
                        self._moving = None
                case DoCommand() if is_pressed:
                    yield self._command(entry.target, gesture)
                case PlayNotes() if is_pressed:
                    self._held.strike(who, gesture.number)
                    if entry.target.how == "prompt":
                        yield BeginPhrase()
                    yield Key(gesture.number, gesture.value, gesture.at_seconds)

    def _obey_pedal(self, who: Who, gesture: Gesture) -> Iterator[Deed[Ticket]]:
        if gesture.number == SUSTAIN and gesture.value >= PEDAL_DOWN_FROM:
            if self._is_played(who) and self._held.press_pedal(who):
                yield Pedal(True, gesture.at_seconds)
        elif gesture.number in (SUSTAIN, RESET_CONTROLLERS):
            if self._held.lift_pedal(who):
                yield Pedal(False, gesture.at_seconds)
        elif gesture.number == ALL_SOUND_OFF or gesture.number >= ALL_NOTES_OFF:
            yield from _released(self._held.let_go(lambda holder: holder == who), gesture.at_seconds)

    def _is_played(self, who: Who) -> bool:
        """Whether notes of this port and channel are played."""
        port, channel = who
        return any(
            isinstance(entry.target, PlayNotes)
            and entry.source.channel in (None, channel)
            and entry.source.port.lower() in port.lower()
            for entry in self._entries
        )

    def _is_pressed(self, knob: _Knob, gesture: Gesture) -> bool:
        """Whether a pad is struck, or a button or pedal goes down that was up."""
        if gesture.kind == "note":
            return gesture.value > 0
        if gesture.kind == "program":
            return True
        was_down, is_down = knob in self._pressed, gesture.position >= 0.5
        (self._pressed.add if is_down else self._pressed.discard)(knob)
        return is_down and not was_down

    def _value(
        self, knob: _Knob, entry: Entry, target: SetProperty, gesture: Gesture, is_pressed: bool
    ) -> Value | None:
        """What the property is to be now; None: what it is."""
        present, curve = self._properties[target.name], target.curve
        if curve.kind == "toggle":
            return curve.next_after(present) if is_pressed else None
        if entry.source.counts is not None:
            turned = curve.turned(present, encoder_steps(entry.source.counts, gesture.value))
            return turned if turned != present else None
        value, where = curve.value_at(gesture.position), curve.position_of(present)
        if gesture.kind in ("note", "program"):
            return value if is_pressed and value != present else None
        takeover = self._takeovers.setdefault(knob, SoftTakeover())
        if not takeover.takes_hold(gesture.position, where) and value != present:
            return None
        # A control that is where it was sent shows what is so; its own steps are too coarse to say so again.
        if value == present or (where is not None and value_at(gesture.kind, where) == gesture.value):
            takeover.leave_at(where)
            return None
        takeover.leave_at(curve.position_of(value))
        return value

    def _command(self, target: DoCommand, gesture: Gesture) -> Invocation:
        position = 1.0 if gesture.kind == "program" else gesture.position
        arguments = target.arguments_at(position)
        if any(argument.name == NUMBERED_BY_US for argument in target.command.fixed):
            self._last_job_id += target.command.name != "cancel"
            arguments[NUMBERED_BY_US] = max(_FIRST_JOB_ID, self._last_job_id)
        return Invocation(target.command, arguments)

    # --- learning ----------------------------------------------------------------------------------------

    def learn(
        self, ticket: Ticket, name: str, *, low: float | None, high: float | None, curve: CurveKind | None
    ) -> Iterator[Deed[Ticket]]:
        """Give the property the control that is moved next; whoever waited before is told that he waits in vain.

        Raises:
            CommandError: no such property, no such range, or nothing that could be moved.
        """
        if self._file is None or not self._ports.inputs:
            raise CommandError("refused", f"no MIDI input is open{_because(self._ports.problem)}")
        target = self._target(name, low, high, curve)
        yield from self._give_up("another property is being learned")
        self._waiting = _Waiting(ticket, target, time.monotonic() + LEARNING_SECONDS, MidiLearn())

    def _target(self, name: str, low: float | None, high: float | None, curve: CurveKind | None) -> SetProperty:
        """What the property is to be given: as told, else as the player's own map has it."""
        argument = find_property(name)
        old = [each.target.curve for each in self._users.entries if isinstance(each.target, SetProperty)
               and each.target.name == name]  # fmt: skip
        kind = curve or (old[0].kind if old else "linear")
        if argument.kind == "text":
            values = old[0].values if old else argument.choices
            if not values:
                raise CommandError("refused", f"{name} is no number: give its values in {self._path}")
            return SetProperty(name, Curve(argument, "linear" if kind == "log" else kind, values=values))
        if old and old[0].values and low is None and high is None:
            return SetProperty(name, old[0])
        least, most = (old[0].low, old[0].high) if old and not old[0].values else (argument.low, argument.high)
        low = float(argument.check(least if low is None else low))
        high = float(argument.check(most if high is None else high))
        if kind == "log" and min(low, high) <= 0:
            raise CommandError("out_of_range", f"a log curve needs a range above 0, got {low:g} to {high:g}")
        return SetProperty(name, Curve(argument, kind, low, high))

    def _learn_from(self, source: Source) -> Deed[Ticket]:
        assert self._waiting is not None
        assert self._file is not None
        waiting, self._waiting = self._waiting, None
        if source.counts and waiting.target.curve.kind == "toggle":
            return NotLearned(waiting.ticket, "refused", "an encoder is turned, not pressed: want linear or log")
        try:
            self._users = self._file.bind(source, waiting.target)
        except ValueError as error:
            return NotLearned(waiting.ticket, "bad_file", str(error))
        self._map_changed()
        return Learned(waiting.ticket, waiting.target.name, source_text(source))

    def forget(self, name: str) -> Iterator[Deed[Ticket]]:
        """Take the property's controls from the player's own map, or end the wait for one.

        Raises:
            CommandError: there is nothing to forget.
        """
        find_property(name)
        if self._waiting is not None and self._waiting.target.name == name:
            yield from self._give_up("it is to be forgotten")
            return
        if self._file is None:
            raise CommandError("refused", "no MIDI is open: start the daemon with --midi-in")
        try:
            self._users = self._file.forget(name)
        except ValueError as error:
            raise CommandError("refused", str(error)) from error
        self._map_changed()

    def listing(self) -> list[dict[str, Value]]:
        """All entries, as they are told to clients."""
        return [
            {
                "control": source_text(entry.source),
                "does": target_text(entry.target),
                "from": self._path if place < len(self._users.entries) else "preset",
            }
            for place, entry in enumerate(self._entries)
        ]

    @property
    def _path(self) -> str:
        return str(self._file.path) if self._file else ""

    def _give_up(self, reason: str) -> Iterator[Deed[Ticket]]:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            yield NotLearned(waiting.ticket, "cancelled", reason)

    # --- what is shown -----------------------------------------------------------------------------------

    @property
    def next_due_seconds(self) -> float | None:
        """Monotonic time at which ``run_due`` has something to do."""
        dues = [self._show_at_seconds] if self._to_show else []
        return min([*dues, *([self._waiting.until_seconds] if self._waiting else [])], default=None)

    def run_due(self) -> Iterator[Deed[Ticket]]:
        """Send controls to where their properties are, and end a wait that was too long."""
        now = time.monotonic()
        if self._waiting is not None and now >= self._waiting.until_seconds:
            yield from self._give_up(
                f"no control was moved for {LEARNING_SECONDS:g} s; turn an endless encoder both ways"
            )
        if self._to_show and now >= self._show_at_seconds:
            self._show_at_seconds = now + _SHOW_EVERY_SECONDS
            places, self._to_show = sorted(self._to_show), set()
            entries = self._entries
            for place in places:
                self._send_position(place, entries[place])

    def _show(self, place: int) -> None:
        if self._ports.outputs:
            self._to_show.add(place)

    def _show_all(self) -> None:
        self._to_show.clear()
        for place, entry in enumerate(self._entries):
            if isinstance(entry.target, SetProperty):
                self._show(place)

    def _send_position(self, place: int, entry: Entry) -> None:
        source, target = entry.source, entry.target
        is_overruled = place >= len(self._users.entries) and any(
            each.source.overlaps(source) for each in self._users.entries
        )
        if is_overruled or not isinstance(target, SetProperty) or source.low != source.high:
            return
        if source.kind == "note" and target.curve.kind != "toggle":
            return  # it takes its value from how hard it is hit, and its light would say nothing
        where = target.curve.position_of(self._properties[target.name])
        if where is None:
            return
        channel = source.channel or self._channels.get(place, 1)
        for port in self._ports.outputs:
            if source.port.lower() in port.lower():
                for message in messages_for(source.kind, channel, source.low, value_at(source.kind, where)):
                    self._send(SendMidi(message, port))


def _released(let_go: LetGo, at_seconds: float) -> Iterator[Key | Pedal]:
    for key in let_go.keys:
        yield Key(key, 0, at_seconds)
    if let_go.pedal:
        yield Pedal(False, at_seconds)


def _because(problem: str) -> str:
    return f": {problem}" if problem else ": start the daemon with --midi-in"
