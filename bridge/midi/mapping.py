"""The MIDI mapping: which control does what. Read strictly from TOML; errors name file and line.

Every ``[[map]]`` names one control and one thing that it does::

    [[map]]
    cc = 1
    set = "temperature"
    range = [0.5, 1.2]
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, TypeAlias, get_args

from bridge.midi.gestures import (
    COARSE,
    DATA_CONTROLS,
    ENCODER_COUNTS,
    FINE,
    FIRST_MODE_CONTROL,
    EncoderCounts,
    Gesture,
    GestureKind,
)
from bridge.protocol.curves import Curve
from bridge.protocol.errors import CommandError, nearest, shown
from bridge.protocol.parse import find_property
from bridge.protocol.table import COMMANDS
from bridge.protocol.types import CURVES, PRESET_OWN, Argument, Command, CurveKind, Value

Playing = Literal["prompt", "follow"]
PLAYINGS: tuple[Playing, ...] = get_args(Playing)
JOB_ID_ARGUMENT = "id"
"""The argument of commands that a mapping cannot give: the daemon numbers the jobs that MIDI starts."""
NOT_FOR_MIDI = (
    "ping", "version", "status", "transport", "subscribe", "unsubscribe", "sync", "reply", "get", "set", "presets",
    "take/list", "take/export", "note", "pedal", "midi/learn", "midi/forget", "midi/map",
)  # fmt: skip
"""Commands that are useless without an answer, or have their own kind of entry."""
_HEADER = re.compile(r"\s*\[\[\s*map\s*\]\]")
_NUMBERED: Mapping[str, tuple[GestureKind, int, int]] = {
    "note": ("note", 0, COARSE),
    "cc": ("cc", 0, FIRST_MODE_CONTROL - 1),
    "encoder": ("cc", 0, FIRST_MODE_CONTROL - 1),
    "cc14": ("cc14", 0, 31),
    "nrpn": ("nrpn", 0, FINE - 1),
    "key_pressure": ("key_pressure", 0, COARSE),
    "program": ("program", 1, COARSE + 1),
}
"""Controls that have a number: as people count it, programs from 1."""
_SINGLE: Mapping[str, GestureKind] = {"bend": "bend", "pressure": "pressure"}
_SOURCES = (*_NUMBERED, "notes", *_SINGLE)
_TARGETS: Mapping[str, tuple[str, ...]] = {
    "set": ("range", "values", "curve"),
    "do": ("with", "velocity"),
    "play": (),
}
"""What an entry does, and the keys that go with it."""
_FILTERS = ("channel", "port")
_COUNTS = "counts"


@dataclass(frozen=True)
class Source:
    """Which control: a kind, its numbers from ``low`` to ``high``, and where it may come from."""

    kind: GestureKind
    low: int
    high: int
    channel: int | None = None
    """1 to 16; None: any."""
    port: str = ""
    """A part of the port's name, in any case."""
    counts: EncoderCounts | None = None
    """How an endless encoder sends relative steps; None: the control sends its absolute position."""

    def matches(self, gesture: Gesture) -> bool:
        return (
            gesture.kind == self.kind
            and self.low <= gesture.number <= self.high
            and self.channel in (None, gesture.channel)
            and self.port.lower() in gesture.port.lower()
        )

    def overlaps(self, other: Source) -> bool:
        """Whether one movement can match both, whatever the ports are."""
        return (
            self.kind == other.kind
            and self.low <= other.high
            and other.low <= self.high
            and (None in (self.channel, other.channel) or self.channel == other.channel)
        )


@dataclass(frozen=True)
class SetProperty:
    name: str
    curve: Curve


@dataclass(frozen=True)
class DoCommand:
    command: Command
    arguments: Mapping[str, Value]
    by_velocity: tuple[tuple[Argument, float, float], ...]
    """Arguments that depend on the velocity: their values at the lowest and at the highest."""

    def arguments_at(self, position: float) -> dict[str, Value]:
        """All arguments, at a velocity of 0 to 1."""
        hit = {
            argument.name: Curve(argument, "linear", low, high).value_at(position)
            for argument, low, high in self.by_velocity
        }
        return {**self.arguments, **hit}


@dataclass(frozen=True)
class PlayNotes:
    """``prompt``: a phrase for the model; ``follow``: for a take that follows."""

    how: Playing


Target: TypeAlias = SetProperty | DoCommand | PlayNotes


@dataclass(frozen=True)
class Entry:
    source: Source
    target: Target
    line: int
    """In the file, from 1."""


@dataclass(frozen=True)
class MidiMap:
    entries: tuple[Entry, ...] = ()

    def matching(self, gesture: Gesture) -> list[Entry]:
        return [entry for entry in self.entries if entry.source.matches(gesture)]


def read_midi_map(text: str, name: str) -> MidiMap:
    """Check a mapping file.

    Args:
        name: of the file, for the message.

    Raises:
        ValueError: the message names file and line, what is wrong there and what may be there.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        told = str(error)
        at = re.search(r"\(at line (\d+), column \d+\)", told)
        where = f"line {at[1]}" if at else f"line {text.count(chr(10)) + 1}"
        what = told[: at.start()].strip() if at else told.removesuffix("(at end of document)").strip()
        raise ValueError(f"{name}, {where}: {what}; this is no TOML") from None
    lines = text.splitlines()
    for key in document:
        if key != "map":
            line = _line_of(key, lines, 0, len(lines))
            raise ValueError(f"{name}, line {line}: unknown key {shown(key)}{nearest(key, ['map'])}, as [[map]]")
    headers = [number for number, line in enumerate(lines) if _HEADER.match(line)]
    tables = document.get("map", [])
    if not isinstance(tables, list) or len(headers) != len(tables):
        line = _line_of("map", lines, 0, len(lines))
        raise ValueError(f"{name}, line {line}: write every entry as a table of its own, under [[map]]")
    return MidiMap(
        tuple(
            _Reader(table, name, lines, first, stop).entry()
            for table, (first, stop) in zip(tables, pairwise([*headers, len(lines)]), strict=True)
        )
    )


def _line_of(key: str, lines: list[str], first: int, stop: int) -> int:
    """The number, from 1, of the first line that seems to give this key a value; else of the first line."""
    if not key:
        return first + 1
    sought = re.compile(rf"""(^|[\s,{{\[.])["']?{re.escape(key)}["']?\s*[=\].]""")
    return next((number + 1 for number in range(first, stop) if sought.search(lines[number])), first + 1)


class _Reader:
    """Reads one entry, knowing its lines in the file."""

    def __init__(self, table: Mapping[str, Any], name: str, lines: list[str], first: int, stop: int) -> None:
        self._table, self._name, self._lines, self._first, self._stop = table, name, lines, first, stop

    def entry(self) -> Entry:
        source_key, target_key = self._one_of(_SOURCES, "control"), self._one_of(tuple(_TARGETS), "thing to do")
        allowed = (source_key, target_key, *_TARGETS[target_key], *_FILTERS)
        allowed += (_COUNTS,) if source_key == "encoder" else ()
        for key in self._table:
            if key not in allowed:
                raise self._error(key, f"unknown key {shown(key)} beside {target_key!r}{nearest(key, allowed)}")
        source = self._source(source_key)
        match target_key:
            case "set":
                setting = self._set_property()
                target: Target = setting
                if source.counts and setting.curve.kind == "toggle":
                    raise self._error("curve", "an encoder is turned, not pressed: want linear or log")
            case "do":
                target = self._do_command()
            case _:
                target = self._play_notes(source)
        return Entry(source, target, self._first + 1)

    def _error(self, key: str, message: str) -> ValueError:
        line = _line_of(key, self._lines, self._first, self._stop)
        return ValueError(f"{self._name}, line {line}: {message}")

    def _one_of(self, keys: tuple[str, ...], what: str) -> str:
        given = [key for key in self._table if key in keys]
        if len(given) > 1:
            raise self._error(given[1], f"{' and '.join(map(repr, given))}: want one {what} an entry")
        if not given:
            every = (*_SOURCES, *_TARGETS, *(key for more in _TARGETS.values() for key in more), *_FILTERS, _COUNTS)
            for key in self._table:
                if key not in every:
                    raise self._error(key, f"unknown key {shown(key)}{nearest(key, every)}")
            raise self._error("", f"the entry has no {what}: want one of {', '.join(keys)}")
        return given[0]

    def _source(self, key: str) -> Source:
        channel = None if "channel" not in self._table else self._whole("channel", self._table["channel"], 1, 16)
        port = self._table.get("port", "")
        if not isinstance(port, str):
            raise self._error("port", f"port must be a part of a port's name, got {shown(port)}")
        value = self._table[key]
        if key in _SINGLE:
            if value is not True:
                raise self._error(key, f"{key} must be true, got {shown(value)}")
            return Source(_SINGLE[key], 0, 0, channel, port)
        if key == "notes":
            low, high = self._pair(key, value)
            low, high = self._whole(key, low, 0, COARSE), self._whole(key, high, 0, COARSE)
            if low > high:
                raise self._error(key, f"notes must be [lowest, highest], got [{low}, {high}]")
            return Source("note", low, high, channel, port)
        kind, least, most = _NUMBERED[key]
        number = self._whole(key, value, least, most)
        if kind == "cc" and number in DATA_CONTROLS:
            raise self._error(key, f"cc {number} is a part of NRPN and RPN; map nrpn instead")
        number -= least if kind == "program" else 0
        return Source(kind, number, number, channel, port, self._encoder_counts() if key == "encoder" else None)

    def _encoder_counts(self) -> EncoderCounts:
        if "set" not in self._table:
            raise self._error("encoder", "an encoder can only set a property")
        counts: EncoderCounts = self._table.get(_COUNTS, ENCODER_COUNTS[0])
        if counts not in ENCODER_COUNTS:
            raise self._error(_COUNTS, f"{_COUNTS} is {shown(counts)}{nearest(str(counts), ENCODER_COUNTS)}")
        return counts

    def _set_property(self) -> SetProperty:
        name, kind = self._table["set"], self._table.get("curve")
        try:
            argument = find_property(name if isinstance(name, str) else shown(name))
        except CommandError as error:
            raise self._error("set", str(error)) from None
        if kind is not None and kind not in CURVES:
            raise self._error("curve", f"curve is {shown(kind)}{nearest(str(kind), CURVES)}")
        if "values" in self._table or argument.kind == "text":
            if "range" in self._table:
                raise self._error("range", f"{argument.name} takes values here, and no range")
            return SetProperty(argument.name, self._steps(argument, kind or "linear"))
        low, high = argument.low, argument.high
        if "range" in self._table:
            low, high = (self._number("range", argument, value) for value in self._pair("range", self._table["range"]))
        if kind == "log" and min(low, high) <= 0:
            raise self._error("curve", f"a log curve needs a range above 0, got {low:g} to {high:g}; use linear")
        return SetProperty(argument.name, Curve(argument, kind or "linear", low, high))

    def _steps(self, argument: Argument, kind: CurveKind) -> Curve:
        values = self._table.get("values", [*argument.choices])
        if not isinstance(values, list) or not values:
            raise self._error("values" if "values" in self._table else "set", f"{argument.name} wants values = [..]")
        if kind == "log":
            raise self._error("curve", "values lie side by side: want linear or toggle")
        checked = tuple(
            PRESET_OWN if value == PRESET_OWN and argument.default is None else self._checked("values", argument, value)
            for value in values
        )
        return Curve(argument, kind, values=checked)

    def _do_command(self) -> DoCommand:
        name = self._table["do"]
        commands = {each: command for each, command in COMMANDS.items() if each not in NOT_FOR_MIDI}
        if name not in commands:
            named = [each for each, command in commands.items() if not command.sets]
            raise self._error("do", f"unknown command {shown(name)}{nearest(str(name), named)}")
        command = commands[name]
        known = {each.name: each for each in (*command.fixed, *command.keys) if each.name != JOB_ID_ARGUMENT}
        given, hit = (self._inner(key, known) for key in ("with", "velocity"))
        arguments = {each: self._checked(each, known[each], value) for each, value in given.items()}
        by_velocity = []
        for each, ends in hit.items():
            argument = known[each]
            if argument.kind not in ("float", "int"):
                raise self._error(each, f"{each} is no number, and velocity cannot set it")
            low, high = (self._number(each, argument, value) for value in self._pair(each, ends))
            by_velocity.append((argument, low, high))
        for argument in command.fixed:
            if argument.name not in (*given, *hit, JOB_ID_ARGUMENT):
                raise self._error("do", f"{name} needs {argument.name}: add with = {{ {argument.name} = .. }}")
        return DoCommand(command, arguments, tuple(by_velocity))

    def _inner(self, key: str, known: Mapping[str, Argument]) -> Mapping[str, Any]:
        table = self._table.get(key, {})
        if not isinstance(table, dict):
            raise self._error(key, f"{key} must be {{ argument = value }}, got {shown(table)}")
        for each in table:
            if each not in known:
                raise self._error(each, f"unknown argument {shown(each)} of {self._table['do']}{nearest(each, known)}")
        return table

    def _play_notes(self, source: Source) -> PlayNotes:
        how = self._table["play"]
        if how not in PLAYINGS:
            raise self._error("play", f"play is {shown(how)}{nearest(str(how), PLAYINGS)}")
        if source.kind != "note":
            raise self._error("play", "only a note, or notes = [lowest, highest], can be played")
        return PlayNotes(how)

    def _pair(self, key: str, value: object) -> tuple[Any, Any]:
        if not isinstance(value, list) or len(value) != 2:
            raise self._error(key, f"{key} must be two numbers, as in [0, 1], got {shown(value)}")
        return value[0], value[1]

    def _whole(self, key: str, value: object, low: int, high: int) -> int:
        return int(self._checked(key, Argument(key, "int", "", low=low, high=high), value))

    def _number(self, key: str, argument: Argument, value: object) -> float:
        return float(self._checked(key, argument, value))

    def _checked(self, key: str, argument: Argument, value: object) -> Value:
        try:
            return argument.check(value)
        except CommandError as error:
            raise self._error(key, str(error)) from None


def source_text(source: Source) -> str:
    """The control as shown to users."""
    numbers = str(source.low) if source.low == source.high else f"{source.low} to {source.high}"
    if source.kind == "program":
        numbers = str(source.low + 1)
    kind = "encoder" if source.counts else source.kind
    what = kind if kind in _SINGLE.values() else f"{kind} {numbers}"
    channel = f" on channel {source.channel}" if source.channel else ""
    return f"{what}{channel}" + (f" of {source.port}" if source.port else "")


def target_text(target: Target) -> str:
    """What an entry does, as shown to users."""
    match target:
        case SetProperty():
            return f"set {target.name}"
        case DoCommand():
            return f"do {target.command.name}"
        case PlayNotes():
            return f"play {target.how}"


def toml_entry(source: Source, target: SetProperty) -> str:
    """An entry of a mapping file, as `read_midi_map` reads it back."""
    key = "encoder" if source.counts else "notes" if source.low != source.high else source.kind
    number: object = [source.low, source.high] if key == "notes" else source.low + (source.kind == "program")
    lines = ["[[map]]", f"{key} = {_toml(True if source.kind in _SINGLE.values() else number)}"]
    lines += [f"{_COUNTS} = {_toml(source.counts)}"] if source.counts else []
    lines += [f"channel = {source.channel}"] if source.channel else []
    lines += [f"port = {_toml(source.port)}"] if source.port else []
    lines.append(f"set = {_toml(target.name)}")
    curve = target.curve
    lines.append(f"values = {_toml(curve.values)}" if curve.values else f"range = {_toml([curve.low, curve.high])}")
    lines.append(f"curve = {_toml(curve.kind)}")
    return "\n".join(lines) + "\n"


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    if isinstance(value, Iterable):
        return f"[{', '.join(_toml(each) for each in value)}]"
    return repr(value)
