"""Which notes that were found are which that were played: by pitch and onset."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from melnet_music.notes.note_map import Note
from melnet_music.training.data.note_table import NoteTable

Rows = NDArray[np.float64]
"""Notes as `NoteTable` has them, ``[N, 4]``: onset and end in seconds, pitch, velocity."""

ONSET_TOLERANCE_SECONDS = 0.05
"""As in MIREX and mir_eval."""


def note_rows(notes: Iterable[Note]) -> Rows:
    """Notes in order of onset."""
    return NoteTable.of(notes).rows


def distinct_rows(rows: Rows, lowest_pitch: int, highest_pitch: int) -> Rows:
    """The notes that can be heard apart: of a range of pitches, and of one pitch those that begin together as one."""
    inside = rows[(rows[:, 2] >= lowest_pitch) & (rows[:, 2] <= highest_pitch)]
    kept, last = list[list[float]](), dict[float, list[float]]()
    for row in inside[np.argsort(inside[:, 0], kind="stable")].tolist():
        before = last.get(row[2])
        if before is not None and row[0] - before[0] <= ONSET_TOLERANCE_SECONDS:
            before[1], before[3] = max(before[1], row[1]), max(before[3], row[3])
            continue
        last[row[2]] = row
        kept.append(row)
    return np.array(kept, np.float64).reshape(-1, rows.shape[1])


def note_pairs(found: Rows, true: Rows) -> list[tuple[int, int]]:
    """Places of notes found and true ones of one pitch, whose onsets are within the tolerance; each is paired once."""
    pairs = list[tuple[int, int]]()
    for pitch in np.unique(found[:, 2]):
        of_found, of_true = (_in_order(rows, float(pitch)) for rows in (found, true))
        at = 0
        for b in of_true:
            while at < len(of_found) and found[of_found[at], 0] < true[b, 0] - ONSET_TOLERANCE_SECONDS:
                at += 1
            if at < len(of_found) and found[of_found[at], 0] <= true[b, 0] + ONSET_TOLERANCE_SECONDS:
                pairs.append((int(of_found[at]), int(b)))
                at += 1
    return pairs


def _in_order(rows: Rows, pitch: float) -> NDArray[np.int64]:
    places = np.flatnonzero(rows[:, 2] == pitch)
    ordered: NDArray[np.int64] = places[np.argsort(rows[places, 0], kind="stable")]
    return ordered
