"""What is measured of sounding music on known beats: how much of it, its beat, its key, and rhythms that come back.

Notes are those that an ear hears, so that all sound is judged alike. The beat is measured without it: as the
autocorrelation of librosa's onset strength, read on the beat grid.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import librosa
import numpy as np
from numpy.typing import NDArray

from melnet_music.evaluation.measures.note_pairs import ONSET_TOLERANCE_SECONDS, distinct_rows, note_pairs, note_rows
from melnet_music.evaluation.score.note_measures import autocorrelation, measure_notes
from melnet_music.notes.beat_times import BeatTimes
from melnet_music.notes.ear.layout import HIGHEST_PITCH, LOWEST_PITCH
from melnet_music.notes.note_map import Note
from melnet_music.notes.score.grid import STEPS_PER_QUARTER, Bars
from melnet_music.notes.score.quantise import measure_swing, quantise
from melnet_music.sound.resample import resample

Samples = NDArray[np.float32]

_RATE_HZ, _HOP, _BANDS = 22050, 256, 96


@dataclass(frozen=True, eq=False)
class OnsetStrength:
    """Of some sound: librosa's spectral flux, and the onsets that its detector finds."""

    strength: NDArray[np.float64]
    onsets_s: NDArray[np.float64]

    @classmethod
    def of(cls, audio: Samples, rate_hz: int) -> OnsetStrength:
        """Of float32 ``[n]``."""
        audio = resample(audio, rate_hz, _RATE_HZ)
        strength = librosa.onset.onset_strength(y=audio, sr=_RATE_HZ, hop_length=_HOP, n_mels=_BANDS)
        onsets = librosa.onset.onset_detect(onset_envelope=strength, sr=_RATE_HZ, hop_length=_HOP, units="time")
        return cls(np.asarray(strength, np.float64), np.asarray(onsets, np.float64))

    def on_grid(self, times: BeatTimes, start: int, end: int) -> NDArray[np.float64]:
        """The mean strength of every step from ``start`` to ``end``, ``[steps]``: from half a step before it on."""
        edges_s = times.seconds_at((np.arange(start, end + 1) - 0.5) / STEPS_PER_QUARTER)
        summed = np.concatenate(([0.0], np.cumsum(self.strength)))
        until = np.interp(edges_s * _RATE_HZ / _HOP + 0.5, np.arange(len(summed)), summed)
        means: NDArray[np.float64] = np.diff(until) / np.maximum(np.diff(edges_s), 1e-6)
        return means


@dataclass(frozen=True, eq=False)
class Performed:
    """Music as it is measured: its notes, its beats, and its sound if it sounds."""

    notes: list[Note]
    times: BeatTimes
    bars: Bars
    sound: OnsetStrength | None = None


@dataclass(frozen=True)
class SpanMeasures:
    """Of a span; NaN where there is nothing to measure."""

    notes_per_second: float
    moments_per_second: float
    """At which notes begin: those of a chord begin at one."""
    onsets_per_second: float
    """As librosa's detector finds them; the ear has no part in it."""
    beat: float
    """Autocorrelation of the onset strength at a lag of one pulse: a quarter, or three eighths in compound meters."""
    bar: float
    note_beat: float
    """The same of the number of notes that begin in a step."""
    note_bar: float
    pitch_class_entropy: float
    in_key: float
    rhythm_returns: float


def measure_span(music: Performed, start_s: float, end_s: float, key: NDArray[np.bool_]) -> SpanMeasures:
    """Of what begins from ``start_s`` to ``end_s``; rhythms may come back from before.

    Args:
        key: ``[12]``, the pitch classes that count as in key.
    """
    start, end = (round(float(beat) * STEPS_PER_QUARTER) for beat in music.times.beats_at([start_s, end_s]))
    swing = measure_swing(music.times.beats_at([note.onset_s for note in music.notes])) if music.notes else 0.5
    placed = quantise(music.notes, music.times, swing)
    bars = music.bars.copy()
    measured = measure_notes(placed, bars, start, end, key, [note for note in placed if note.onset < start])
    beat = bar = onsets = float("nan")
    if music.sound is not None:
        strength = music.sound.on_grid(music.times, start, end)
        meter = bars.meters[bars.bar_at(start)]
        beat = autocorrelation(strength, STEPS_PER_QUARTER * 3 // 2 if meter.is_compound else STEPS_PER_QUARTER)
        bar = autocorrelation(strength, meter.steps)
        at_s = music.sound.onsets_s
        onsets = int(((at_s >= start_s) & (at_s < end_s)).sum()) / (end_s - start_s)
    begun_s = sorted(note.onset_s for note in music.notes if start_s <= note.onset_s < end_s)
    return SpanMeasures(
        notes_per_second=len(begun_s) / (end_s - start_s),
        moments_per_second=_moments(begun_s) / (end_s - start_s),
        onsets_per_second=onsets,
        beat=beat,
        bar=bar,
        note_beat=measured.beat_autocorrelation,
        note_bar=measured.bar_autocorrelation,
        pitch_class_entropy=measured.pitch_class_entropy,
        in_key=measured.in_key,
        rhythm_returns=measured.rhythm_returns,
    )


def _moments(onsets_s: Sequence[float]) -> int:
    """How many onsets lie apart, in order."""
    moments, last_s = 0, -math.inf
    for onset_s in onsets_s:
        if onset_s - last_s > ONSET_TOLERANCE_SECONDS:
            moments, last_s = moments + 1, onset_s
    return moments


def found_notes(found: Sequence[Note], true: Sequence[Note], start_s: float, end_s: float) -> tuple[int, int, int]:
    """Of a span: how many notes were found that were played (pitch, and onset within 50 ms), found, and played."""
    rows = [
        distinct_rows(note_rows(n for n in notes if start_s <= n.onset_s < end_s), LOWEST_PITCH, HIGHEST_PITCH)
        for notes in (found, true)
    ]
    return len(note_pairs(*rows)), len(rows[0]), len(rows[1])
