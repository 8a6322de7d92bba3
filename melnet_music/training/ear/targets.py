"""What the ear's network is to say of a stretch of frames, from the notes that were played."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from melnet_music.notes.ear.layout import LOWEST_PITCH, PITCHES
from melnet_music.training.data.note_table import NoteTable

Float32Array = NDArray[np.float32]

_ONSET_FRAMES = 2
"""An onset is marked in its frame and the next: the first window that it begins in holds half of its attack."""


@dataclass(frozen=True, eq=False)
class Targets:
    """By frame and pitch, ``[T, P]`` each."""

    onset: Float32Array
    """1 where a note begins."""
    counts: Float32Array
    """0 beside onsets, where it is no mistake to hear one, nor to hear none."""
    sounding: Float32Array
    velocity: Float32Array
    """Of what begins there, 0 to 1."""
    shift: Float32Array
    """By how many frames it began later."""
    near: Float32Array
    """1 where velocity and shift are asked for: where a note begins, and beside it."""


def make_targets(notes: NoteTable, start: int, frames: int, frames_per_second: float) -> Targets:
    """Those of frames ``start`` to ``start + frames`` of a work."""
    onset, counts, sounding, velocity, shift, near = np.zeros((6, frames, PITCHES), np.float32)
    counts[:] = 1.0
    heard = notes.between((start - 4) / frames_per_second, (start + frames + 4) / frames_per_second)
    for onset_s, end_s, pitch, strength in heard.rows.tolist():
        row = int(pitch) - LOWEST_PITCH
        if not 0 <= row < PITCHES:
            continue
        begins, ends = onset_s * frames_per_second - start, round(end_s * frames_per_second) - start
        first = round(begins)
        sounding[max(first, 0) : max(ends, first + 1, 0), row] = 1.0
        for frame in range(max(first - 1, 0), min(first + _ONSET_FRAMES + 1, frames)):
            near[frame, row], velocity[frame, row], shift[frame, row] = 1.0, strength / 127.0, begins - frame
            if first <= frame < first + _ONSET_FRAMES:
                onset[frame, row] = 1.0
            else:
                counts[frame, row] = 0.0
    return Targets(onset, np.maximum(counts, onset), sounding, velocity, shift, near)
