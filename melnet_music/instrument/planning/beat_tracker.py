"""Beats of an onset strength by dynamic programming (Ellis 2007, "Beat tracking by dynamic programming").

The tempo is the lag at which the strength is most like itself, in windows of eight seconds, with a prior around 120 a
minute; the beats are those whose strengths, less what their distances depart from the tempo, sum up to most. The same
beats as librosa's ``beat_track`` finds, without the half minute for which its first call compiles.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Strength = NDArray[np.float64]

_WINDOW_SECONDS = 8.0
_PRIOR_BPM, _FASTEST_BPM = 120.0, 320.0
_TIGHTNESS = 100.0
"""What it costs that a beat is e times later than the tempo has it, in standard deviations of the strength."""
_SHARPNESS = 32.0
"""A beat takes in the strength around it: a bell whose standard deviation is the beat's length over this."""
_FRAMES_PER_BLOCK = 512


def beat_frames(strength: Strength, frames_per_second: float, tempo_bpm: float | None = None) -> NDArray[np.int64]:
    """The frames of the beats, in order; none where the strength ``[T]`` is nothing.

    Args:
        tempo_bpm: beats a minute; None: found.
    """
    if not strength.any():
        return np.zeros(0, np.int64)
    if tempo_bpm is None:
        tempo_bpm = find_tempo(strength, frames_per_second)
    period = round(frames_per_second * 60 / tempo_bpm)
    score = _around(strength / strength.std(ddof=1), period)
    total, before = _best_sums(score, period)
    beats = [_last_beat(total)]
    while before[beats[-1]] >= 0:
        beats.append(int(before[beats[-1]]))
    heard = np.flatnonzero(score > 0)
    return np.array([beat for beat in reversed(beats) if heard[0] <= beat <= heard[-1]], np.int64)


def find_tempo(strength: Strength, frames_per_second: float) -> float:
    """Beats a minute of an onset strength ``[T]``."""
    lags = int(_WINDOW_SECONDS * frames_per_second)
    half = lags // 2
    around = np.pad(strength, half, mode="linear_ramp", end_values=0)
    windows = np.lib.stride_tricks.sliding_window_view(around, lags)[: len(strength)]
    bell = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(lags) / lags)
    likeness = np.zeros(lags)
    for first in range(0, len(windows), _FRAMES_PER_BLOCK):
        spectra = np.fft.rfft(windows[first : first + _FRAMES_PER_BLOCK] * bell, 2 * lags, axis=1)
        alike = np.fft.irfft(np.abs(spectra) ** 2, axis=1)[:, :lags]
        most = np.abs(alike).max(1, keepdims=True)
        likeness += (alike / np.where(most < np.finfo(float).tiny, 1, most)).sum(0)
    bpm = 60 * frames_per_second / np.arange(1, lags)
    belief = np.log1p(1e6 * likeness[1:] / len(windows)) - 0.5 * np.log2(bpm / _PRIOR_BPM) ** 2
    belief[bpm >= _FASTEST_BPM] = -np.inf
    return float(bpm[int(np.argmax(belief))])


def _around(strength: Strength, period: int) -> Strength:
    """What a beat at each frame takes in."""
    bell = np.exp(-0.5 * (np.arange(-period, period + 1) * _SHARPNESS / period) ** 2)
    return np.convolve(strength, bell)[period : period + len(strength)]


def _best_sums(score: Strength, period: int) -> tuple[Strength, NDArray[np.int64]]:
    """Of the best beats up to each frame: their sum, and the frame of the one before, -1 if there is none."""
    lags = np.arange(round(period / 2), 2 * period + 1)
    cost = (_TIGHTNESS * np.log(lags / period) ** 2)[::-1]  # from the earliest frame to the latest
    total, before = score.copy(), np.full(len(score), -1)
    begun = False
    heard = score >= 0.01 * score.max()
    for frame in range(len(score)):
        latest = frame - int(lags[0])
        begun = begun or bool(heard[frame])
        if latest < 0:
            continue
        earliest = max(frame - int(lags[-1]), 0)
        sums = total[earliest : latest + 1] - cost[earliest - latest - 1 :]
        best = len(sums) - 1 - int(np.argmax(sums[::-1]))
        total[frame] += sums[best]
        if begun:
            before[frame] = earliest + best
    return total, before


def _last_beat(total: Strength) -> int:
    """The last frame that is a peak, and half as high at least as the median of all peaks."""
    after = np.append(total[1:], -np.inf)
    peaks = np.flatnonzero((total[1:] > total[:-1]) & (total[1:] >= after[1:])) + 1
    if not len(peaks):
        return len(total) - 1
    return int(peaks[total[peaks] >= 0.5 * np.median(total[peaks])][-1])
