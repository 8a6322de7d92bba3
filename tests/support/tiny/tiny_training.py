"""A configuration small enough to train within a test, for `tiny_recordings`."""

from __future__ import annotations

from pathlib import Path

from tiny_recordings import RATE_HZ

from melnet_music.model.config import PresetConfig, parse_preset_config
from melnet_music.model.preset import CONFIG_FILE

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


def write_preset(folder: Path, *, optimizer: str = "muon", batch: int = 1) -> Path:
    """The tiny configuration as a preset folder."""
    folder.mkdir(parents=True, exist_ok=True)
    config = tiny_config(optimizer=optimizer)
    sounds = "\n".join(f"{key} = {value}" for key, value in SOUND.items())
    plan = f"{{ learning_rate = 1e-2, minutes = 1, clip_frames = 64, batch = {batch} }}"
    tiers = ", ".join(
        f"{{ hidden = {t.hidden}, layers = {t.layers}, centralized_hidden = {t.centralized_hidden} }}"
        for t in config.model.tiers
    )
    (folder / CONFIG_FILE).write_text(
        f'title = "Tiny"\nlicence = "CC0-1.0"\n[sound]\n{sounds}\n'
        f'[model]\nsplits = ["time"]\ncomponents = 3\ntiers = [{tiers}]\n'
        f'[training]\noptimizer = "{optimizer}"\nwarmup_steps = 5\ntiers = [{plan}, {plan}]\n'
    )
    return folder
