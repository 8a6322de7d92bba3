"""A configuration small enough to train within a test, for `tiny_recordings`."""

from __future__ import annotations

from tiny_recordings import RATE_HZ

from melnet_music.config import PresetConfig, parse_preset_config

SOUND = {
    "sample_rate_hz": RATE_HZ,
    "n_fft": 512,
    "window_samples": 512,
    "hop_samples": 128,
    "mel_bins": 8,
    "fmax_hz": RATE_HZ / 2,
}


def tiny_config(**training: object) -> PresetConfig:
    """Two tiers split in time; ``training``: keys of the preset's [training] that are to differ."""
    tier = {"learning_rate": 1e-2, "minutes": 1, "clip_frames": 64, "past_noise": 0.1, "coarse_noise": 0.1}
    raw = {
        "title": "Tiny",
        "licence": "CC0-1.0",
        "sound": SOUND,
        "model": {
            "splits": ["time"],
            "components": 3,
            "tiers": [{"hidden": 12, "layers": 1, "centralized_hidden": 12}, {"hidden": 12, "layers": 1}],
        },
        "training": {"warmup_steps": 5, "tiers": [tier, tier], **training},
    }
    return parse_preset_config(raw, "test")
