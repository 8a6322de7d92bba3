"""How a work sounds besides its notes: soundfont, tuning, equaliser, room, level, noise; drawn from the work's seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from melnet_music.composing.rendering.equaliser import Band, draw_bands
from melnet_music.composing.rendering.room import Room, draw_room

_ROOM_SHARES = {
    "piano": {"dry": 0.4, "studio": 0.25, "chamber": 0.2, "hall": 0.15},
    "music": {"dry": 0.15, "studio": 0.35, "chamber": 0.25, "hall": 0.25},
}


@dataclass(frozen=True)
class Sound:
    """The sound of one work."""

    soundfont: str
    """The file's name."""
    tuning_hz: float
    """The A above middle C."""
    bands: tuple[Band, ...]
    room: Room
    level_dbfs: float
    """RMS of the whole work, unless its peak would be too high."""
    noise_dbfs: float
    """RMS of the noise under it."""
    noise_seed: int


PLAIN = Sound("", 440.0, (), Room("dry", 0.0, -99.0, 0.0, 0), -23.0, -200.0, 0)
"""No colour, no room, no noise: the instrument as the soundfont has it."""


def draw_sound(seed: int, number: int, kind: str, soundfonts: Sequence[str], mean_velocity: float) -> Sound:
    """The sound of the work ``number`` of the collection ``seed``; ``soundfonts`` are the names to draw from.

    Of two works the one played softer (by its mean velocity, 0 to 127) is as a rule softer on the recording too.
    """
    rng = np.random.default_rng((seed, number, 2))
    return Sound(
        soundfont=soundfonts[int(rng.integers(len(soundfonts)))],
        tuning_hz=round(float(np.clip(rng.normal(440.5, 1.8), 436.0, 446.0)), 2),
        bands=draw_bands(rng),
        room=draw_room(rng, _ROOM_SHARES[kind]),
        level_dbfs=round(float(np.clip(rng.normal(-23.0 + 0.12 * (mean_velocity - 62.0), 2.0), -31.0, -17.0)), 2),
        noise_dbfs=round(float(rng.uniform(-90.0, -66.0)), 2),
        noise_seed=int(rng.integers(2**31)),
    )
