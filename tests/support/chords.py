"""Music made on the spot: plucked chords with harmonics, decays and onsets, like a simple piano."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def chords(seconds: float, sample_rate_hz: int = 22050, seed: int = 0) -> NDArray[np.float32]:
    """float32[seconds * sample_rate_hz], RMS 0.08."""
    rng = np.random.default_rng(seed)
    count = round(seconds * sample_rate_hz)
    music = np.zeros(count)
    for begin in range(0, count, round(0.4 * sample_rate_hz)):
        time_s = np.arange(count - begin) / sample_rate_hz
        root = rng.integers(40, 60)
        for pitch in root + np.array([0, 7, 12, rng.choice([15, 16]), 19]):
            for harmonic in range(1, 9):
                hz = harmonic * 440 * 2 ** ((pitch - 69) / 12)
                if hz < 0.45 * sample_rate_hz:
                    envelope = np.exp(-time_s * (1.5 + harmonic)) * (1 - np.exp(-time_s * 400)) / harmonic
                    music[begin:] += envelope * np.sin(2 * np.pi * (hz * time_s + rng.random()))
    return (0.08 * music / np.sqrt(np.mean(music**2))).astype(np.float32)
