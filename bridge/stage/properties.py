"""The values of all properties, and who is told of each change."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from bridge.clock.transport import Meter, read_meter
from bridge.osc.answers import Answers
from bridge.osc.udp_server import Address
from bridge.protocol.errors import CommandError
from bridge.protocol.table import METER, PROPERTIES
from bridge.protocol.types import PRESET_OWN, Value
from melnet_music.notes.score.settings import pitch_classes

Publish: TypeAlias = Callable[[str, Value | None], None]
"""(property, value); None: the preset's own."""


class Properties:
    """Belongs to the daemon's one thread."""

    def __init__(self, answers: Answers, publish: Sequence[Publish]) -> None:
        """``publish``: all are called with every property now, and with each that changes later; they must not wait."""
        self._answers, self._publish = answers, publish
        self._values: dict[str, Value | None] = {name: argument.default for name, argument in PROPERTIES.items()}
        for name, value in self._values.items():
            for tell in publish:
                tell(name, value)

    @property
    def values(self) -> Mapping[str, Value | None]:
        """By name; None: the preset's own. The same mapping always, with the values of now."""
        return self._values

    def number(self, name: str) -> float:
        """The value of a property that is a number; 0 where it is the preset's own."""
        return float(self._values[name] or 0.0)

    @property
    def meter(self) -> Meter:
        return requested_meter(str(self._values[METER.name]))

    def shown(self, name: str) -> Value:
        """The value as clients are told it."""
        return shown_property(self._values[name])

    def change(self, name: str, value: Value | None) -> None:
        """Store a value, and tell all who show properties, and the subscribers."""
        self._values[name] = value
        for tell in self._publish:
            tell(name, value)
        self._answers.tell("property", [name, shown_property(value)])

    def tell_all(self, subscriber: Address) -> None:
        """Tell a new subscriber the value of every property."""
        for name in self._values:
            self._answers.tell("property", [name, self.shown(name)], only=subscriber)


def requested_meter(text: str) -> Meter:
    """The meter that a client asks for. Raises CommandError: it is none."""
    try:
        return read_meter(text)
    except ValueError as error:
        raise CommandError("out_of_range", str(error)) from error


def check_scale(text: str) -> None:
    """Raises CommandError: there is no such scale."""
    try:
        pitch_classes(text)
    except ValueError as error:
        raise CommandError("out_of_range", str(error)) from error


def shown_property(value: Value | None) -> Value:
    """A value as clients are told it: the word for the preset's own where it is None."""
    return PRESET_OWN if value is None else value
