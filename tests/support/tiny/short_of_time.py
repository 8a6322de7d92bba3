"""An instrument whose player makes takes hardly ahead of what sounds, so that they answer what comes meanwhile."""

from __future__ import annotations

import pytest

import bridge.player.loop
import bridge.stage.daemon
from melnet_music.instrument.instrument import Instrument
from melnet_music.instrument.take_request import TakeRequest

__all__ = ["SHORT", "TakeRequest", "load", "shorten_ring"]

SHORT = "short_of_time:load"
"""As ``factory`` of `live_daemon`."""
_AHEAD_SECONDS = 0.5
_RING_SAMPLES = 1 << 17  # 2.7 s at 48 kHz


def load(preset: str, *, engine: str, threads: int | None) -> Instrument:
    """In the player's process, and for it alone."""
    bridge.player.loop._AHEAD_SECONDS = _AHEAD_SECONDS
    return Instrument.load(preset, engine=engine, threads=threads)


def shorten_ring(patch: pytest.MonkeyPatch) -> None:
    """Of the daemon that is made next, in this process."""
    patch.setattr(bridge.stage.daemon, "_OUTPUT_RING_SAMPLES", _RING_SAMPLES)
