"""The two measures of a made set: melody that train and test share, and onsets against labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from melnet_music.composing.alignment import alignment_of, onset_errors_s
from melnet_music.composing.leakage import ngrams, shared_ngrams, top_line
from melnet_music.composing.perform import PerformedNote

RATE_HZ = 22050


def tune(pitches: list[int], gaps_s: list[float]) -> list[PerformedNote]:
    onsets_s = np.cumsum([0.5, *gaps_s])[: len(pitches)]
    return [
        PerformedNote(float(onset), float(onset) + 0.1, float(onset) + 0.1, pitch, 80, 0, 0)
        for onset, pitch in zip(onsets_s, pitches, strict=True)
    ]


def random_tune(seed: int, notes: int = 40) -> list[PerformedNote]:
    rng = np.random.default_rng(seed)
    return tune(rng.integers(60, 80, notes).tolist(), rng.choice((0.25, 0.5, 1.0), notes).tolist())


def test_a_copy_is_found_even_transposed_faster_and_played_unevenly() -> None:
    original = random_tune(1)
    rng = np.random.default_rng(5)
    onsets_s = np.array([0.7 * n.onset_s + rng.uniform(-0.008, 0.008) for n in original])
    copied = [
        replace(n, onset_s=float(onset), release_s=float(onset) + 0.05, pitch=n.pitch + 5)
        for n, onset in zip(original, onsets_s, strict=True)
    ]
    assert shared_ngrams([original], [copied], 8) == 1.0
    assert shared_ngrams([original], [copied], 16) == 1.0
    assert shared_ngrams([random_tune(2)], [original], 8) == 0.0


def test_the_shared_fraction_counts_ngrams() -> None:
    original = random_tune(1, 20)
    half = original[:11] + [replace(n, pitch=n.pitch + 40 + 3 * k) for k, n in enumerate(original[11:])]
    assert len(list(ngrams(half, 8))) == 13
    assert shared_ngrams([original], [half], 8) == pytest.approx(4 / 13)
    assert shared_ngrams([original], [original[:5]], 8) == 0.0


def test_the_accompaniment_and_the_drums_are_not_the_top_line() -> None:
    melody = random_tune(3, 12)
    held = [replace(n, release_s=n.onset_s + 0.24) for n in melody]
    below = [replace(n, onset_s=n.onset_s + 0.1, release_s=n.onset_s + 0.2, pitch=40) for n in held]
    together = [replace(n, onset_s=n.onset_s + 0.01, pitch=n.pitch - 12) for n in held]
    drums = [replace(n, channel=9, pitch=100) for n in held]
    assert top_line([*held, *below, *together, *drums]) == held


def test_an_ngram_of_two_notes_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 3 notes, got n = 2"):
        shared_ngrams([], [], 2)


def decaying(onset_s: float, pitch: int, seconds: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    time_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ - onset_s
    hz = 440.0 * 2.0 ** ((pitch - 69) / 12)
    return np.where(time_s >= 0, np.sin(2 * np.pi * hz * time_s) * np.exp(-6.0 * np.maximum(time_s, 0)), 0.0)


@pytest.mark.parametrize("late_ms", [-12.0, 0.0, 7.0])
def test_a_displaced_onset_is_measured(late_ms: float) -> None:
    labels = [PerformedNote(0.5 + 0.6 * k, 0.9 + 0.6 * k, 0.9 + 0.6 * k, 48 + 6 * k, 80, 0, 0) for k in range(6)]
    audio = sum(decaying(n.onset_s + late_ms / 1000, n.pitch, 5.0) for n in labels)
    measured = alignment_of(onset_errors_s(labels, np.asarray(audio, np.float32), RATE_HZ))
    assert measured.notes == 6
    assert measured.mean_ms == pytest.approx(late_ms, abs=2.5)
    assert measured.percentile_95_ms == pytest.approx(abs(late_ms), abs=4.0)


def test_notes_that_are_not_clear_are_left_out() -> None:
    chord = [PerformedNote(1.0, 1.4, 1.4, pitch, 80, 0, 0) for pitch in (60, 64)]
    drum = [PerformedNote(2.0, 2.1, 2.1, 60, 80, 9, 0)]
    noise = np.random.default_rng(0).normal(size=4 * RATE_HZ).astype(np.float32)
    assert onset_errors_s([*chord, *drum], noise, RATE_HZ) == []
    assert onset_errors_s([PerformedNote(1.0, 1.4, 1.4, 60, 80, 0, 0)], noise, RATE_HZ) == []
    assert alignment_of([]).notes == 0
