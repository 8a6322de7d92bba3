"""What training makes smaller: the nats that a tier's network spends on a batch."""

from __future__ import annotations

import torch
from torch import Tensor

from melnet_music.model.network import TierNetwork
from melnet_music.model.tier_state import TierState
from melnet_music.training.fused.fused_tier import TierPass
from melnet_music.training.material.clips import Example

_HEARD_AT_ONCE = 128
"""Of the tier's own frames: in one piece, minutes would need more memory than the clip that is learned."""


def mean_nats(
    network: TierNetwork,
    example: Example,
    weight: float,
    *,
    run: TierPass | None = None,
    state: TierState[Tensor] | None = None,
) -> tuple[Tensor, TierState[Tensor] | None]:
    """The batch's negative log-likelihood in normalised units, over ``weight`` bins: a scalar.

    Processes that share a batch divide by the weight of the whole batch, and sum.

    Args:
        run: stands in for the network's own forward.
        state: after what the rows heard before; None: they begin anew.

    Returns:
        the scalar, and the state after the batch, with the way back cut off.
    """
    start, chunk = example.before
    total, run = torch.zeros((), device=example.own.device), run or network
    if start:
        state = _heard(network, example, start, chunk)
    for stop, chunk in example.parts:
        own, channels, noise, counted = (
            grid[:, start:stop] for grid in (example.own, example.channels, example.past_noise, example.weight)
        )
        mixed, state = run(own, channels, state, chunk, noise)
        total = total - (mixed.log_prob(own) * counted).sum()
        start = stop
    return total / weight, None if state is None else state.map(Tensor.detach)


@torch.no_grad()
def _heard(network: TierNetwork, example: Example, frames: int, chunk: int | None) -> TierState[Tensor] | None:
    """The state after the first frames; None: there are none."""
    state = None
    for first in range(0, frames, _HEARD_AT_ONCE):
        part = slice(first, min(first + _HEARD_AT_ONCE, frames))
        own, channels = example.own[:, part], example.channels[:, part]
        state = network.advance(own, channels, state or network.initial_state(len(own)), chunk)
    return state
