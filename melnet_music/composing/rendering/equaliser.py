"""A gentle equaliser of second-order sections: minimum phase, so that it moves no onset.

The sections are Bristow-Johnson's ("Cookbook formulae for audio EQ biquad filter coefficients").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.signal import sosfilt

Shape = Literal["low shelf", "peak", "high shelf"]


@dataclass(frozen=True)
class Band:
    """One section: its shape, corner or centre frequency, and gain there; ``q`` is its width (shelves: 0.7)."""

    shape: Shape
    frequency_hz: float
    gain_db: float
    q: float = 0.7


def draw_bands(rng: np.random.Generator) -> tuple[Band, ...]:
    """A mild colour: two shelves and two peaks, each seldom beyond 4 dB."""

    def gain(spread_db: float, centre_db: float = 0.0) -> float:
        return round(float(np.clip(rng.normal(centre_db, spread_db), -6.0, 5.0)), 2)

    def between(lowest: float, highest: float) -> float:
        return round(float(np.exp(rng.uniform(np.log(lowest), np.log(highest)))), 1)

    return (
        Band("low shelf", between(80.0, 250.0), gain(2.0)),
        Band("peak", between(250.0, 900.0), gain(1.5), round(float(rng.uniform(0.6, 1.2)), 2)),
        Band("peak", between(1000.0, 4000.0), gain(1.5), round(float(rng.uniform(0.6, 1.2)), 2)),
        Band("high shelf", between(3000.0, 7000.0), gain(2.2, -0.5)),
    )


def equalise(audio: NDArray[np.float32], bands: Sequence[Band], rate_hz: int) -> NDArray[np.float32]:
    """The audio [n] through all bands, one after the other."""
    if not bands:
        return audio
    sections = np.array([section_of(band, rate_hz) for band in bands])
    filtered: NDArray[np.float64] = sosfilt(sections, audio.astype(np.float64))
    return filtered.astype(np.float32)


def section_of(band: Band, rate_hz: int) -> tuple[float, ...]:
    """A band as (b0, b1, b2, a0, a1, a2), normalised by a0."""
    amplitude = 10.0 ** (band.gain_db / 40.0)
    omega = 2.0 * np.pi * band.frequency_hz / rate_hz
    cosine, alpha = float(np.cos(omega)), float(np.sin(omega)) / (2.0 * band.q)
    if band.shape == "peak":
        b = (1.0 + alpha * amplitude, -2.0 * cosine, 1.0 - alpha * amplitude)
        a = (1.0 + alpha / amplitude, -2.0 * cosine, 1.0 - alpha / amplitude)
    else:
        side = 1.0 if band.shape == "low shelf" else -1.0
        root = 2.0 * np.sqrt(amplitude) * alpha
        more, less = amplitude + 1.0, amplitude - 1.0
        b = (
            amplitude * (more - side * less * cosine + root),
            side * 2.0 * amplitude * (less - side * more * cosine),
            amplitude * (more - side * less * cosine - root),
        )
        a = (
            more + side * less * cosine + root,
            -side * 2.0 * (less + side * more * cosine),
            more + side * less * cosine - root,
        )
    return tuple(float(value / a[0]) for value in (*b, *a))
