"""What the table is made of: typed arguments that check values, commands, and commands with checked values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from bridge.protocol.errors import NO_ID, CommandError, FailCode, nearest, shown

NAMESPACE = "/melnet"
"""Every address begins with it."""
INT32_MAX = 2**31 - 1
PRESET_OWN = "preset"
"""The word that gives a property back to the preset."""

Value = int | float | bool | str
Late = Literal["play", "next", "drop"]
Clock = Literal["internal", "midi", "link"]
CLOCKS: tuple[Clock, ...] = get_args(Clock)
LATE_CHOICES: tuple[Late, ...] = get_args(Late)
CurveKind = Literal["linear", "log", "toggle"]
CURVES: tuple[CurveKind, ...] = get_args(CurveKind)
"""Of a MIDI control, from all the way down to all the way up."""
Follow = Literal["off", "free", "rest"]
FOLLOW_CHOICES: tuple[Follow, ...] = get_args(Follow)
Renew = Literal["sound", "notes"]
RENEW_CHOICES: tuple[Renew, ...] = get_args(Renew)
Kind = Literal["float", "int", "bool", "text", "value"]


@dataclass(frozen=True)
class Argument:
    """One typed value. ``default`` None: required when fixed; a property's or the preset's own when a key."""

    name: str
    kind: Kind
    help: str
    unit: str = ""
    low: float = -math.inf
    high: float = math.inf
    default: Value | None = None
    longest: int = 1024
    """Most characters of a text."""
    choices: tuple[str, ...] = ()
    """Of a text; none: any."""
    or_word: str = ""
    """Taken in place of a number, and OSC's nil for this word; none: no word is."""

    def check(self, value: object) -> Value:
        """The value in this argument's own type.

        Raises:
            CommandError: wrong type, NaN, infinite, out of range or too long.
        """
        if self.or_word and (value is None or value == self.or_word):
            return self.or_word
        if self.kind == "text":
            return self._check_text(value)
        if self.kind == "value":
            if isinstance(value, str):
                return self._check_text(value)
            if isinstance(value, (bool, int, float)):
                return value
            raise self._wrong_type(value)
        if self.kind == "bool":
            if isinstance(value, (bool, int, float)) and value in (0, 1):
                return bool(value)
            raise self._wrong_type(value)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self._wrong_type(value)
        # The comparison is false for NaN.
        if not self.low <= value <= self.high or math.isinf(value):
            raise CommandError("out_of_range", f"{self.name} must be {self.range_text()}, got {shown(value)}")
        if self.kind == "float":
            return float(value)
        if value != int(value):
            raise CommandError("wrong_type", f"{self.name} must be a whole number, got {shown(value)}")
        return int(value)

    def _check_text(self, value: object) -> str:
        if not isinstance(value, str):
            raise self._wrong_type(value)
        if not value:
            raise CommandError("missing_argument", f"{self.name} is empty")
        if len(value) > self.longest:
            raise CommandError(
                "too_long",
                f"{self.name} may have {self.longest} characters, got {len(value)}: {shown(value)}",
            )
        if not value.isprintable():
            raise CommandError("wrong_type", f"{self.name} holds unprintable characters: {shown(value)}")
        if self.choices and value not in self.choices:
            raise CommandError("out_of_range", f"{self.name} is {shown(value)}{nearest(value, self.choices)}")
        return value

    def _wrong_type(self, value: object) -> CommandError:
        kinds = {"float": "a number", "int": "a whole number", "bool": "0 or 1", "text": "text"}
        wanted = kinds.get(self.kind, "a number or text") + (f" or {self.or_word!r}" if self.or_word else "")
        return CommandError("wrong_type", f"{self.name} must be {wanted}, got {shown(value)}")

    def range_text(self) -> str:
        if self.kind == "text":
            return ", ".join(f"`{choice}`" for choice in self.choices) or "text"
        if self.kind == "bool":
            return "0 or 1"
        bounds = f"{self.low:.10g} to {self.high:.10g}" if self.high < INT32_MAX else f"{self.low:.10g} or more"
        return f"{bounds} {self.unit}".rstrip()


@dataclass(frozen=True)
class Field:
    """One value of a message that the daemon sends."""

    name: str
    """In angle brackets: the name differs."""
    kind: Kind
    help: str
    unit: str = ""
    when: str = ""
    """The condition under which it is sent; empty: always."""
    named: bool = True
    """Whether its name is sent before it."""
    repeated: bool = False
    """Whether it comes any number of times."""


@dataclass(frozen=True)
class Command:
    """One address below ``/melnet``."""

    name: str
    help: str
    answers: tuple[str, ...] = ("done",)
    """What it is answered by, unless it fails; ``NAME.reply`` is made of ``reply``."""
    fixed: tuple[Argument, ...] = ()
    keys: tuple[Argument, ...] = ()
    done: tuple[Field, ...] = ()
    """What ``done`` says after command and id."""
    reply: tuple[Field, ...] = ()
    fails: tuple[FailCode, ...] = ()
    """Codes of ``fail``, besides those of every command."""
    example: str = ""
    """Arguments, as they are typed in a DAW."""
    sets: str = ""
    """The property whose value is this command's one argument; none: it is not such a command."""

    @property
    def address(self) -> str:
        return f"{NAMESPACE}/{self.name}"

    @property
    def is_job(self) -> bool:
        """Whether it makes a take, of which is told until it is finished."""
        return "finished" in self.answers


@dataclass(frozen=True)
class Invocation:
    """A checked command: fixed arguments and keys by name; keys that did not come are absent."""

    command: Command
    arguments: Mapping[str, Value] = field(default_factory=dict)

    @property
    def job_id(self) -> int:
        return int(self.arguments.get("id", NO_ID))
