"""Sounds that are no notes: noise of many colours, and knocks; with `babble`. All made up."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, lfilter, sosfilt

from melnet_music.model.config import SoundConfig
from melnet_music.sound.mel import log_mel
from melnet_music.training.ear.babble import babble

Samples = NDArray[np.float64]

_LEVEL_RMS = 0.05


def unpitched_frames(
    sound: SoundConfig, clips: int, seconds: float, rng: np.random.Generator
) -> list[NDArray[np.float32]]:
    """Log-mel frames ``[T, M]`` of so many clips, the kinds in turn."""
    kinds: tuple[Callable[[int, int, np.random.Generator], Samples], ...] = (babble, noise, babble, knocks)
    samples, rate_hz = round(seconds * sound.sample_rate_hz), sound.sample_rate_hz
    frames = []
    for number in range(clips):
        audio = kinds[number % len(kinds)](samples, rate_hz, rng)
        audio *= _LEVEL_RMS / max(float(np.sqrt(np.mean(np.square(audio)))), 1e-9)
        frames.append(log_mel(audio.astype(np.float32), sound))
    return frames


def noise(samples: int, rate_hz: int, rng: np.random.Generator) -> Samples:
    """Noise ``[n]`` of a random colour, that swells and falls, or stops and starts."""
    white = rng.normal(size=samples)
    pole = rng.choice([0.0, 0.7, 0.95, 0.995])
    coloured = lfilter([1.0 - pole], [1.0, -pole], white)
    if rng.random() < 0.5:
        low_hz = float(np.exp(rng.uniform(np.log(80.0), np.log(4000.0))))
        band = (low_hz, min(low_hz * rng.uniform(1.5, 8.0), 0.45 * rate_hz))
        coloured = sosfilt(butter(2, band, "bandpass", fs=rate_hz, output="sos"), coloured)
    knots = rng.uniform(-30.0, 0.0, size=max(2, samples * 4 // rate_hz))
    level_db = np.interp(np.linspace(0, len(knots) - 1, samples), np.arange(len(knots)), knots)
    shaped: Samples = coloured * 10.0 ** (level_db / 20.0)
    return shaped


def knocks(samples: int, rate_hz: int, rng: np.random.Generator) -> Samples:
    """Short bursts ``[n]``, as of knocking, clapping or cutlery, over a little noise."""
    audio = 1e-3 * rng.normal(size=samples)
    for at in rng.integers(0, samples, size=max(1, round(samples / rate_hz * rng.uniform(1.0, 9.0)))):
        length = min(round(rate_hz * rng.uniform(0.01, 0.2)), samples - int(at))
        burst = rng.normal(size=length) * np.exp(-np.arange(length) / (rate_hz * rng.uniform(0.002, 0.03)))
        centre_hz = float(np.exp(rng.uniform(np.log(150.0), np.log(6000.0))))
        sections = butter(1, (0.6 * centre_hz, 1.6 * centre_hz), "bandpass", fs=rate_hz, output="sos")
        audio[at : at + length] += rng.uniform(0.1, 1.0) * sosfilt(sections, burst)
    return audio
