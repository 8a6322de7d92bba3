"""MIDI learn: finds out which control is being moved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from bridge.midi.gestures import (
    COARSE,
    DATA_CONTROLS,
    FIRST_MODE_CONTROL,
    STEPS,
    EncoderCounts,
    Gesture,
)
from bridge.midi.mapping import Source

_MOVED = 3 / COARSE
"""Of its range: a smaller change may be the jitter of a worn potentiometer."""
_PAIR_SECONDS = 0.02
"""At most so long between the two messages of one 14-bit value."""
_TURNS: Mapping[EncoderCounts, tuple[range, range]] = {
    "twos": (range(1, 8), range(121, 128)),
    "offset": (range(65, 72), range(57, 64)),
    "sign": (range(1, 8), range(65, 72)),
}
"""What encoders send when turned by hand, up and down: few steps at a time."""
_DIRECTIONS = [direction for directions in _TURNS.values() for direction in directions]
_JUMP = 48
"""A knob or fader does not change by so much between two messages."""
_SURE_AFTER = 3
"""Messages, before a control is taken for an encoder."""


@dataclass
class _Received:
    """What one control has sent."""

    first: int
    last: int
    seen: set[int] = field(default_factory=set)
    messages: int = 0
    is_odd: bool = False
    """Whether it did what knobs do not: sent a value twice, or jumped."""

    def receive(self, value: int) -> None:
        if self.messages and (value == self.last or abs(value - self.last) >= _JUMP):
            self.is_odd = True
        self.last = value
        self.seen.add(value)
        self.messages += 1

    @property
    def may_be_encoder(self) -> bool:
        return self.is_odd and all(any(value in direction for direction in _DIRECTIONS) for value in self.seen)

    @property
    def encoder_counts(self) -> EncoderCounts | None:
        """How it counts; None: it was not turned enough to tell, which takes both directions."""
        for counts, (up, down) in _TURNS.items():
            is_turned = not self.seen.isdisjoint(up) and not self.seen.isdisjoint(down)
            if is_turned and self.seen <= {*up, *down} and self.messages >= _SURE_AFTER:
                return counts
        return None


class MidiLearn:
    """Receives every gesture; keys and programs are no controls that a property could follow."""

    def __init__(self) -> None:
        self._received: dict[tuple[str, Source], _Received] = {}
        self._coarse: Gesture | None = None
        self._pairs: set[tuple[str, int, int]] = set()
        """Port, channel and number of controls that have sent 14 bits."""

    def receive(self, gesture: Gesture) -> Source | None:
        """The control, once it is certain which one is meant."""
        if gesture.kind == "cc14":
            return self._receive_14_bits(gesture)
        if gesture.kind == "cc" and gesture.number < 32:
            self._coarse = gesture
        is_paired = (gesture.port, gesture.channel, gesture.number % 32) in self._pairs and gesture.number < 64
        is_knob = gesture.kind != "cc" or (gesture.number < FIRST_MODE_CONTROL and gesture.number not in DATA_CONTROLS)
        if gesture.kind in ("note", "key_pressure", "program") or not is_knob or (gesture.kind == "cc" and is_paired):
            return None
        return self._moved(gesture)

    def _receive_14_bits(self, gesture: Gesture) -> Source | None:
        coarse, key = self._coarse, (gesture.port, gesture.channel, gesture.number)
        if coarse is not None and gesture.at_seconds - coarse.at_seconds > _PAIR_SECONDS:
            coarse = self._coarse = None
        if gesture.value & COARSE and coarse and (coarse.port, coarse.channel, coarse.number) == key:
            self._pairs.add(key)
        return self._moved(gesture) if key in self._pairs else None

    def _moved(self, gesture: Gesture) -> Source | None:
        source = Source(gesture.kind, gesture.number, gesture.number, gesture.channel)
        received = self._received.setdefault((gesture.port, source), _Received(gesture.value, gesture.value))
        received.receive(gesture.value)
        if gesture.kind == "cc" and received.may_be_encoder:
            counts = received.encoder_counts
            return replace(source, counts=counts) if counts else None
        return source if abs(gesture.value - received.first) >= _MOVED * STEPS[gesture.kind] else None
