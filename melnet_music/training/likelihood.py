"""What training makes smaller: the nats that a tier's network spends on a batch."""

from __future__ import annotations

import torch
from torch import Tensor

from melnet_music.model import TierNetwork
from melnet_music.training.clips import Example


def mean_nats(network: TierNetwork, example: Example, weight: float) -> Tensor:
    """The batch's negative log-likelihood in normalised units, over ``weight`` bins: a scalar.

    Processes that share a batch divide by the weight of the whole batch, and sum.
    """
    state, start, total = None, 0, torch.zeros((), device=example.own.device)
    for stop, chunk in example.parts:
        own, channels, noise, counted = (
            grid[:, start:stop] for grid in (example.own, example.channels, example.past_noise, example.weight)
        )
        mixed, state = network(own, channels, state, chunk, noise)
        total = total - (mixed.log_prob(own) * counted).sum()
        start = stop
    return total / weight
