"""Audio to log-mel frames, for whole clips and for streams: the same bits either way.

Frame ``t`` is centred on sample ``t * hop_samples``. The signal before sample 0 and after the last sample is
zeros, so a clip of N samples has ``1 + N // hop_samples`` frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numba
import numpy as np
from numpy.typing import NDArray

from melnet_music.model.config import SoundConfig
from melnet_music.sound.mel_scale import mel_frequencies

Float32Array = NDArray[np.float32]

_FRAMES_PER_BLOCK = 256


@lru_cache(maxsize=8)
def mel_filterbank(sound: SoundConfig) -> Float32Array:
    """Triangular filters of unit area on the Slaney mel scale: float32[M, n_fft // 2 + 1], read-only."""
    corners = mel_frequencies(sound)
    widths = np.diff(corners)
    distances = corners[:, None] - np.fft.rfftfreq(sound.n_fft, 1 / sound.sample_rate_hz)
    rising = -distances[:-2] / widths[:-1, None]
    falling = distances[2:] / widths[1:, None]
    filters: Float32Array = np.maximum(0, np.minimum(rising, falling)).astype(np.float32)
    filters *= (2 / (corners[2:] - corners[:-2]))[:, None]
    filters.setflags(write=False)
    return filters


@lru_cache(maxsize=8)
def analysis_window(window_samples: int) -> Float32Array:
    """Periodic Hann window: float32[window_samples], read-only."""
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window_samples) / window_samples)).astype(np.float32)
    window.setflags(write=False)
    return window


def log_mel(audio: Float32Array, sound: SoundConfig) -> Float32Array:
    """Log-mel frames of a whole clip.

    Args:
        audio: float32[N], mono at ``sound.sample_rate_hz``.

    Returns:
        float32[1 + N // hop, M]: natural log of the mel magnitude plus ``magnitude_floor``.

    Raises:
        ValueError: the audio is not one-dimensional.
    """
    stream = LogMelStream(sound)
    return np.concatenate([stream.push(audio), stream.flush()])


@dataclass(frozen=True)
class LogMelState:
    """Where a stream stands. The arrays are read-only, so states can be shared and kept."""

    pending: Float32Array
    """Samples still needed: from the start of the next frame's window to the last sample pushed."""
    samples: int
    """Samples pushed since the start of the stream."""
    frames: int
    """Frames returned since the start of the stream."""


class LogMelStream:
    """`log_mel` in pieces: however the audio is cut, the frames are the same, bit for bit.

    Not thread-safe, allocates: not for an audio callback.
    """

    def __init__(self, sound: SoundConfig) -> None:
        self.sound = sound
        self._window = analysis_window(sound.window_samples)
        self._filters = mel_filterbank(sound)
        self._supports = filter_supports(self._filters)
        self._state = self._start()

    @property
    def lookahead_samples(self) -> int:
        """Samples after a frame's centre that the frame depends on."""
        return self.sound.window_samples - self.sound.window_samples // 2

    def push(self, audio: Float32Array) -> Float32Array:
        """Take float32[n], any n, and return the frames that it completes: float32[t, M].

        Raises ValueError if the audio is not one-dimensional.
        """
        audio = np.asarray(audio, dtype=np.float32)
        if audio.ndim != 1:
            raise ValueError(f"audio has shape {audio.shape}, expected mono [samples]; mix the channels first")
        state = self._state
        return self._advance(np.concatenate([state.pending, audio]), state.samples + len(audio))

    def flush(self) -> Float32Array:
        """End the stream: the frames whose windows reach past the last sample, float32[t, M].

        The next `push` starts a new stream.
        """
        state = self._state
        missing = 1 + state.samples // self.sound.hop_samples - state.frames
        span = (missing - 1) * self.sound.hop_samples + self.sound.window_samples
        frames = self._advance(np.pad(state.pending, (0, span - len(state.pending))), state.samples)
        self._state = self._start()
        return frames

    def state(self) -> LogMelState:
        """Where the stream stands, for `restore`."""
        return self._state

    def restore(self, state: LogMelState) -> None:
        """Go on from a state that `state` returned on a stream with the same sound."""
        self._state = state

    def _start(self) -> LogMelState:
        return LogMelState(np.zeros(self.sound.window_samples // 2, np.float32), samples=0, frames=0)

    def _advance(self, signal: Float32Array, samples: int) -> Float32Array:
        hop, window = self.sound.hop_samples, self.sound.window_samples
        floor = np.float32(self.sound.magnitude_floor)
        count = max(0, (len(signal) - window) // hop + 1)
        frames = np.empty((count, self.sound.mel_bins), np.float32)
        for first in range(0, count, _FRAMES_PER_BLOCK):
            block = frames[first : first + _FRAMES_PER_BLOCK]
            begin = first * hop
            segment = signal[begin : begin + (len(block) - 1) * hop + window]
            windowed = np.lib.stride_tricks.sliding_window_view(segment, window)[::hop] * self._window
            # numpy transforms row by row, so a frame's bits do not depend on the frames beside it.
            spectra = np.fft.rfft(windowed, n=self.sound.n_fft, axis=1)
            _log_mel_rows(spectra, self._filters, self._supports, floor, block)
        pending = signal[count * hop :].copy()
        pending.setflags(write=False)
        self._state = LogMelState(pending, samples, self._state.frames + count)
        return frames


def filter_supports(filters: Float32Array) -> NDArray[np.int64]:
    """First and past-the-last non-zero bin of each filter: int64[M, 2]."""
    nonzero = filters > 0
    first = nonzero.argmax(axis=1)
    past = filters.shape[1] - nonzero[:, ::-1].argmax(axis=1)
    return np.stack([first, np.where(nonzero.any(axis=1), past, first)], axis=1).astype(np.int64)


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _log_mel_rows(
    spectra: NDArray[np.complex64],
    filters: Float32Array,
    supports: NDArray[np.int64],
    floor: np.float32,
    out: Float32Array,
) -> None:
    magnitude = np.empty(spectra.shape[1], np.float32)
    for t in range(spectra.shape[0]):
        for k in range(spectra.shape[1]):
            value = spectra[t, k]
            magnitude[k] = np.sqrt(value.real * value.real + value.imag * value.imag)
        for m in range(filters.shape[0]):
            total = floor
            for k in range(supports[m, 0], supports[m, 1]):
                total += filters[m, k] * magnitude[k]
            out[t, m] = np.log(total)
