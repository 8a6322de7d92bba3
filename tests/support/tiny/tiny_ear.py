"""A small ear with weights at random, and a small sound for it."""

from __future__ import annotations

import numpy as np

from melnet_music.model.config import SoundConfig
from melnet_music.notes.ear.config import EarConfig, NetworkConfig, ThresholdConfig
from melnet_music.notes.ear.weights import Weights, weight_shapes

EAR_SOUND = SoundConfig(
    sample_rate_hz=22050, n_fft=1024, window_samples=1024, hop_samples=256, mel_bins=96, fmax_hz=11025.0
)
EAR_CONFIG = EarConfig(
    sound=EAR_SOUND,
    network=NetworkConfig(spectrum=6, overview=5, told=3, memory=4),
    thresholds=ThresholdConfig(onset=0.6, sounding=0.5, again_frames=12),
)


def random_ear_weights(seed: int, config: EarConfig = EAR_CONFIG) -> Weights:
    """Large enough that notes come and go, a few in a second."""
    rng = np.random.default_rng(seed)
    weights = {name: rng.normal(0, 0.4, shape).astype(np.float32) for name, shape in weight_shapes(config).items()}
    weights["outlet.bias"][:] = -1.0, 1.0, 0.0, 0.0
    return weights | {
        "mean": np.full(config.sound.mel_bins, -5.0, np.float32),
        "deviation": np.full(1, 2.0, np.float32),
    }


def random_ear_frames(frames: int, seed: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Log-mel frames ``[T, M]`` that change slowly."""
    rng = np.random.default_rng(seed)
    steps = rng.normal(0, 1.5, (frames, EAR_SOUND.mel_bins))
    return (-5.0 + np.cumsum(steps, 0) / np.sqrt(1 + np.arange(frames))[:, None]).astype(np.float32)
