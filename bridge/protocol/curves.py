"""Which value of a property a MIDI control's position stands for, and the other way round."""

from __future__ import annotations

from dataclasses import dataclass
from math import log

from bridge.protocol.types import Argument, CurveKind, Value

STEP = 1 / 128
"""Of the range, for each step of an endless encoder."""


@dataclass(frozen=True)
class Curve:
    """Maps positions, from 0 (all the way down) to 1 (all the way up), to values.

    ``linear``: equal differences; ``log``: equal ratios; ``toggle``: every press is the next value. ``low`` may be
    above ``high``.
    """

    argument: Argument
    kind: CurveKind
    low: float = 0.0
    high: float = 0.0
    values: tuple[Value, ...] = ()
    """In place of a range: these values, equally spaced."""

    def value_at(self, position: float) -> Value:
        if self.values:
            return self.values[min(int(position * len(self.values)), len(self.values) - 1)]
        if not 0.0 < position < 1.0:  # the ends exactly
            value = self.high if position >= 1.0 else self.low
        elif self.kind == "log":
            value = self.low * (self.high / self.low) ** position
        else:
            value = self.low + (self.high - self.low) * position
        return round(value) if self.argument.kind == "int" else value

    def position_of(self, value: Value | None) -> float | None:
        """The position that stands for a value, the nearer end if it is outside the range; None: there is none."""
        if self.values:
            if value not in self.values:
                return None
            index = self.values.index(value)
            return (index + 0.5) / len(self.values) if self.kind != "toggle" else index / max(1, len(self.values) - 1)
        if value is None or isinstance(value, str):
            return None
        within = min(max(float(value), min(self.low, self.high)), max(self.low, self.high))
        if self.low == self.high:
            return None
        if self.kind == "log":
            return log(within / self.low) / log(self.high / self.low)
        return (within - self.low) / (self.high - self.low)

    def turned(self, value: Value | None, steps: int) -> Value:
        """The value after so many steps of an endless encoder; a value without a position starts from the middle."""
        if self.values:
            index = self.values.index(value) + steps if value in self.values else 0
            return self.values[min(max(index, 0), len(self.values) - 1)]
        where = self.position_of(value)
        turned = self.value_at((0.5 if where is None else where) + steps * STEP)
        if self.argument.kind != "int" or turned != value or not isinstance(value, int):
            return turned
        one = 1 if (steps > 0) == (self.high > self.low) else -1  # a step of the encoder is less than 1
        return round(min(max(value + one, min(self.low, self.high)), max(self.low, self.high)))

    def next_after(self, value: Value | None) -> Value:
        """The value after a press."""
        if self.values:
            index = self.values.index(value) + 1 if value in self.values else 0
            return self.values[index % len(self.values)]
        end = self.low if value == self.value_at(1.0) else self.high
        return round(end) if self.argument.kind == "int" else end
