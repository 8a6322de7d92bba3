"""How much memory a tier's training will take, found out before it starts."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from melnet_music.model.config import PresetConfig
from melnet_music.model.network import MelNet
from melnet_music.training.likelihood import mean_nats
from melnet_music.training.material.clips import Example

_PROBED_GROUPS = (2, 4)
"""Lengths of the clips that are tried, in groups of frames; what they keep grows linearly."""
_COPIES = 5
"""Of all weights: themselves, gradients, their average, and two of the optimiser's at most."""
_TEMPORARY = 1.35
"""Most memory in use over what is kept for the backward pass, seen on a CPU: 1.1 to 1.3."""
_FUSED_SHARE = 0.5
"""Of that, what the fused pass in bfloat16 takes on a GPU: its prototype took 11 GiB where this module says 27.6."""


def tier_bytes(config: PresetConfig, tier: int, batch: int, *, fused: bool = False) -> int:
    """What training a tier (counted from 0) takes at most, in float32: weights, optimiser, and what a step keeps.

    ``fused``: by the fused pass in bfloat16, on a GPU.
    """
    model = MelNet(config.model, config.sound.mel_bins)
    group = config.model.frames_per_group
    few, more = (_kept_bytes(model, tier, count * group) for count in _PROBED_GROUPS)
    per_group = (more - few) / (_PROBED_GROUPS[1] - _PROBED_GROUPS[0])
    groups = config.training.tiers[tier].clip_frames / group
    weights = 4 * sum(parameter.numel() for parameter in model.tier(tier).parameters())
    share = _FUSED_SHARE if fused else 1.0
    return int(_COPIES * weights + share * _TEMPORARY * per_group * groups * batch)


def _kept_bytes(model: MelNet, tier: int, frames: int) -> int:
    """What the backward pass of one clip needs: every tensor that the forward pass keeps, weights left out."""
    network, grid = model.tier(tier), model.grids[tier]
    own = torch.zeros(1, frames // grid.stride_frames, grid.bins)
    channels = torch.zeros(*own.shape, network.channels)
    weights = {parameter.untyped_storage().data_ptr() for parameter in network.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        example = Example(own, channels, torch.ones_like(own), torch.zeros_like(own), ((own.shape[1], None),))
        mean_nats(network, example, float(own.numel()))  # keeps more than the fused pass does
    return sum(kept.values())


def check_memory(
    config: PresetConfig, tiers: Sequence[int], batches: Sequence[int], device: torch.device, *, bfloat16: bool = False
) -> None:
    """See that tiers trained side by side on one device fit into what is free there.

    ``bfloat16``: products are in it.

    Raises:
        ValueError: they do not; the message says how much is wanted and free, and what to make smaller.
    """
    free = free_bytes(device)
    fused = bfloat16 and device.type == "cuda" and config.model.cell == "mingru"
    wanted = [tier_bytes(config, tier, batch, fused=fused) for tier, batch in zip(tiers, batches, strict=True)]
    if free is None or sum(wanted) <= free:
        return
    each = ", ".join(f"tier {tier + 1}: {size / 2**30:.1f} GiB" for tier, size in zip(tiers, wanted, strict=True))
    raise ValueError(
        f"training needs about {sum(wanted) / 2**30:.1f} GiB ({each}) and {free / 2**30:.1f} GiB are free on {device}: "
        "give fewer --processes, a smaller --batch, or a smaller clip_frames in the preset"
    )


def free_bytes(device: torch.device) -> int | None:
    """Memory that a program may still take on a device; None where that cannot be told."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        import psutil
    except ImportError:
        return None
    return int(psutil.virtual_memory().available)
