"""How the score model's weights are laid out: what its network in torch and the one that plays must agree on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from melnet_music.notes.score.features import (
    AHEAD_PATTERNS,
    BACK_PATTERNS,
    BAR_ENDS,
    COMPOUND_PHASES,
    PHASES,
    QUARTERS,
    SOUNDS,
)
from melnet_music.notes.score.tokens import HORIZON, NO_LENGTH, NO_PITCH, UNKNOWN_VELOCITY, Kind

WINDOW = 256
"""Tokens that a token sees: itself and those before it. The known future is seen from everywhere after it."""
HEAD_SIZE = 32
INTERVALS = 24
"""Semitones up and down that are told apart."""

_PLACES = {"phase": PHASES, "quarter": QUARTERS, "compound": COMPOUND_PHASES, "left": BAR_ENDS}
EMBEDDINGS = {
    "kind": len(Kind),
    "pitch": NO_PITCH + 1,
    "length": NO_LENGTH + 1,
    "velocity": UNKNOWN_VELOCITY + 1,
    "since": HORIZON + 1,
    "copied": BACK_PATTERNS,
    "chord": 8,
    "bars_left": 9,
    **_PLACES,
}
"""What a token says, and how many values each has."""
TIME_PARTS = {"since": HORIZON + 1, **_PLACES, "bars": 4, "back": BACK_PATTERNS, "ahead": AHEAD_PATTERNS}
"""The logits of a time are the sum of one of each part, by what the features say of it."""
PITCH_PARTS = {
    "key": 88,
    "chroma": 1,
    "back": BACK_PATTERNS,
    "soon": 16,
    "ahead": AHEAD_PATTERNS,
    "sounds": SOUNDS,
    "from_last": 2 * INTERVALS + 2,
    "from_bass": 2 * INTERVALS + 2,
}


def rotation_rates() -> NDArray[np.float32]:
    """``[2, HEAD_SIZE / 4]`` radians a bar, and a quarter, by which the pairs of a head are turned."""
    bars, quarters = (0.5, 1, 2, 4, 8, 16, 32, 64), (0.25, 0.5, 1, 2, 3, 6, 16, 48)
    return (2 * np.pi / np.array((bars, quarters))).astype(np.float32)
