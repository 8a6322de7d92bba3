"""Models small enough to be checked number by number."""

from __future__ import annotations

from typing import Any

import torch

from melnet_music.config import ModelConfig, TierConfig
from melnet_music.model import MelNet

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
