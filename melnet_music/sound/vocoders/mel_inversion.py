"""Log-mel frames back to linear magnitude spectra."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from melnet_music.kernel_cache import njit
from melnet_music.model.config import SoundConfig
from melnet_music.sound.mel import filter_supports, mel_filterbank

Float32Array = NDArray[np.float32]

_UPDATES = 10
"""More do not help: 3, 10, 30 updates give 1.03, 0.90, 0.89 dB of log-mel error after resynthesis."""

_TINY = 1e-8


class MelInversion:
    """Non-negative spectra whose mel bands fit the frame.

    The pseudo-inverse of the filterbank, then multiplicative updates that lower the Kullback-Leibler divergence
    of the bands (Lee and Seung 2001, eq. 5). Starting from the previous frame instead is worse (1.18 dB for
    0.90 dB): a bin that was silent stays silent.
    """

    def __init__(self, sound: SoundConfig) -> None:
        self._filters = mel_filterbank(sound)
        self._supports = filter_supports(self._filters)
        self._column_sums = self._filters.sum(axis=0) + np.float32(_TINY)
        self._inverse = _inverse_filterbank(sound)
        self._magnitude_floor = sound.magnitude_floor

    def __call__(self, log_mel: Float32Array) -> Float32Array:
        """One frame, float32[M] -> float32[n_fft // 2 + 1]."""
        bands = np.maximum(np.exp(log_mel.astype(np.float64)) - self._magnitude_floor, 0).astype(np.float32)
        spectrum: Float32Array = _invert(bands, self._filters, self._supports, self._column_sums, self._inverse)
        return spectrum


@lru_cache(maxsize=8)
def _inverse_filterbank(sound: SoundConfig) -> Float32Array:
    """Pseudo-inverse, transposed: float32[M, n_fft // 2 + 1]."""
    inverse = np.linalg.pinv(mel_filterbank(sound).astype(np.float64))
    return np.ascontiguousarray(inverse.T, dtype=np.float32)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _invert(
    bands: Float32Array,
    filters: Float32Array,
    supports: NDArray[np.int64],
    column_sums: Float32Array,
    inverse: Float32Array,
) -> Float32Array:
    mel_bins, bins = filters.shape
    tiny = np.float32(_TINY)
    spectrum = np.zeros(bins, np.float32)
    smooth = np.zeros(bins, np.float32)
    for m in range(mel_bins):
        for k in range(bins):
            spectrum[k] += inverse[m, k] * bands[m]
        for k in range(supports[m, 0], supports[m, 1]):
            smooth[k] += filters[m, k] * bands[m]
    for k in range(bins):
        # A multiplicative update cannot leave zero: start the clipped bins low, but not at nothing.
        spectrum[k] = (spectrum[k] if spectrum[k] > 0 else np.float32(1e-2) * smooth[k]) + tiny
    correction = np.empty(bins, np.float32)
    for _ in range(_UPDATES):
        correction[:] = 0
        for m in range(mel_bins):
            fitted = tiny
            for k in range(supports[m, 0], supports[m, 1]):
                fitted += filters[m, k] * spectrum[k]
            ratio = bands[m] / fitted
            for k in range(supports[m, 0], supports[m, 1]):
                correction[k] += filters[m, k] * ratio
        for k in range(bins):
            spectrum[k] *= correction[k] / column_sums[k]
    return spectrum
