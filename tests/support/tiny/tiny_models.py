"""Models small enough to be checked number by number."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from melnet_music.model.config import ModelConfig, PresetConfig, SoundConfig, TierConfig
from melnet_music.model.network import MelNet
from melnet_music.model.parameters import parameter_shapes
from melnet_music.model.preset import Preset

MEL_BINS = 8


def tiny_config(
    *,
    hidden: int = 4,
    layers: int = 1,
    centralized_hidden: int = 0,
    splits: tuple[str, ...] = (),
    **options: Any,
) -> ModelConfig:
    """All tiers alike, the centralized stack in the first only, as in the paper."""
    upper = TierConfig(hidden=hidden, layers=layers)
    first = upper.model_copy(update={"centralized_hidden": centralized_hidden})
    return ModelConfig(**{"components": 3, "splits": splits, "tiers": (first, *[upper] * len(splits)), **options})


def tiny_model(config: ModelConfig, *, mel_bins: int = MEL_BINS, dtype: torch.dtype = torch.float64) -> MelNet:
    """Random weights, initial states included; mixtures far from the calm ones that training starts with."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = MelNet(config, mel_bins).to(dtype)
        for parameter in model.parameters():
            parameter.data += 0.15 * torch.randn_like(parameter)
    return model.eval()


def tiny_preset(config: ModelConfig, mel_bins: int) -> Preset:
    """A preset in memory, with random weights in float32."""
    sound = SoundConfig(mel_bins=mel_bins)
    whole = PresetConfig(title="tiny", licence="CC0-1.0", sound=sound, model=config)
    return Preset("tiny", Path(), whole, tiny_weights(config, mel_bins), "0" * 16)


def tiny_weights(config: ModelConfig, mel_bins: int) -> dict[str, NDArray[np.float32]]:
    generator, weights = np.random.default_rng(0), {}
    for name, shape in parameter_shapes(config, mel_bins).items():
        scale = 0.7 / np.sqrt(shape[-1]) if len(shape) == 2 and "weight" in name else 0.2
        if "project" in name or "outlet" in name:
            scale *= 0.5  # nothing blows up, with sixteen layers too
        weights[name] = (scale * generator.standard_normal(shape)).astype(np.float32)
    weights |= {"mean": np.zeros(mel_bins, np.float32), "deviation": np.ones(mel_bins, np.float32)}
    return weights
