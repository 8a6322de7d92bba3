"""Heard notes, in seconds, on the grid: each onset to the place that it most likely means, swing taken out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from melnet_music.notes.beat_times import BeatTimes
from melnet_music.notes.note_map import Note
from melnet_music.notes.score.grid import STEPS_PER_QUARTER, GridNote

EVEN = 0.5
_SPREAD_STEPS = 0.8
"""How far players stray from the grid."""
_SIXTEENTHS = np.array((0.0, 4.0, 3.5, 0.5, 4.0, 4.0, 0.0, 4.0, 4.0, 0.5, 3.5, 4.0, 0.0))
_TRIPLETS = np.array((0.0, 4.0, 1.0, 4.0, 0.0, 4.0, 1.0, 4.0, 0.0, 4.0, 1.0, 4.0, 0.0))
"""What a place in a beat costs, in beats of sixteenths and of triplets."""
_TRIPLET_COST = 1.0
"""Of a beat: triplets are rarer."""
_FEWEST_OFFBEATS = 8
_OFFBEAT = (0.42, 0.76)
_BETWEEN = ((0.14, 0.40), (0.80, 0.92))
"""Where sixteenths and triplets lie that are not off-beat eighths."""
_MOST_BETWEEN = 0.3
_LEAST_SWING, _MOST_SWING = 0.55, 0.72


def swung(beats: NDArray[np.float64], swing: float) -> NDArray[np.float64]:
    """Where even beats are played: the second half of every beat begins at ``swing`` of it."""
    whole = np.floor(beats)
    part = beats - whole
    late = np.where(part < 0.5, part * 2 * swing, swing + (part - 0.5) * 2 * (1 - swing))
    played: NDArray[np.float64] = whole + late
    return played


def unswung(beats: NDArray[np.float64], swing: float) -> NDArray[np.float64]:
    """The inverse of `swung`."""
    whole = np.floor(beats)
    part = beats - whole
    even = np.where(part < swing, part / (2 * swing), 0.5 + (part - swing) / (2 * (1 - swing)))
    written: NDArray[np.float64] = whole + even
    return written


def measure_swing(onset_beats: NDArray[np.float64]) -> float:
    """Where the off-beat eighths of onsets fall: 0.5 even, 0.667 as triplets.

    Even as well where there are too few, or where the beats are divided otherwise too.
    """
    part = onset_beats - np.floor(onset_beats)
    off = part[(part > _OFFBEAT[0]) & (part < _OFFBEAT[1])]
    between = sum(int(((part > low) & (part < high)).sum()) for low, high in _BETWEEN)
    if len(off) < _FEWEST_OFFBEATS or between > _MOST_BETWEEN * len(off):
        return EVEN
    middle = float(np.median(off))
    return min(middle, _MOST_SWING) if middle >= _LEAST_SWING else EVEN


def quantise(notes: Sequence[Note], times: BeatTimes, swing: float = EVEN) -> list[GridNote]:
    """The notes on the grid, in order; beat 0 is step 0, and what is before it is left out.

    Every beat is read as sixteenths or as triplets, by what costs its onsets less; finer places cost most.

    Args:
        swing: see `swung`.
    """
    if not notes:
        return []
    onsets = unswung(times.beats_at([note.onset_s for note in notes]), swing) * STEPS_PER_QUARTER
    ends = unswung(times.beats_at([note.end_s for note in notes]), swing) * STEPS_PER_QUARTER
    beat = np.floor((onsets + 1.0) / STEPS_PER_QUARTER)  # a little before the beat is still the beat
    place = onsets - beat * STEPS_PER_QUARTER
    astray = ((place[:, None] - np.arange(STEPS_PER_QUARTER + 1)) / _SPREAD_STEPS) ** 2
    costs = np.stack((astray + _SIXTEENTHS, astray + _TRIPLETS))
    best = costs.argmin(2)
    least = costs.min(2)
    _, of_beat = np.unique(beat, return_inverse=True)
    sixteenths, triplets = (np.bincount(of_beat, weights=cost) for cost in least)
    chosen = best[(triplets + _TRIPLET_COST < sixteenths).astype(np.intp)[of_beat], np.arange(len(notes))]
    steps = (beat * STEPS_PER_QUARTER + chosen).astype(np.int64)
    lengths = np.maximum(np.rint(ends - steps), 1).astype(np.int64)
    found: dict[tuple[int, int], GridNote] = {}
    for note, onset, length in zip(notes, steps.tolist(), lengths.tolist(), strict=True):
        if onset >= 0:
            found[onset, note.pitch] = GridNote(onset, note.pitch, length, note.velocity)
    return [found[key] for key in sorted(found)]
