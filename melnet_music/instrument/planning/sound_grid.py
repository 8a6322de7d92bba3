"""Beats and bars of sound alone, up to its end: for takes that go on from a recording."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from melnet_music.instrument.planning.take_plan import NotPlannableError
from melnet_music.notes.beat_times import BeatTimes
from melnet_music.notes.score.grid import STEPS_PER_QUARTER, Bars, Meter
from melnet_music.notes.score.planned_notes import TakeGrid
from melnet_music.sound.resample import resample

Samples = NDArray[np.float32]
Strength = NDArray[np.float64]

LISTENED_SECONDS = 60.0
"""So much of the end is listened to."""
_RATE_HZ, _HOP = 22050, 256
_FRAMES_PER_SECOND = _RATE_HZ / _HOP
_BANDS, _BASS_BANDS, _BASS_HZ = 96, 12, 250.0
_TEMPO_PULSES = 16
"""A tempo that was found goes on as the median of so many pulses before the end."""
_FEWEST_PULSES, _ANCHOR_PULSES = 4, 5


def grid_of_sound(audio: Samples, rate_hz: int, meter: Meter, tempo_bpm: float | None = None) -> TakeGrid:
    """The grid around the end of mono sound ``[n]``, which goes on in the tempo that it had last.

    Beats are those of librosa's beat tracker (Ellis 2007); bars begin where most begins, in the bass and over all.

    Args:
        tempo_bpm: quarters a minute, that the tracker looks for and the take keeps; None: found from the sound.

    Raises:
        NotPlannableError: no beat was found.
    """
    import librosa  # takes seconds

    heard = resample(audio[-round(LISTENED_SECONDS * rate_hz) :], rate_hz, _RATE_HZ)
    strength = librosa.onset.onset_strength(y=heard, sr=_RATE_HZ, hop_length=_HOP, n_mels=_BANDS)
    bass = librosa.onset.onset_strength(y=heard, sr=_RATE_HZ, hop_length=_HOP, n_mels=_BASS_BANDS, fmax=_BASS_HZ)
    pulse_quarters = 1.5 if meter.is_compound else 1.0
    told_bpm = None if tempo_bpm is None else tempo_bpm / pulse_quarters
    _, frames = librosa.beat.beat_track(onset_envelope=strength, sr=_RATE_HZ, hop_length=_HOP, trim=False, bpm=told_bpm)
    pulses_s = np.asarray(frames, np.float64) / _FRAMES_PER_SECOND
    if len(pulses_s) < _FEWEST_PULSES:
        raise NotPlannableError("no beat was found in the sound: give its tempo")
    lasting_s = float(np.median(np.diff(pulses_s[-_TEMPO_PULSES:]))) if told_bpm is None else 60 / told_bpm
    pulses_s[-1] = max(_last_pulse(pulses_s, lasting_s), pulses_s[-2] + 0.5 * lasting_s)
    seconds = np.append(pulses_s, pulses_s[-1] + lasting_s) - len(heard) / _RATE_HZ
    times = BeatTimes(np.arange(len(seconds), dtype=np.float64) * pulse_quarters, seconds)
    loud = _even(np.asarray(strength, np.float64)) + _even(np.asarray(bass, np.float64))
    first_bar = _first_bar(loud, times, len(heard) / _RATE_HZ, meter, pulse_quarters)
    bar_quarters = meter.steps / STEPS_PER_QUARTER
    earliest = float(times.beats_at(-len(heard) / _RATE_HZ))
    first_bar -= math.ceil(max(first_bar - earliest, 0.0) / bar_quarters) * bar_quarters
    return TakeGrid(BeatTimes(times.beats - first_bar, times.seconds), Bars.of(meter))


def _last_pulse(pulses_s: NDArray[np.float64], lasting_s: float) -> float:
    """Where the last pulse is by those before it: the tracker is least sure of the end."""
    lately = pulses_s[-_ANCHOR_PULSES:]
    return float(np.median(lately + lasting_s * np.arange(len(lately) - 1, -1, -1)))


def _first_bar(loud: Strength, times: BeatTimes, heard_s: float, meter: Meter, pulse_quarters: float) -> float:
    """A beat at which a bar begins, within a bar of the first."""
    bar_quarters = meter.steps / STEPS_PER_QUARTER
    whole = bar_quarters % pulse_quarters == 0
    candidates = np.arange(0.0, bar_quarters, pulse_quarters if whole else 0.5)
    last = float(times.beats_at(0.0))
    means = []
    for candidate in candidates:
        at_s = times.seconds_at(np.arange(candidate, max(last, candidate + 1e-3), bar_quarters)) + heard_s
        frames = np.round(at_s * _FRAMES_PER_SECOND).astype(int)
        near = np.clip(frames[:, None] + np.arange(-2, 3), 0, len(loud) - 1)
        means.append(float(loud[near].max(1).mean()))
    return float(candidates[int(np.argmax(means))])


def _even(strength: Strength) -> Strength:
    even: Strength = strength / max(float(strength.std()), 1e-9)
    return even
