"""What a piece of audio is described by, without knowing its notes: the same for real and generated sound."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import librosa
import numpy as np
import numpy.typing as npt

from melnet_music.evaluation.measures.pitches import (
    FRAMES_PER_SECOND,
    HOP_SAMPLES,
    LOWEST_PITCH,
    RATE_HZ,
    DetectedNote,
    detected_notes,
    pitch_parts,
    sounding,
)
from melnet_music.sound.resample import resample

Samples = npt.NDArray[np.float32]
Array = npt.NDArray[np.float64]

LEVEL_SECONDS = 0.25
"""Levels are those of blocks of this length."""
QUIETEST_DB = -90.0
BANDS = 16
_ONSET_HOP, _ONSET_BANDS, _ONSET_DELTA = 256, 96, 0.07
_BAND_LOW_HZ, _BAND_HIGH_HZ = 50.0, 8000.0


@dataclass(frozen=True, eq=False)
class Description:
    """One piece of audio. Frames are those of `pitches`: 512 samples at 22,050 Hz."""

    seconds: float
    level_db: Array
    """Of every quarter of a second, dBFS (a sine of full scale: -3), at least -90."""
    onsets_s: Array
    """Peaks of the spectral flux (librosa's onset detector)."""
    notes: tuple[DetectedNote, ...]
    polyphony: Array
    """``[T]``: how many pitches sound."""
    chroma: Array
    """``[T, 12]``: the strength of each pitch class, from C."""
    intervals: Array
    """``[12]``: how often two sounding pitches lie so many semitones apart, octaves aside."""
    centroid_hz: Array
    """``[T]``: centre of gravity of the power spectrum."""
    power: Array
    """``[T]``: total power of the spectrum, what centroids are weighted by."""
    bands_db: Array
    """``[T, 16]``: levels of mel bands from 50 Hz to 8 kHz."""


def describe(audio: Samples, rate_hz: int = RATE_HZ) -> Description:
    """Describe float32[n], mono, as it sounds at 22,050 Hz: models of different rates are measured alike."""
    audio = resample(audio, rate_hz, RATE_HZ)
    parts = pitch_parts(audio)
    active = sounding(parts)
    spectrum = np.abs(librosa.stft(audio, n_fft=2048, hop_length=HOP_SAMPLES, pad_mode="constant")).T ** 2
    spectrum = spectrum.astype(np.float64)
    hz = np.fft.rfftfreq(2048, 1 / RATE_HZ)
    power = spectrum.sum(1)
    filters = librosa.filters.mel(sr=RATE_HZ, n_fft=2048, n_mels=BANDS, fmin=_BAND_LOW_HZ, fmax=_BAND_HIGH_HZ)
    bands = spectrum @ filters.T.astype(np.float64)
    classes = (np.arange(parts.shape[1]) + LOWEST_PITCH) % 12
    chroma = np.stack([(parts * active)[:, classes == c].sum(1) for c in range(12)], 1).astype(np.float64)
    return Description(
        seconds=len(audio) / RATE_HZ,
        level_db=level_db(audio, round(LEVEL_SECONDS * RATE_HZ)),
        onsets_s=_onsets(audio),
        notes=tuple(detected_notes(parts)),
        polyphony=active.sum(1).astype(np.float64),
        chroma=chroma,
        intervals=_intervals(active),
        centroid_hz=(spectrum @ hz) / np.maximum(power, 1e-12),
        power=power,
        bands_db=10 * np.log10(bands + 1e-6),
    )


def level_db(audio: Samples, block_samples: int) -> Array:
    """dBFS of every whole block."""
    blocks = audio[: len(audio) // block_samples * block_samples].reshape(-1, block_samples).astype(np.float64)
    levels: Array = np.maximum(10 * np.log10((blocks**2).mean(1) + 1e-12), QUIETEST_DB)
    return levels


def melodic_steps(notes: tuple[DetectedNote, ...], together_s: float = 0.05) -> list[int]:
    """Semitones from each highest starting note to the next."""
    tops: list[DetectedNote] = []
    for note in notes:
        if tops and note.onset_s - tops[-1].onset_s < together_s:
            if note.pitch > tops[-1].pitch:
                tops[-1] = note
        else:
            tops.append(note)
    return [after.pitch - before.pitch for before, after in pairwise(tops)]


def entropy_bits(strengths: Array) -> float:
    """Of strengths of any sum; 0 where there is nothing."""
    total = strengths.sum()
    if total <= 0:
        return 0.0
    shares = strengths[strengths > 0] / total
    return float(-(shares * np.log2(shares)).sum())


def frame_span(start_s: float, stop_s: float) -> slice:
    """The frames of a stretch."""
    return slice(round(start_s * FRAMES_PER_SECOND), round(stop_s * FRAMES_PER_SECOND))


def onset_count(description: Description, start_s: float, stop_s: float) -> int:
    """Onsets in a stretch."""
    return int(((description.onsets_s >= start_s) & (description.onsets_s < stop_s)).sum())


def _onsets(audio: Samples) -> Array:
    envelope = librosa.onset.onset_strength(y=audio, sr=RATE_HZ, hop_length=_ONSET_HOP, n_mels=_ONSET_BANDS)
    found = librosa.onset.onset_detect(
        onset_envelope=envelope, sr=RATE_HZ, hop_length=_ONSET_HOP, units="time", delta=_ONSET_DELTA
    )
    return np.asarray(found, np.float64)


def _intervals(active: npt.NDArray[np.bool_]) -> Array:
    counts = np.zeros(12)
    number = active.astype(np.float64)
    for apart in range(1, active.shape[1]):
        counts[apart % 12] += (number[:, apart:] * number[:, :-apart]).sum()
    return counts
