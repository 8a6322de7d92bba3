"""What the descriptions are worth: held against the known notes of held-out recordings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from melnet_music.evaluation.measures.descriptors import Description
from melnet_music.evaluation.measures.pitches import FRAMES_PER_SECOND, HIGHEST_PITCH, LOWEST_PITCH, DetectedNote
from melnet_music.notes.note_map import Note

TOLERANCE_SECONDS = 0.07
TOGETHER_SECONDS = 0.05
"""Onsets closer than this count as one."""
EDGE_SECONDS = 0.1
"""Nothing is counted so near to the ends of a stretch."""


@dataclass(frozen=True)
class Hits:
    """Found things against true ones."""

    hits: int
    found: int
    true: int

    def __add__(self, other: Hits) -> Hits:
        return Hits(self.hits + other.hits, self.found + other.found, self.true + other.true)

    @property
    def precision(self) -> float:
        return self.hits / self.found if self.found else float("nan")

    @property
    def recall(self) -> float:
        return self.hits / self.true if self.true else float("nan")

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        return 2 * self.hits / (self.found + self.true) if self.found + self.true else float("nan")


@dataclass(frozen=True)
class DetectionWorth:
    """How far the detectors can be trusted, on real recordings with known notes."""

    stretches: int
    tolerance_seconds: float
    onsets: int
    onset_precision: float
    onset_recall: float
    """Of moments at which notes start."""
    notes: int
    note_precision: float
    note_recall: float
    """Of notes with their pitch and onset."""
    polyphony_true: float
    """Mean number of notes that sound by the score, damped ones left out; quiet ends of notes count."""
    polyphony_found: float
    polyphony_correlation: float
    """Of the means of the stretches."""


def note_hits(detected: Sequence[DetectedNote], notes: Sequence[Note], seconds: float) -> Hits:
    """Detected notes against notes of one stretch of so many seconds, each paired once: the nearest first come."""
    end_s = seconds - EDGE_SECONDS
    wanted = [
        note for note in notes if EDGE_SECONDS <= note.onset_s < end_s and LOWEST_PITCH <= note.pitch <= HIGHEST_PITCH
    ]
    hits = 0
    for pitch in {note.pitch for note in wanted}:
        onsets = [note.onset_s for note in wanted if note.pitch == pitch]
        hits += _paired(onsets, [note.onset_s for note in detected if note.pitch == pitch])
    found = sum(EDGE_SECONDS <= note.onset_s < end_s for note in detected)
    return Hits(hits, found, len(wanted))


def onset_hits(onsets_s: Sequence[float], notes: Sequence[Note], seconds: float) -> Hits:
    """Detected onsets against the moments at which notes start."""
    end_s, moments = seconds - EDGE_SECONDS, list[float]()
    for onset in sorted(note.onset_s for note in notes if EDGE_SECONDS <= note.onset_s < end_s):
        if not moments or onset - moments[-1] > TOGETHER_SECONDS:
            moments.append(onset)
    found = [onset for onset in onsets_s if EDGE_SECONDS <= onset < end_s]
    return Hits(_paired(moments, list(onsets_s)), len(found), len(moments))


def detection_worth(stretches: Sequence[tuple[Description, Sequence[Note]]]) -> DetectionWorth:
    """Over stretches of real recordings, with their notes in seconds from each stretch's start."""
    onsets = notes = Hits(0, 0, 0)
    true, found = [], []
    for description, known in stretches:
        onsets += onset_hits(description.onsets_s.tolist(), known, description.seconds)
        notes += note_hits(description.notes, known, description.seconds)
        frames_s = np.arange(len(description.polyphony)) / FRAMES_PER_SECOND
        true.append(np.mean([sum(note.onset_s <= at < note.end_s for note in known) for at in frames_s]))
        found.append(description.polyphony.mean())
    related = len(true) > 1 and np.std(true) > 0 and np.std(found) > 0
    return DetectionWorth(
        len(stretches),
        TOLERANCE_SECONDS,
        onsets.true,
        onsets.precision,
        onsets.recall,
        notes.true,
        notes.precision,
        notes.recall,
        float(np.mean(true)),
        float(np.mean(found)),
        float(np.corrcoef(true, found)[0, 1]) if related else float("nan"),
    )


def shifted(notes: Sequence[Note], start_s: float) -> tuple[Note, ...]:
    """The notes with times counted from ``start_s``."""
    return tuple(Note(note.onset_s - start_s, note.end_s - start_s, note.pitch, note.velocity) for note in notes)


def _paired(true_s: list[float], found_s: list[float]) -> int:
    """How many of the true times have a found one of their own within the tolerance: the most, for sorted times."""
    true_s, found_s = sorted(true_s), sorted(found_s)
    pairs = at = 0
    for moment in true_s:
        while at < len(found_s) and found_s[at] < moment - TOLERANCE_SECONDS:
            at += 1
        if at < len(found_s) and found_s[at] <= moment + TOLERANCE_SECONDS:
            pairs, at = pairs + 1, at + 1
    return pairs
