"""Which control is being moved, while a property waits to be given one."""

from __future__ import annotations

from bridge.midi_gestures import COARSE, DATA_CONTROLS, FIRST_MODE_CONTROL, STEPS, Gesture
from bridge.midi_map import Source

_MOVED = 3 / COARSE
"""Of its way, and a control was moved by hand: worn knobs tremble."""
_PAIR_SECONDS = 0.02
"""Between the two messages of one movement of 14 bits."""


class Learning:
    """Told every gesture; keys and programs are no controls that a property could follow."""

    def __init__(self) -> None:
        self._first: dict[tuple[str, Source], int] = {}
        """Where controls stood when they were first heard of."""
        self._coarse: Gesture | None = None
        self._pairs: set[tuple[str, int, int]] = set()
        """Port, channel and number of controls that have sent 14 bits."""

    def hear(self, gesture: Gesture) -> Source | None:
        """The control, once it is certain which one is meant."""
        if gesture.kind == "cc14":
            return self._hear_wide(gesture)
        if gesture.kind == "cc" and gesture.number < 32:
            self._coarse = gesture
        is_paired = (gesture.port, gesture.channel, gesture.number % 32) in self._pairs and gesture.number < 64
        is_knob = gesture.kind != "cc" or (gesture.number < FIRST_MODE_CONTROL and gesture.number not in DATA_CONTROLS)
        if gesture.kind in ("note", "key_pressure", "program") or not is_knob or (gesture.kind == "cc" and is_paired):
            return None
        return self._moved(gesture)

    def _hear_wide(self, gesture: Gesture) -> Source | None:
        coarse, key = self._coarse, (gesture.port, gesture.channel, gesture.number)
        if coarse is not None and gesture.at_seconds - coarse.at_seconds > _PAIR_SECONDS:
            coarse = self._coarse = None
        if gesture.value & COARSE and coarse and (coarse.port, coarse.channel, coarse.number) == key:
            self._pairs.add(key)
        return self._moved(gesture) if key in self._pairs else None

    def _moved(self, gesture: Gesture) -> Source | None:
        source = Source(gesture.kind, gesture.number, gesture.number, gesture.channel)
        first = self._first.setdefault((gesture.port, source), gesture.value)
        return source if abs(gesture.value - first) >= _MOVED * STEPS[gesture.kind] else None
