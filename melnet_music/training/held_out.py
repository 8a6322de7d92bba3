"""How likely a model finds music that it was not trained on."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from melnet_music.conditioning import NOTHING_KNOWN
from melnet_music.model import MelNet
from melnet_music.tiers import decompose
from melnet_music.training.features import Work

LOUD_MAGNITUDE = 1e-2
"""Bins above this mel magnitude count as loud: most of the others are background."""
EXCERPT_FRAMES = 512
EXCERPTS = 24


def excerpts(works: list[Work], model: MelNet, count: int = EXCERPTS) -> Iterator[Tensor]:
    """Held-out clips ``[1, T, M]`` normalised, spread over all works: always the same ones.

    Raises:
        ValueError: no work is long enough.
    """
    spans = [
        (work, start) for work in works for start in range(0, len(work.log_mel) - EXCERPT_FRAMES + 1, EXCERPT_FRAMES)
    ]
    if not spans:
        raise ValueError(f"no held-out recording has {EXCERPT_FRAMES} frames; add a longer one")
    for work, start in spans[:: max(1, len(spans) // count)][:count]:
        yield model.normalise(torch.from_numpy(work.log_mel[start : start + EXCERPT_FRAMES].copy())).unsqueeze(0)


@torch.no_grad()
def held_out_nats(model: MelNet, tier: int, works: list[Work], chunk_frames: int | None) -> tuple[float, float]:
    """Negative log-likelihood of held-out excerpts, past known and nothing else.

    Returns:
        nats a bin in ln magnitude over all bins of the tier, and over its loud bins.
    """
    log_deviation = decompose(model.deviation.log().expand(1, EXCERPT_FRAMES, -1), model.config)[tier]
    totals = np.zeros(4)
    for x in excerpts(works, model):
        own = decompose(x, model.config)
        channels = model.channels(own[:tier], NOTHING_KNOWN, *x.shape[:2])[-1]
        mixed, _ = model.tier(tier)(own[tier], channels, chunk=model.tier_chunk(tier, chunk_frames))
        nats = log_deviation - mixed.log_prob(own[tier])
        loud = decompose(model.denormalise(x), model.config)[tier] > math.log(LOUD_MAGNITUDE)
        totals += [nats.sum().item(), nats.numel(), nats[loud].sum().item(), int(loud.sum())]
    return float(totals[0] / totals[1]), float(totals[2] / max(totals[3], 1))
