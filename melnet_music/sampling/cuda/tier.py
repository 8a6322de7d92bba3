"""One tier at work: known frames go through its stacks, and chunks are drawn frame by frame."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from melnet_music.model.network import TierNetwork
from melnet_music.model.tier_state import TierState
from melnet_music.sampling.cuda.draw_kernel import FramesToDraw, draw_frame, scratch_floats
from melnet_music.sampling.cuda.packing import pack_tier
from melnet_music.sampling.cuda.stacks import stacks_of

State = TierState[Tensor]


def tensors_of(state: State) -> list[Tensor]:
    """All of a state's, always in the same order."""
    extractor = [] if state.extractor is None else [state.extractor]
    return [state.previous, *extractor, *state.time_delayed, *state.centralized]


class Tier:
    """Holds weights, and nothing of a take. Chunk lengths count the tier's own frames."""

    def __init__(self, network: TierNetwork, *, bfloat16: bool, kernels: bool) -> None:
        """``network``: on the card; ``kernels``: see `melnet_music.sampling.cuda.stacks.stacks_of`."""
        self.network = network
        self.device = network.outlet.weight.device
        self.packed = pack_tier(network, self.device, bfloat16=bfloat16)
        self._stacks = stacks_of(network, kernels=kernels)

    def prime(self, x: Tensor, channels: Tensor, state: State, chunk: int | None) -> State:
        """The state after known frames ``x [B, T, F]``; look-ahead restarts after each ``chunk``."""
        features, state = self._stacks.features(channels, state, chunk)
        previous = torch.cat([state.previous.unsqueeze(1), x[:, :-1]], 1)
        return replace(self._stacks.past(previous, features, state)[1], previous=x[:, -1])

    def draw(self, channels: Tensor, given: FramesToDraw, state: State) -> tuple[Tensor, State]:
        """The frames of a chunk, ``[B, T, F]``, and the state after them. ``channels [B, T, F, C]``."""
        packed, config = self.packed, self.network.config
        batch, frames, bins = given.uniform.shape
        features, state = self._stacks.features(channels, state, None)
        rows = packed.head_constant.expand(batch, frames, bins, -1)
        if features is not None:
            rows = rows + features @ packed.head_ready
        rows, own = rows.contiguous(), torch.empty_like(given.uniform)
        scratch = own.new_empty(batch, scratch_floats(packed))
        constant = packed.ready_constant.unsqueeze(1).expand(-1, batch, -1, -1).reshape(packed.layers, batch * bins, -1)
        for t in range(frames):
            here = None if features is None else features[:, t : t + 1]
            outputs, state = self._stacks.past(state.previous.unsqueeze(1), here, state)
            known = torch.stack(outputs) if here is None else torch.stack(outputs) + here
            gates = torch.baddbmm(constant, known.reshape(packed.layers, batch * bins, -1), packed.ready)
            draw_frame(
                packed, gates, rows, given, own, t, scratch, config.log_sigma_floor, softplus=config.sigma == "softplus"
            )
            state = replace(state, previous=own[:, t])
        return own, state
