"""What can be counted of notes on the grid: density, beat, key, and rhythms that come back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from melnet_music.notes.score.grid import STEPS_PER_QUARTER, Bars, GridNote

_MAJOR, _MINOR = (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10)
_RETURN_BARS = 8
_ALIKE = 0.75
"""Onsets that two bars share, over all that they have: from here on a rhythm has come back."""


@dataclass(frozen=True)
class NoteMeasures:
    """Of the notes of a span; NaN where there is nothing to measure."""

    notes_per_quarter: float
    moments_per_quarter: float
    """At which notes begin; those of a chord are one."""
    beat_autocorrelation: float
    """Of the number of onsets a step, at a lag of one pulse: a quarter, or three eighths in compound meters."""
    bar_autocorrelation: float
    pitch_class_entropy: float
    """Bits; log2(12) = 3.58 at most."""
    in_key: float
    """Share of notes in the key that was told."""
    rhythm_returns: float
    """Share of bars with notes whose onsets are those of one of the eight bars before."""


def measure_notes(
    notes: Sequence[GridNote], bars: Bars, start: int, end: int, key: NDArray[np.bool_], before: Sequence[GridNote] = ()
) -> NoteMeasures:
    """Of the notes that begin from step ``start`` to ``end``.

    Args:
        key: ``[12]``, see `best_key`.
        before: what was there before ``start``: rhythms may come back from it.
    """
    chosen = [note for note in notes if start <= note.onset < end]
    pitches = np.array([note.pitch % 12 for note in chosen], int)
    onsets = np.bincount([note.onset - start for note in chosen], minlength=max(end - start, 1)).astype(float)
    bar = bars.bar_at(start)
    pulse = STEPS_PER_QUARTER * 3 // 2 if bars.meters[bar].is_compound else STEPS_PER_QUARTER
    return NoteMeasures(
        notes_per_quarter=len(chosen) * STEPS_PER_QUARTER / max(end - start, 1),
        moments_per_quarter=np.count_nonzero(onsets) * STEPS_PER_QUARTER / max(end - start, 1),
        beat_autocorrelation=autocorrelation(onsets, pulse),
        bar_autocorrelation=autocorrelation(onsets, bars.meters[bar].steps),
        pitch_class_entropy=_entropy(np.bincount(pitches, minlength=12)) if len(chosen) else float("nan"),
        in_key=float(key[pitches].mean()) if len(chosen) else float("nan"),
        rhythm_returns=_rhythm_returns([*before, *chosen], bars, start, end),
    )


def best_key(notes: Sequence[GridNote]) -> NDArray[np.bool_]:
    """``[12]``: the pitch classes of the major or minor scale that has most of the notes; of equals, by its triad."""
    counts = np.bincount([note.pitch % 12 for note in notes], minlength=12)
    best, most = np.ones(12, bool), -1.0
    for tonic in range(12):
        for scale, third in ((_MAJOR, 4), (_MINOR, 3)):
            classes = (tonic + np.array(scale)) % 12
            triad = counts[[tonic, (tonic + third) % 12, (tonic + 7) % 12]].sum()
            score = counts[classes].sum() + 1e-3 * triad
            if score > most:
                best, most = np.isin(np.arange(12), classes), float(score)
    return best


def autocorrelation(onsets: NDArray[np.float64], lag: int) -> float:
    """Of a strength a step, at a lag of so many steps, -1 to 1; NaN where it is even or too short."""
    around = onsets - onsets.mean()
    power = float(around @ around)
    if lag >= len(onsets) or power <= 0:
        return float("nan")
    return float(around[lag:] @ around[:-lag]) / power * len(onsets) / (len(onsets) - lag)


def _entropy(counts: NDArray[np.int64]) -> float:
    share = counts[counts > 0] / counts.sum()
    return float(-(share * np.log2(share)).sum())


def _rhythm_returns(notes: Sequence[GridNote], bars: Bars, start: int, end: int) -> float:
    rhythms: dict[int, set[int]] = {}
    for note in notes:
        bar = bars.bar_at(note.onset)
        rhythms.setdefault(bar, set()).add(note.onset - bars.start(bar))
    returned = []
    for bar in range(bars.bar_at(start), bars.bar_at(max(end - 1, start)) + 1):
        here = rhythms.get(bar)
        if here and bar > 0:
            before = (rhythms.get(earlier, set()) for earlier in range(max(bar - _RETURN_BARS, 0), bar))
            returned.append(any(len(here & other) >= _ALIKE * len(here | other) for other in before))
    return float(np.mean(returned)) if returned else float("nan")
