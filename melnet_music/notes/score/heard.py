"""What a plan is to keep of what was heard: how many notes, how high, and of which pitch classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from melnet_music.notes.score.grid import STEPS_PER_QUARTER, GridNote

HEARD_STEPS = 64 * STEPS_PER_QUARTER
"""So much of what was heard last is taken as an example."""
_MIDDLE_PITCH, _MIDDLE_RATE, _MIDDLE_CHORD = 62.0, 4.0, 1.6


@dataclass(frozen=True)
class HeardTrait:
    """What is typical of some notes."""

    notes_per_quarter: float
    moments_per_quarter: float
    """At which notes begin; those of a chord are one."""
    mean_pitch: float
    pitch_classes: tuple[float, ...]
    """Shares of the twelve, C first."""


def trait_of(notes: Sequence[GridNote], start: int, end: int) -> HeardTrait:
    """Of the notes that begin from step ``start`` to ``end``, of which the last `HEARD_STEPS` count."""
    start = max(start, end - HEARD_STEPS)
    heard = [note for note in notes if start <= note.onset < end]
    if not heard:
        return HeardTrait(_MIDDLE_RATE, _MIDDLE_RATE / _MIDDLE_CHORD, _MIDDLE_PITCH, (1 / 12,) * 12)
    first = max(start, heard[0].onset // STEPS_PER_QUARTER * STEPS_PER_QUARTER)
    classes = np.bincount([note.pitch % 12 for note in heard], minlength=12)
    quarters = max(end - first, STEPS_PER_QUARTER) / STEPS_PER_QUARTER
    return HeardTrait(
        len(heard) / quarters,
        len({note.onset for note in heard}) / quarters,
        float(np.mean([note.pitch for note in heard])),
        tuple(float(share) for share in classes / classes.sum()),
    )
