"""Sample rate conversion of a stream: the same bits however the stream is cut."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import soxr
from numpy.typing import NDArray

Float32Array = NDArray[np.float32]

_QUALITY = "HQ"


class StreamResampler:
    """Mono float32 at one rate in, at another rate out, in time with the input: no delay has to be cut off.

    n samples in become ``round(n * to_hz / from_hz)`` samples out once flushed. Equal rates pass samples
    through untouched. Not thread-safe, allocates: not for an audio callback.

    Raises:
        ValueError: a rate is not positive.
    """

    def __init__(self, from_hz: int, to_hz: int) -> None:
        if from_hz <= 0 or to_hz <= 0:
            raise ValueError(f"sample rates must be positive, got from {from_hz} to {to_hz} Hz")
        self.from_hz = from_hz
        self.to_hz = to_hz
        self._stream = None if from_hz == to_hz else _open(from_hz, to_hz)

    @property
    def lookahead_samples(self) -> int:
        """Most input samples, after an output sample's instant, that may be needed before it is returned."""
        return 0 if self._stream is None else _measure_lookahead(self.from_hz, self.to_hz)

    def push(self, audio: Float32Array) -> Float32Array:
        """Take float32[n], any n, and return the samples that are ready. Raises ValueError if not mono."""
        audio = np.ascontiguousarray(audio, dtype=np.float32)
        if audio.ndim != 1:
            raise ValueError(f"audio has shape {audio.shape}, expected mono [samples]; mix it down first")
        if self._stream is None:
            return audio
        resampled: Float32Array = self._stream.resample_chunk(audio)
        return resampled

    def flush(self) -> Float32Array:
        """End the stream and return what was held back. The next `push` starts a new stream."""
        if self._stream is None:
            return np.zeros(0, np.float32)
        rest: Float32Array = self._stream.resample_chunk(np.zeros(0, np.float32), last=True)
        self._stream.clear()
        return rest


def resample(audio: Float32Array, from_hz: int, to_hz: int) -> Float32Array:
    """A whole mono clip through `StreamResampler`: float32[N] -> float32[round(N * to_hz / from_hz)]."""
    resampler = StreamResampler(from_hz, to_hz)
    return np.concatenate([resampler.push(audio), resampler.flush()])


def _open(from_hz: int, to_hz: int) -> soxr.ResampleStream:
    return soxr.ResampleStream(from_hz, to_hz, num_channels=1, dtype="float32", quality=_QUALITY)


@lru_cache(maxsize=32)
def _measure_lookahead(from_hz: int, to_hz: int) -> int:
    # soxr works in blocks of its own, of undeclared size, so feed it and watch what it holds back.
    stream = _open(from_hz, to_hz)
    sample = np.zeros(1, np.float32)
    held = returned = 0
    for pushed in range(1, 8 * 1024):
        returned += len(stream.resample_chunk(sample))
        held = max(held, pushed - math.floor(returned * from_hz / to_hz))
    return held
