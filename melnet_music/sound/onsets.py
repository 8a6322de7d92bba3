"""Where something begins in sound: the strength of onsets (spectral flux of mel bands), and its peaks.

The same numbers as librosa's ``onset_strength`` and ``onset_detect``, whose first call compiles for half a minute.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from melnet_music.sound.mel import analysis_window
from melnet_music.sound.mel_scale import mel_filters

Float32Array = NDArray[np.float32]

SPECTRUM_SAMPLES = 2048
"""Of the window of `power_spectra`, a periodic Hann."""
_FRAMES_PER_BLOCK = 512
_LEAST_POWER = 1e-10
_RANGE_DB = 80.0
"""Below the loudest band of all; what is quieter counts as so loud."""
_NEAR_SECONDS, _AROUND_SECONDS = 0.03, 0.1
"""A peak is the largest of so much before it, and stands out of the mean of so much around it."""


def power_spectra(audio: Float32Array, hop_samples: int) -> Float32Array:
    """Power spectra ``[1 + n // hop, 1025]`` of float32 ``[n]`` with zeros around, centred on every hop."""
    half = SPECTRUM_SAMPLES // 2
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(audio, half), SPECTRUM_SAMPLES)[::hop_samples]
    window = analysis_window(SPECTRUM_SAMPLES)
    power = np.empty((len(windows), half + 1), np.float32)
    for first in range(0, len(windows), _FRAMES_PER_BLOCK):
        block = slice(first, first + _FRAMES_PER_BLOCK)
        spectra = np.fft.rfft(windows[block] * window, axis=1)
        power[block] = spectra.real**2 + spectra.imag**2
    return power


def onset_strength(
    audio: Float32Array, rate_hz: int, hop_samples: int, bands: int, highest_hz: float | None = None
) -> Float32Array:
    """How much louder than a hop before, in dB, the mel bands are that grew: their mean, float32 ``[1 + n // hop]``.

    Later by half a window: the first window that reaches an onset is centred half a window before it.

    Args:
        audio: float32 ``[n]``.
        highest_hz: of the bands; None: half the rate.
    """
    filters = mel_filters(rate_hz, SPECTRUM_SAMPLES, bands, 0.0, highest_hz or rate_hz / 2)
    levels_db = 10 * np.log10(np.maximum(power_spectra(audio, hop_samples) @ filters.T, np.float32(_LEAST_POWER)))
    np.maximum(levels_db, levels_db.max() - np.float32(_RANGE_DB), out=levels_db)
    flux = np.maximum(np.diff(levels_db, axis=0), 0).mean(1)
    late = 1 + SPECTRUM_SAMPLES // (2 * hop_samples)
    strength: Float32Array = np.pad(flux, (late, 0))[: len(levels_db)]
    return strength


def onset_frames(strength: Float32Array, frames_per_second: float, stands_out: float = 0.07) -> NDArray[np.int64]:
    """Frames at which the strength ``[T]`` has peaks, in order.

    Args:
        stands_out: over the mean around it, as a share of the largest strength.
    """
    level = strength - strength.min()
    if not level.any():
        return np.zeros(0, np.int64)
    level /= level.max()
    near, around = int(_NEAR_SECONDS * frames_per_second), int(_AROUND_SECONDS * frames_per_second)
    peaks: list[int] = []
    for frame, value in enumerate(level):
        if peaks and frame <= peaks[-1] + near:
            continue
        if value < level[max(frame - near, 0) : frame + 1].max():
            continue
        if value >= level[max(frame - around, 0) : frame + around + 1].mean() + stands_out:
            peaks.append(frame)
    return np.array(peaks, np.int64)
