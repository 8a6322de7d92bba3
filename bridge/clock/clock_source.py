"""Where tempo and place may come from besides the daemon itself: masters of all kinds behind one interface."""

from __future__ import annotations

from typing import Protocol

from bridge.clock.midi_clock_follower import State


class ClockSource(Protocol):
    """A master, in monotonic time. All methods belong to the daemon's one thread; none waits."""

    @property
    def places(self) -> int:
        """How often the master began to play, or went somewhere else while it played."""

    @property
    def tempo_bpm(self) -> float | None:
        """Also while it is stopped; None: it is not known yet."""

    def state_at(self, seconds: float) -> State:
        """What it does; ``waiting``: there is none yet."""

    def beat_at(self, seconds: float, bar_beats: float) -> float | None:
        """Which beat it is there; None: it does not play.

        Args:
            bar_beats: for masters that agree on where in a bar they are, but not on which bar that is.
        """

    def set_tempo(self, bpm: float) -> None:
        """Ask for another tempo. Raises ValueError: the master takes none."""

    def close(self) -> None:
        """Follow it no more."""
