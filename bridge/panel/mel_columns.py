"""Sound as columns of a mel spectrogram to look at: one byte a bin, cheap, without the compiler that the models need.

Each bin is the mean magnitude of the spectrum from the centre of the bin below to that of the bin above, as bins of
unit area have it, on Slaney's scale as the models' own.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bridge.audio.shared_samples import Samples
from melnet_music.sound.mel_scale import evenly_in_mel

BINS = 128
LOWEST_HZ, HIGHEST_HZ = 30.0, 12_000.0
FLOOR_DB = -96.0
"""Below a full-scale sine's mean, where a byte is 0."""
_CEILING_DB = -20.0
"""Where it is 255: what music reaches in its loudest bins."""
_WINDOW_SECONDS = 0.085

Columns = NDArray[np.uint8]


class MelColumns:
    """For sound of one rate."""

    def __init__(self, rate_hz: int) -> None:
        self.rate_hz = rate_hz
        self.window_samples = 1 << round(np.log2(_WINDOW_SECONDS * rate_hz))
        window = np.hanning(self.window_samples + 1)[:-1]
        self._window = (window * (2 / window.sum())).astype(np.float32)
        bins = evenly_in_mel(LOWEST_HZ, min(HIGHEST_HZ, 0.48 * rate_hz), BINS + 2) * self.window_samples / rate_hz
        edges = np.stack([bins[:-2], np.maximum(bins[2:], bins[:-2] + 1.0)])
        self._whole = np.floor(edges).astype(np.int64)
        self._rest = (edges - self._whole).astype(np.float32)
        self._widths = (edges[1] - edges[0]).astype(np.float32)

    @property
    def highest_hz(self) -> float:
        """The upper end of the highest bin."""
        return min(HIGHEST_HZ, 0.48 * self.rate_hz)

    def columns(self, sound: Samples, ends: NDArray[np.int64]) -> Columns:
        """uint8[N, BINS] of the windows that end before ``ends``, int64[N] of places in ``sound``."""
        places = ends[:, None] + np.arange(-self.window_samples, 0)
        magnitudes = np.abs(np.fft.rfft(sound[places] * self._window, axis=1))
        sums = np.zeros((len(ends), magnitudes.shape[1] + 1), np.float32)
        np.cumsum(magnitudes, axis=1, out=sums[:, 1:])
        at_edges = sums[:, self._whole] + self._rest * magnitudes[:, self._whole]
        means = (at_edges[:, 1] - at_edges[:, 0]) / self._widths
        decibels = 20.0 * np.log10(np.maximum(means, 1e-7))
        bytes_a_db = 255.0 / (_CEILING_DB - FLOOR_DB)
        columns: Columns = np.clip((decibels - FLOOR_DB) * bytes_a_db, 0.0, 255.0).astype(np.uint8)
        return columns
