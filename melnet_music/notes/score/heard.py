"""What a plan is to keep of what was heard: how many notes, and how high."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from melnet_music.notes.score.grid import STEPS_PER_QUARTER, GridNote

HEARD_STEPS = 64 * STEPS_PER_QUARTER
"""So much of what was heard last is taken as an example."""
_MIDDLE_PITCH, _MIDDLE_RATE = 62.0, 4.0


@dataclass(frozen=True)
class HeardTrait:
    """What is typical of some notes."""

    notes_per_quarter: float
    mean_pitch: float
    mean_velocity: float | None
    """None where no velocity is known."""


def trait_of(notes: Sequence[GridNote], start: int, end: int) -> HeardTrait:
    """Of the notes that begin from step ``start`` to ``end``, of which the last `HEARD_STEPS` count."""
    start = max(start, end - HEARD_STEPS)
    heard = [note for note in notes if start <= note.onset < end]
    if not heard:
        return HeardTrait(_MIDDLE_RATE, _MIDDLE_PITCH, None)
    first = max(start, heard[0].onset // STEPS_PER_QUARTER * STEPS_PER_QUARTER)
    velocities = [note.velocity for note in heard if note.velocity is not None]
    return HeardTrait(
        len(heard) * STEPS_PER_QUARTER / max(end - first, STEPS_PER_QUARTER),
        float(np.mean([note.pitch for note in heard])),
        float(np.mean(velocities)) if velocities else None,
    )
