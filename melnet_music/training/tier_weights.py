"""The weights of a whole model from those of its tiers, each trained on its own."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from melnet_music.model.config import PresetConfig


def collect_weights(out: Path, config: PresetConfig, known: dict[str, Tensor] | None = None) -> dict[str, Tensor]:
    """The weights of all tiers that were trained in one folder.

    Args:
        known: weights of a whole model, for the tiers that were not trained there.

    Raises:
        ValueError: a tier is missing, or its file is damaged.
    """
    weights: dict[str, Tensor] = {}
    for tier in range(1, len(config.model.tiers) + 1):
        path = out / f"tier-{tier}.safetensors"
        if path.exists():
            try:
                weights.update(load_file(path))
            except (SafetensorError, OSError) as error:
                raise ValueError(
                    f"{path} cannot be read ({error}): train with --tiers {tier} writes it again"
                ) from None
        elif known is not None:
            weights |= {name: value for name, value in known.items() if name.startswith(f"tiers.{tier - 1}.")}
        else:
            raise ValueError(f"tier {tier} is not trained yet: no {path}; train it with --tiers {tier}")
    return weights
