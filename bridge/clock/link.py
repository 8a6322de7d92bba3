"""An Ableton Link session as the master. The package it needs is under the GPL: it is never required, and only here.

Its session is kept by threads of its own; what is asked of it here takes a microsecond and waits for nobody.
"""

from __future__ import annotations

import asyncio
import time
from importlib.util import find_spec
from typing import TYPE_CHECKING

from bridge.clock.midi_clock_follower import State
from bridge.clock.transport import FASTEST_BPM, SLOWEST_BPM

if TYPE_CHECKING:
    from aalink import Link

MISSING = "Ableton Link needs a package that is not installed: pip install 'melnet-music[link]'"


class LinkClock:
    """A `ClockSource`: the session's tempo and beats. Alone in it, they are our own."""

    def __init__(self, tempo_bpm: float) -> None:
        """Join the session that there is, or begin one with this tempo.

        Raises:
            ValueError: what is needed is not installed.
        """
        if find_spec("aalink") is None:
            raise ValueError(MISSING)
        # it wants a loop for those who wait for beats; nobody does here, so the loop need not run on
        self._link: Link = asyncio.run(_join(tempo_bpm))

    @property
    def places(self) -> int:
        return 0

    @property
    def tempo_bpm(self) -> float:
        return min(max(float(self._link.tempo), SLOWEST_BPM), FASTEST_BPM)

    def state_at(self, seconds: float) -> State:
        del seconds
        return "running" if self._link.num_peers else "waiting"

    def beat_at(self, seconds: float, bar_beats: float) -> float:
        if self._link.quantum != bar_beats:
            self._link.quantum = bar_beats
        ahead_seconds = seconds - time.monotonic()
        return float(self._link.beat) + ahead_seconds * self.tempo_bpm / 60.0

    def set_tempo(self, bpm: float) -> None:
        self._link.tempo = bpm

    def close(self) -> None:
        """Leave the session."""
        self._link.enabled = False


async def _join(tempo_bpm: float) -> Link:
    from aalink import Link

    link = Link(tempo_bpm)
    link.enabled = True
    return link
