"""A MIDI clock as the master: of the ports that messages come from, the one that has a clock."""

from __future__ import annotations

import math

from bridge.clock.midi_clock_follower import CONTINUE, SONG_POSITION, START, STOP, TICK, MidiClockFollower, State

CLOCK_MESSAGES = (SONG_POSITION, TICK, START, CONTINUE, STOP)
_SILENT_SECONDS = 2.0
"""So long the port that is followed must be silent, and another one may be followed instead."""


class MidiClockSource:
    """A `ClockSource` of what it hears."""

    def __init__(self) -> None:
        self._follower = MidiClockFollower()
        self._port: str | None = None
        self._heard_at = -math.inf
        self._places_before = 0

    def hear(self, port: str, seconds: float, message: bytes) -> None:
        """A message that came at a port at a monotonic time; what is none of a clock's is ignored."""
        if not message or message[0] not in CLOCK_MESSAGES:
            return
        if port != self._port:
            if seconds - self._heard_at < _SILENT_SECONDS:
                return
            self._places_before = self.places
            self._port, self._follower = port, MidiClockFollower()
        self._heard_at = seconds
        self._follower.hear(seconds, message)

    @property
    def places(self) -> int:
        return self._places_before + self._follower.places

    @property
    def tempo_bpm(self) -> float | None:
        return self._follower.tempo_bpm

    def state_at(self, seconds: float) -> State:
        return self._follower.state_at(seconds)

    def beat_at(self, seconds: float, bar_beats: float) -> float | None:
        del bar_beats  # bars are counted from the song's beginning
        return self._follower.beat_at(seconds)

    def set_tempo(self, bpm: float) -> None:
        raise ValueError(
            f"the tempo is that of the MIDI clock; set {bpm:g} bpm where it comes from, or set clock to internal"
        )

    def close(self) -> None:
        """It is heard on, so that its tempo is known at once when it is followed again."""
