"""How much melody the held-out works share with the training works.

A work's top line is every note that starts while no higher note of it is held. An n-gram is n consecutive notes of that
line as n - 1 intervals and n - 2 ratios of successive inter-onset times, so that neither transposition nor tempo hides
a likeness. It counts accompaniment as well, wherever that lies on top: scales, arpeggios and repeated figures are
common property and make short n-grams recur in any music.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from melnet_music.composing.perform import PerformedNote
from melnet_music.composing.rendering.render import DRUM_CHANNEL

_CHORD_SECONDS = 0.04
"""Notes that start within it are one chord, of which the highest is taken."""
_STEPS_PER_OCTAVE = 2.0
"""Ratios of times are rounded to half powers of two: what rubato does to them is less."""
_LONGEST_RATIO = 6

Gram = tuple[int, ...]


def shared_ngrams(
    train_notes: Iterable[Sequence[PerformedNote]], other_notes: Iterable[Sequence[PerformedNote]], n: int
) -> float:
    """The fraction of the n-grams of ``other_notes`` that occur in ``train_notes`` (both works of notes); 0 for none.

    An n-gram that a held-out work repeats is counted each time. Raises ValueError for n below 3.
    """
    if n < 3:
        raise ValueError(f"an n-gram needs at least 3 notes, got n = {n}")
    known = {gram for notes in train_notes for gram in ngrams(notes, n)}
    found = [gram in known for notes in other_notes for gram in ngrams(notes, n)]
    return float(np.mean(found)) if found else 0.0


def ngrams(notes: Sequence[PerformedNote], n: int) -> Iterator[Gram]:
    """The n-grams of a work's top line, in order."""
    line = top_line(notes)
    if len(line) < n:
        return
    intervals = np.diff([note.pitch for note in line])
    gaps_s = np.maximum(np.diff([note.onset_s for note in line]), 0.01)
    ratios = np.clip(np.round(_STEPS_PER_OCTAVE * np.diff(np.log2(gaps_s))), -_LONGEST_RATIO, _LONGEST_RATIO)
    for start in range(len(line) - n + 1):
        yield (*intervals[start : start + n - 1].tolist(), *ratios[start : start + n - 2].astype(int).tolist())


def top_line(notes: Sequence[PerformedNote]) -> list[PerformedNote]:
    """The notes (drums apart) that start while no higher key is down, in order of onset."""
    pitched = sorted((note for note in notes if note.channel != DRUM_CHANNEL), key=lambda note: note.onset_s)
    line: list[PerformedNote] = []
    for note in pitched:
        above = line[-1] if line else None
        if above is None or note.pitch > above.pitch or above.release_s <= note.onset_s + _CHORD_SECONDS:
            if above is not None and note.onset_s - above.onset_s < _CHORD_SECONDS:
                if note.pitch > above.pitch:
                    line[-1] = note
                continue
            line.append(note)
    return line
