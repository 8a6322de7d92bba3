"""A tier's training pass with fused recurrences, and the state that rows of a batch carry from clip to clip.

The same function as `network.TierNetwork.forward`, of the same weights. In bfloat16 the products and the
recurrences are; the sums from layer to layer and the mixture stay in float32.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from melnet_music.model.cells import MinGRU
from melnet_music.model.mixture import Mixture
from melnet_music.model.network import TierNetwork
from melnet_music.model.stacks import CentralizedStack, Extractor, TimeDelayedStack
from melnet_music.model.tier_state import TierState
from melnet_music.training.fused.fused_scan import Direction, fused_scan

TierPass = Callable[
    [Tensor, Tensor, TierState[Tensor] | None, int | None, Tensor | None], tuple[Mixture, TierState[Tensor]]
]
"""`TierNetwork.forward` and what may stand in for it."""


def fused_pass(network: TierNetwork, dtype: torch.dtype = torch.float32) -> TierPass:
    """What gives a network's mixtures with fused recurrences, its products in ``dtype``; arguments as of its forward.

    Raises:
        ValueError: its cell is another than minGRU, the only one that can be fused.
    """
    if network.config.cell != "mingru":
        raise ValueError(f"a tier of {network.config.cell} cells cannot be fused, expected mingru: use its own forward")
    working = None if dtype == torch.float32 else dtype

    def run(
        x: Tensor,
        channels: Tensor,
        state: TierState[Tensor] | None = None,
        chunk: int | None = None,
        past_noise: Tensor | None = None,
    ) -> tuple[Mixture, TierState[Tensor]]:
        state = state or network.initial_state(x.shape[0])
        after = replace(state, previous=x[:, -1])
        features = None
        if network.extractor is not None and state.extractor is not None:
            features, extractor = _extractor(network.extractor, channels, state.extractor[0], chunk, working)
            after = replace(after, extractor=extractor)
        previous = torch.cat([state.previous.unsqueeze(1), x[:, :-1]], 1)
        if past_noise is not None:
            previous = previous + past_noise
        past, time_delayed = _time_delayed(network.time_delayed, previous, features, state.time_delayed, working)
        after = replace(after, time_delayed=time_delayed)
        if network.centralized is not None:
            central, centralized = _centralized(network.centralized, previous, state.centralized, working)
            past = [out + whole for out, whole in zip(past, central, strict=True)]
            after = replace(after, centralized=centralized)
        stack = network.frequency_delayed
        below = torch.cat([torch.zeros_like(x[:, :, :1]), x[:, :, :-1]], 2)
        h = stack.inlet(below.unsqueeze(-1))
        context = stack.context(features)
        if context is not None:
            h = h + context
        for upward, project, known in zip(stack.upward, stack.project, past, strict=True):
            states = _recurrences(h + known, (upward,), ("higher",), None, (_start(upward),), working)
            h = h + _linear(project, states, working)
        return network.mixture(h), after

    return run


def reset_rows(state: TierState[Tensor], fresh: TierState[Tensor], rows: Tensor) -> TierState[Tensor]:
    """The state where rows of the batch begin anew: those that ``rows [B]`` (bool) names take the fresh one."""

    def chosen(new: Tensor, old: Tensor, batch_axis: int) -> Tensor:
        shape = [1] * old.ndim
        shape[batch_axis] = len(rows)
        return torch.where(rows.view(shape), new, old)

    pairs = zip(fresh.time_delayed, state.time_delayed, strict=True)
    central = zip(fresh.centralized, state.centralized, strict=True)
    return TierState(
        previous=chosen(fresh.previous, state.previous, 0),
        extractor=None
        if state.extractor is None or fresh.extractor is None
        else chosen(fresh.extractor, state.extractor, 1),
        time_delayed=tuple(chosen(new, old, 1) for new, old in pairs),
        centralized=tuple(chosen(new, old, 1) for new, old in central),
    )


def _extractor(
    extractor: Extractor, channels: Tensor, state: Tensor, chunk: int | None, dtype: torch.dtype | None
) -> tuple[Tensor, Tensor]:
    x = extractor.inlet(channels)
    if extractor.embedding is not None:
        x = x + extractor.embedding
    cells = (extractor.later, extractor.earlier, extractor.higher, extractor.lower)
    starts = (state, *(_start(cell) for cell in cells[1:]))
    states = _recurrences(x, cells, ("later", "earlier", "higher", "lower"), chunk, starts, dtype)
    return _linear(extractor.outlet, states, dtype), _last(states, extractor.later)


def _time_delayed(
    stack: TimeDelayedStack,
    previous: Tensor,
    features: Tensor | None,
    states: tuple[Tensor, ...],
    dtype: torch.dtype | None,
) -> tuple[list[Tensor], tuple[Tensor, ...]]:
    h = stack.inlet(previous.unsqueeze(-1))
    for added in (stack.embedding, features):
        if added is not None:
            h = h + added
    outputs, after = [], []
    layers = zip(stack.time, stack.upward, stack.downward, stack.project, states, strict=True)
    for time, upward, downward, project, state in layers:
        starts = state[0], _start(upward), _start(downward)
        out = _recurrences(h, (time, upward, downward), ("later", "higher", "lower"), None, starts, dtype)
        h = h + _linear(project, out, dtype)
        outputs.append(h)
        after.append(_last(out, time))
    return outputs, tuple(after)


def _centralized(
    stack: CentralizedStack, previous: Tensor, states: tuple[Tensor, ...], dtype: torch.dtype | None
) -> tuple[list[Tensor], tuple[Tensor, ...]]:
    """As the stack's own forward, over frames of one bin: outputs ``[B, T, 1, H]`` a layer."""
    h = stack.inlet(previous).unsqueeze(2)
    outputs, after = [], []
    for time, project, state in zip(stack.time, stack.project, states, strict=True):
        out = _recurrences(h, (time,), ("later",), None, (state[0].unsqueeze(1),), dtype)
        h = h + out
        outputs.append(project(h))
        after.append(_last(out, time).squeeze(2))
    return outputs, tuple(after)


def _recurrences(
    x: Tensor,
    cells: Sequence[nn.Module],
    directions: tuple[Direction, ...],
    chunk: int | None,
    starts: Sequence[Tensor],
    dtype: torch.dtype | None,
) -> Tensor:
    own = [cast(MinGRU, cell) for cell in cells]
    weight, bias = torch.cat([cell.weight for cell in own]), torch.cat([cell.bias for cell in own])
    if dtype is not None:
        x, weight, bias = x.to(dtype), weight.to(dtype), bias.to(dtype)
    return fused_scan(F.linear(x, weight, bias), directions, chunk, starts)


def _linear(layer: nn.Module, x: Tensor, dtype: torch.dtype | None) -> Tensor:
    """In ``dtype`` if one is given; what it is added to stays in full precision."""
    weight, bias = cast(Tensor, layer.weight), cast(Tensor, layer.bias)
    return F.linear(x, weight, bias) if dtype is None else F.linear(x.to(dtype), weight.to(dtype), bias.to(dtype))


def _start(cell: nn.Module) -> Tensor:
    return cast(MinGRU, cell).start[0]


def _last(states: Tensor, first: nn.Module) -> Tensor:
    """``[1, B, F, H]``: where the first recurrence of a layer, which runs later in time, has come to."""
    return states[:, -1, :, : cast(MinGRU, first).hidden].to(cast(MinGRU, first).start.dtype).unsqueeze(0)
