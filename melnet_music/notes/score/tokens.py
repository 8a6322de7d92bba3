"""What the score model reads and draws: notes in a sequence, with lengths and velocities in classes."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from melnet_music.notes.score.grid import STEPS_PER_QUARTER

HORIZON = 8 * STEPS_PER_QUARTER
"""The next note is looked for within so many steps; where there is none, a rest of this length is drawn."""
LENGTHS: NDArray[np.int32] = np.array(
    (1, 2, 3, 4, 5, 6, 8, 9, 10, 12, 15, 18, 21, 24, 30, 36, 42, 48, 60, 72, 96, 144), np.int32
)
"""Steps of each class of lengths."""
NO_LENGTH = len(LENGTHS)
VELOCITY_CLASSES = 8
"""Of sixteen MIDI velocities each."""
UNKNOWN_VELOCITY = VELOCITY_CLASSES
NO_PITCH = 88
CHROMA_DECAY = np.float32(0.97)
"""Of the count of pitch classes, a note."""
NEVER = -(1 << 20)
"""The step at which a key that was never struck ended."""
MOST_FUTURE_NOTES = 96
"""Of what follows a part that is to be filled, so many are read."""

_CLASS_OF_LENGTH = np.abs(np.log(np.arange(1, int(LENGTHS[-1]) + 1))[:, None] - np.log(LENGTHS)).argmin(1)


class Kind(IntEnum):
    """What a token of the sequence is."""

    NOTE = 0
    FUTURE = 1
    """A note that follows what is to be filled."""
    START = 2
    """Where a score begins, or a part that is to be filled."""
    REST = 3
    """Nothing begins within `HORIZON`."""


def length_class(steps: int) -> int:
    """The class nearest to a length by ratio."""
    return int(_CLASS_OF_LENGTH[min(max(steps, 1), len(_CLASS_OF_LENGTH)) - 1])


def velocity_class(velocity: int | None) -> int:
    """The class of a MIDI velocity, or that of one that is not known."""
    return UNKNOWN_VELOCITY if velocity is None else min(max(velocity, 0), 127) // 16
