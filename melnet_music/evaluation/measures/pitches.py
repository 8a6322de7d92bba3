"""Which pitches sound in a recording, and where they start: an estimate without training, the same for all audio.

Magnitude spectra are explained as sums of harmonic combs, one a semitone: non-negative factorisation with fixed
templates, multiplicative updates for the Kullback-Leibler divergence (Lee and Seung 2001). A note starts where its
pitch's part rises. It knows no instrument; `detection` measures what it is worth on music whose notes are known.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]
Float32Array = npt.NDArray[np.float32]

RATE_HZ = 22050
"""Of all audio that is described, whatever the preset's rate."""
HOP_SAMPLES = 512
FRAMES_PER_SECOND = RATE_HZ / HOP_SAMPLES
LOWEST_PITCH, HIGHEST_PITCH = 28, 100
"""MIDI note numbers: below, a window of 4096 samples tells no semitones apart; above there is hardly any music."""

_WINDOW_SAMPLES = 4096
_TOP_HZ = 5500.0
_PARTIALS = 20
_INHARMONICITY = 1e-4
"""B of a middle piano string: partial n lies at n f0 sqrt(1 + B n^2)."""
_LINEAR_BINS, _POOLED_SEMITONES = 150, 0.5
"""Spectral bins below are kept, those above are pooled: partials there are further apart than semitones."""
_UPDATES = 15
_RISE = 0.12
"""A note's part rises by so much of the recording's loud parts (95th percentile over frames of the strongest)..."""
_RISE_FRAMES = 2
"""...within so many frames."""
_SOUNDING = 0.08
"""A pitch counts as sounding above so much of the same."""
_SAME_NOTE_SECONDS = 0.1
_SILENCE = 1e-4
"""Parts below this magnitude are no notes, however quiet the rest is."""


@dataclass(frozen=True)
class DetectedNote:
    """A pitch that starts."""

    onset_s: float
    pitch: int
    rise: float
    """Of its part, over that of the loud parts."""


def pitch_parts(audio: Samples) -> Float32Array:
    """How much of each frame every semitone explains: ``[T, P]``, 1 + N // 512 frames, pitches from `LOWEST_PITCH`.

    ``audio``: float32[N], mono at `RATE_HZ`. In units of the magnitude of a sine.
    """
    pooling, templates = _pooling(), _templates()
    spectra = _spectra(audio) @ pooling
    heights = templates.sum(0)
    combs = np.ascontiguousarray(templates / heights, np.float32)
    total = spectra.sum(1, keepdims=True)
    parts = np.repeat(total / combs.shape[1], combs.shape[1], 1) + np.float32(1e-12)
    for _ in range(_UPDATES):
        parts *= (spectra / (parts @ combs.T + np.float32(1e-9))) @ combs
        np.maximum(parts, np.float32(1e-12), out=parts)  # denormal numbers would cost ten times the time
    scaled: Float32Array = parts / np.float32(heights.mean())
    return scaled


def loud_part(parts: Float32Array) -> float:
    """What parts are compared with: the 95th percentile over frames of the strongest."""
    return max(float(np.percentile(parts.max(1), 95)), _SILENCE)


def detected_notes(parts: Float32Array) -> list[DetectedNote]:
    """Where pitches start, in order of onset."""
    rise = np.zeros_like(parts)
    rise[1:-1] = parts[_RISE_FRAMES:] - parts[:-_RISE_FRAMES]
    rise /= loud_part(parts)
    peaks = np.zeros(rise.shape, bool)
    peaks[1:-1] = (rise[1:-1] >= rise[:-2]) & (rise[1:-1] > rise[2:]) & (rise[1:-1] > _RISE)
    notes: list[DetectedNote] = []
    for column in np.flatnonzero(peaks.any(0)):
        of_pitch: list[DetectedNote] = []
        for frame in np.flatnonzero(peaks[:, column]):
            note = DetectedNote(
                float(frame / FRAMES_PER_SECOND), LOWEST_PITCH + int(column), float(rise[frame, column])
            )
            if of_pitch and note.onset_s - of_pitch[-1].onset_s < _SAME_NOTE_SECONDS:
                of_pitch[-1] = max(of_pitch[-1], note, key=lambda either: either.rise)
            else:
                of_pitch.append(note)
        notes += of_pitch
    return sorted(notes, key=lambda note: (note.onset_s, note.pitch))


def sounding(parts: Float32Array) -> npt.NDArray[np.bool_]:
    """Which pitches sound: ``[T, P]``."""
    return parts > _SOUNDING * loud_part(parts)


def _spectra(audio: Samples) -> Float32Array:
    """Magnitudes ``[T, 4096 // 2 + 1]``, frame t centred on sample t * 512; 1 is a sine of full scale."""
    count = 1 + len(audio) // HOP_SAMPLES
    padded = np.pad(audio, (_WINDOW_SAMPLES // 2, _WINDOW_SAMPLES // 2))
    window = np.hanning(_WINDOW_SAMPLES).astype(np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW_SAMPLES)[::HOP_SAMPLES][:count]
    magnitudes: Float32Array = (np.abs(np.fft.rfft(frames * window, axis=1)) / (window.sum() / 2)).astype(np.float32)
    return magnitudes


@lru_cache(maxsize=1)
def _pooling() -> Float32Array:
    """Spectral bins to the bins that are explained, ``[4096 // 2 + 1, F]``: sums."""
    hz = np.fft.rfftfreq(_WINDOW_SAMPLES, 1 / RATE_HZ)
    place = np.arange(len(hz))
    above = place >= _LINEAR_BINS
    semitones = 12 * np.log2(hz[above] / hz[_LINEAR_BINS])
    place[above] = _LINEAR_BINS + (semitones / _POOLED_SEMITONES).astype(int)
    pooling = np.zeros((len(hz), place[hz <= _TOP_HZ].max() + 1), np.float32)
    for bin_, to in enumerate(place):
        if hz[bin_] <= _TOP_HZ:
            pooling[bin_, to] = 1
    pooling.setflags(write=False)
    return pooling


@lru_cache(maxsize=1)
def _templates() -> npt.NDArray[np.float64]:
    """The comb of every pitch ``[F, P]``: partials of strength 1 / number."""
    time_s = np.arange(_WINDOW_SAMPLES) / RATE_HZ
    combs = []
    for pitch in range(LOWEST_PITCH, HIGHEST_PITCH + 1):
        hz = 440 * 2 ** ((pitch - 69) / 12)
        comb = np.zeros(_WINDOW_SAMPLES // 2 + 1, np.float32)
        for number in range(1, _PARTIALS + 1):
            partial_hz = number * hz * np.sqrt(1 + _INHARMONICITY * number**2)
            if partial_hz > _TOP_HZ:
                break
            tone = np.cos(2 * np.pi * partial_hz * time_s).astype(np.float32)
            # the frame that a recording of nothing but this window has at its middle
            comb = np.maximum(comb, _spectra(tone)[_WINDOW_SAMPLES // 2 // HOP_SAMPLES] / number)
        combs.append(comb @ _pooling())
    templates = np.array(combs, np.float64).T
    templates.setflags(write=False)
    return templates
