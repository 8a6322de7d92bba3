"""MIDI controllers: what their messages do by the mapping, and which values are sent back to them."""

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
from bridge.midi.held_notes import HeldNotes, PortChannel, Released
from bridge.midi.learn import MidiLearn
from bridge.midi.mapping import (
    JOB_ID_ARGUMENT,
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
_SEND_EVERY_SECONDS = 0.02
"""Between two transmissions of changed values: a MIDI cable carries a thousand messages a second."""
_FIRST_JOB_ID = 1

Ticket = TypeVar("Ticket")


@dataclass(frozen=True)
class PhraseKeyDown:
    """A key that is mapped to play a phrase goes down: if none is being played, one begins here."""


@dataclass(frozen=True)
class Learned(Generic[Ticket]):
    """A control was bound to a property; ``ticket`` asked for it."""

    ticket: Ticket
    name: str
    control: str


@dataclass(frozen=True)
class NotLearned(Generic[Ticket]):
    """No control was bound to the property that ``ticket`` asked for, for the reason given."""

    ticket: Ticket
    code: FailCode
    reason: str


Action: TypeAlias = Invocation | Key | Pedal | PhraseKeyDown | Learned[Ticket] | NotLearned[Ticket]


@dataclass
class _Waiting(Generic[Ticket]):
    """A property to which the next control that is moved will be bound."""

    ticket: Ticket
    target: SetProperty
    until_seconds: float
    learning: MidiLearn


_ControlId: TypeAlias = tuple[int, str, int, int]
"""The index of an entry, a port, a channel and a number."""


class MidiController(Generic[Ticket]):
    """All methods belong to the daemon's one thread, and none waits.

    Actions must be carried out one by one as they are yielded: which one is next depends on what the last one did.
    """

    def __init__(self, send: Callable[[SendMidi], None], file: MidiMapFile | None) -> None:
        """
        Args:
            send: sends a message to the open outputs; it must not wait.
            file: the user's mapping file; None: MIDI is off.

        Raises:
            ValueError: something in the file is wrong; the message names the line.
        """
        self._send = send
        self._file = file
        self._user_map = file.read() if file else MidiMap()
        self._preset_map = MidiMap()
        self._properties: dict[str, Value] = {}
        self._reader = GestureReader()
        self._held = HeldNotes()
        self._ports = MidiPorts((), ())
        self._takeovers: dict[_ControlId, SoftTakeover] = {}
        self._pressed: set[_ControlId] = set()
        self._channels: dict[int, int] = {}
        """The channel that each entry last received on, by its index."""
        self._last_job_id = _FIRST_JOB_ID - 1
        self._waiting: _Waiting[Ticket] | None = None
        self._setting: int | None = None
        """Index of the entry whose property is being set just now."""
        self._to_send: set[int] = set()
        self._send_at_seconds = 0.0

    # --- properties, mappings, ports ---------------------------------------------------------------------

    def property_changed(self, name: str, value: Value | None) -> None:
        """A property has a new value, to be sent to the controls that set it; None: the preset's own."""
        self._properties[name] = PRESET_OWN if value is None else value
        for index, entry in enumerate(self._entries):
            if isinstance(entry.target, SetProperty) and entry.target.name == name:
                is_fader = entry.target.curve.kind != "toggle"
                if not (is_fader and index == self._setting):  # a motor fader would fight the hand that moves it
                    self._mark_to_send(index)

    def use_preset_map(self, text: str, name: str) -> None:
        """Use the mapping of the preset that plays now; entries of the user's mapping take precedence.

        Raises:
            ValueError: something in it is wrong, the message names the line; no preset mapping is used then.
        """
        self._preset_map = MidiMap()
        try:
            self._preset_map = read_midi_map(text, name)
        finally:
            self._map_changed()

    def ports_changed(self, ports: MidiPorts) -> Iterator[Action[Ticket]]:
        """Release what is held on a port that is gone, and send all values to a new one."""
        gone = set(self._ports.inputs) - set(ports.inputs)
        is_new = set(ports.outputs) - set(self._ports.outputs)
        self._ports = ports
        for port in gone:
            self._reader.forget(port)
        for control_id in [control_id for control_id in self._takeovers if control_id[1] in gone]:
            del self._takeovers[control_id]
        self._pressed = {control_id for control_id in self._pressed if control_id[1] not in gone}
        if is_new:
            self._mark_all_to_send()
        yield from _release_actions(self._held.release_all(lambda who: who[0] in gone), time.monotonic())

    def messages_lost(self) -> Iterator[Action[Ticket]]:
        """Messages were dropped, perhaps releases of keys: release everything."""
        yield from _release_actions(self._held.release_all(lambda who: True), time.monotonic())

    @property
    def _entries(self) -> tuple[Entry, ...]:
        """Of both mappings; the index of an entry is its index here."""
        return (*self._user_map.entries, *self._preset_map.entries)

    def _map_changed(self) -> None:
        self._takeovers.clear()
        self._pressed.clear()
        self._channels.clear()
        self._mark_all_to_send()

    def _entries_for(self, gesture: Gesture) -> list[tuple[int, Entry]]:
        """The entries for a gesture, with their indices; the preset's only where the user's mapping has none."""
        matching = [(index, entry) for index, entry in enumerate(self._entries) if entry.source.matches(gesture)]
        users = [(index, entry) for index, entry in matching if index < len(self._user_map.entries)]
        return users or matching

    # --- incoming messages -------------------------------------------------------------------------------

    def receive(self, event: MidiEvent) -> Iterator[Action[Ticket]]:
        """The actions that a message asks for."""
        for gesture in self._reader.read(event):
            if self._waiting is not None and (source := self._waiting.learning.receive(gesture)) is not None:
                yield self._learn_from(source)
            yield from self._actions_for(gesture)

    def _actions_for(self, gesture: Gesture) -> Iterator[Action[Ticket]]:
        who = (gesture.port, gesture.channel)
        if gesture.kind == "note" and gesture.value == 0 and self._held.release(who, gesture.number):
            yield Key(gesture.number, 0, gesture.at_seconds)  # even if the mapping has changed since it went down
        if gesture.kind == "cc":
            yield from self._pedal_actions(who, gesture)
        for index, entry in self._entries_for(gesture):
            self._channels[index] = gesture.channel
            control_id = (index, gesture.port, gesture.channel, gesture.number)
            is_pressed = self._is_pressed(control_id, gesture)
            match entry.target:
                case SetProperty():
                    value = self._value(control_id, entry, entry.target, gesture, is_pressed)
                    if value is not None:
                        self._setting = index
                        yield Invocation(COMMANDS["set"], {"name": entry.target.name, "value": value})
                        self._setting = None
                case DoCommand() if is_pressed:
                    yield self._command(entry.target, gesture)
                case PlayNotes() if is_pressed:
                    self._held.press(who, gesture.number)
                    if entry.target.how == "prompt":
                        yield PhraseKeyDown()
                    yield Key(gesture.number, gesture.value, gesture.at_seconds)

    def _pedal_actions(self, who: PortChannel, gesture: Gesture) -> Iterator[Action[Ticket]]:
        if gesture.number == SUSTAIN and gesture.value >= PEDAL_DOWN_FROM:
            if self._is_played(who) and self._held.press_pedal(who):
                yield Pedal(True, gesture.at_seconds)
        elif gesture.number in (SUSTAIN, RESET_CONTROLLERS):
            if self._held.lift_pedal(who):
                yield Pedal(False, gesture.at_seconds)
        elif gesture.number == ALL_SOUND_OFF or gesture.number >= ALL_NOTES_OFF:
            yield from _release_actions(self._held.release_all(lambda holder: holder == who), gesture.at_seconds)

    def _is_played(self, who: PortChannel) -> bool:
        """Whether notes of this port and channel are played."""
        port, channel = who
        return any(
            isinstance(entry.target, PlayNotes)
            and entry.source.channel in (None, channel)
            and entry.source.port.lower() in port.lower()
            for entry in self._entries
        )

    def _is_pressed(self, control_id: _ControlId, gesture: Gesture) -> bool:
        """Whether a pad is struck, or a button or pedal goes down that was up."""
        if gesture.kind == "note":
            return gesture.value > 0
        if gesture.kind == "program":
            return True
        was_down, is_down = control_id in self._pressed, gesture.position >= 0.5
        (self._pressed.add if is_down else self._pressed.discard)(control_id)
        return is_down and not was_down

    def _value(
        self, control_id: _ControlId, entry: Entry, target: SetProperty, gesture: Gesture, is_pressed: bool
    ) -> Value | None:
        """The new value of the property; None: it stays as it is."""
        present, curve = self._properties[target.name], target.curve
        if curve.kind == "toggle":
            return curve.next_after(present) if is_pressed else None
        if entry.source.counts is not None:
            turned = curve.turned(present, encoder_steps(entry.source.counts, gesture.value))
            return turned if turned != present else None
        value, where = curve.value_at(gesture.position), curve.position_of(present)
        if gesture.kind in ("note", "program"):
            return value if is_pressed and value != present else None
        takeover = self._takeovers.setdefault(control_id, SoftTakeover())
        if not takeover.takes_hold(gesture.position, where) and value != present:
            return None
        # A control that was sent to this position must not set the value again, in its own coarser steps.
        if value == present or (where is not None and value_at(gesture.kind, where) == gesture.value):
            takeover.leave_at(where)
            return None
        takeover.leave_at(curve.position_of(value))
        return value

    def _command(self, target: DoCommand, gesture: Gesture) -> Invocation:
        position = 1.0 if gesture.kind == "program" else gesture.position
        arguments = target.arguments_at(position)
        if any(argument.name == JOB_ID_ARGUMENT for argument in target.command.fixed):
            self._last_job_id += target.command.name != "cancel"
            arguments[JOB_ID_ARGUMENT] = max(_FIRST_JOB_ID, self._last_job_id)
        return Invocation(target.command, arguments)

    # --- learning ----------------------------------------------------------------------------------------

    def learn(
        self, ticket: Ticket, name: str, *, low: float | None, high: float | None, curve: CurveKind | None
    ) -> Iterator[Action[Ticket]]:
        """Bind the control that is moved next to the property; a request that still waited fails.

        Raises:
            CommandError: no such property, no such range, or nothing that could be moved.
        """
        if self._file is None or not self._ports.inputs:
            raise CommandError("refused", f"no MIDI input is open{_because(self._ports.problem)}")
        target = self._target(name, low, high, curve)
        yield from self._give_up("another property is being learned")
        self._waiting = _Waiting(ticket, target, time.monotonic() + LEARNING_SECONDS, MidiLearn())

    def _target(self, name: str, low: float | None, high: float | None, curve: CurveKind | None) -> SetProperty:
        """The target for the control: as requested, the rest as in the user's mapping so far."""
        argument = find_property(name)
        old = [each.target.curve for each in self._user_map.entries if isinstance(each.target, SetProperty)
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

    def _learn_from(self, source: Source) -> Action[Ticket]:
        assert self._waiting is not None
        assert self._file is not None
        waiting, self._waiting = self._waiting, None
        if source.counts and waiting.target.curve.kind == "toggle":
            return NotLearned(waiting.ticket, "refused", "an encoder is turned, not pressed: want linear or log")
        try:
            self._user_map = self._file.bind(source, waiting.target)
        except ValueError as error:
            return NotLearned(waiting.ticket, "bad_file", str(error))
        self._map_changed()
        return Learned(waiting.ticket, waiting.target.name, source_text(source))

    def forget(self, name: str) -> Iterator[Action[Ticket]]:
        """Remove the property's controls from the user's mapping, or end the wait for one.

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
            self._user_map = self._file.forget(name)
        except ValueError as error:
            raise CommandError("refused", str(error)) from error
        self._map_changed()

    def listing(self) -> list[dict[str, Value]]:
        """All entries, as ``midi/map`` replies them."""
        return [
            {
                "control": source_text(entry.source),
                "does": target_text(entry.target),
                "from": self._path if index < len(self._user_map.entries) else "preset",
            }
            for index, entry in enumerate(self._entries)
        ]

    @property
    def _path(self) -> str:
        return str(self._file.path) if self._file else ""

    def _give_up(self, reason: str) -> Iterator[Action[Ticket]]:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            yield NotLearned(waiting.ticket, "cancelled", reason)

    # --- values sent back --------------------------------------------------------------------------------

    @property
    def next_due_seconds(self) -> float | None:
        """Monotonic time at which ``run_due`` has something to do."""
        dues = [self._send_at_seconds] if self._to_send else []
        return min([*dues, *([self._waiting.until_seconds] if self._waiting else [])], default=None)

    def run_due(self) -> Iterator[Action[Ticket]]:
        """Send changed values to the controls of their properties, and end a wait that was too long."""
        now = time.monotonic()
        if self._waiting is not None and now >= self._waiting.until_seconds:
            yield from self._give_up(
                f"no control was moved for {LEARNING_SECONDS:g} s; turn an endless encoder both ways"
            )
        if self._to_send and now >= self._send_at_seconds:
            self._send_at_seconds = now + _SEND_EVERY_SECONDS
            indices, self._to_send = sorted(self._to_send), set()
            entries = self._entries
            for index in indices:
                self._send_position(index, entries[index])

    def _mark_to_send(self, index: int) -> None:
        if self._ports.outputs:
            self._to_send.add(index)

    def _mark_all_to_send(self) -> None:
        self._to_send.clear()
        for index, entry in enumerate(self._entries):
            if isinstance(entry.target, SetProperty):
                self._mark_to_send(index)

    def _send_position(self, index: int, entry: Entry) -> None:
        source, target = entry.source, entry.target
        is_overridden = index >= len(self._user_map.entries) and any(
            each.source.overlaps(source) for each in self._user_map.entries
        )
        if is_overridden or not isinstance(target, SetProperty) or source.low != source.high:
            return
        if source.kind == "note" and target.curve.kind != "toggle":
            return  # its value is its velocity, which a pad light cannot show
        where = target.curve.position_of(self._properties[target.name])
        if where is None:
            return
        channel = source.channel or self._channels.get(index, 1)
        for port in self._ports.outputs:
            if source.port.lower() in port.lower():
                for message in messages_for(source.kind, channel, source.low, value_at(source.kind, where)):
                    self._send(SendMidi(message, port))


def _release_actions(released: Released, at_seconds: float) -> Iterator[Key | Pedal]:
    for key in released.keys:
        yield Key(key, 0, at_seconds)
    if released.pedal:
        yield Pedal(False, at_seconds)


def _because(problem: str) -> str:
    return f": {problem}" if problem else ": start the daemon with --midi-in"
