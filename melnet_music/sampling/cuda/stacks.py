"""What a tier's networks see of known grids: extractor, time-delayed and centralized stack.

The numbers of `melnet_music.model.network.TierNetwork.features` and ``past``. Where cells are minGRU, the gates of all
recurrences over one grid come out of one product, and run along their axes in one launch. Other cells are torch's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from melnet_music.model.cells import MinGRU
from melnet_music.model.network import TierNetwork
from melnet_music.model.scan import scan
from melnet_music.model.tier_state import TierState

if TYPE_CHECKING:
    from melnet_music.sampling.cuda.scan_kernel import Direction

State = TierState[Tensor]


class KnownStacks(Protocol):
    """Grids are ``[B, T, F, H]``; ``chunk`` counts the tier's own frames."""

    def features(self, channels: Tensor, state: State, chunk: int | None) -> tuple[Tensor | None, State]:
        """Conditioning features of T frames, None without an extractor; and the state after them."""

    def past(self, previous: Tensor, features: Tensor | None, state: State) -> tuple[list[Tensor], State]:
        """What every layer sees of the past of T frames, and the state after them; ``state.previous`` is left."""


def stacks_of(network: TierNetwork, *, kernels: bool) -> KnownStacks:
    """Those of a tier. ``kernels``: recurrences in Triton's kernel, not in `melnet_music.model.scan`."""
    return _FusedStacks(network, kernels=kernels) if network.config.cell == "mingru" else network


class _Recurrences:
    """minGRU recurrences over one grid, side by side."""

    def __init__(self, cells: Sequence[nn.Module], directions: tuple[Direction, ...], *, kernels: bool) -> None:
        own = [cast(MinGRU, cell) for cell in cells]
        self._directions, self._kernels = directions, kernels
        self._weight, self._bias = torch.cat([cell.weight for cell in own]), torch.cat([cell.bias for cell in own])
        self._starts = torch.cat([cell.start for cell in own])

    def run(self, x: Tensor, state: Tensor | None = None, chunk: int | None = None) -> tuple[Tensor, Tensor]:
        """``x [B, T, F, I]``, ``state [1, B, F, H]`` of the first -> ``[B, T, F, H R]``, and the first's state."""
        raw = F.linear(x, self._weight, self._bias)
        before = None if state is None else state[0]
        if self._kernels:
            from melnet_music.sampling.cuda.scan_kernel import scan_lines

            joined, after = scan_lines(raw, self._directions, self._starts, before, chunk)
            return joined, after.unsqueeze(0)
        parts = raw.chunk(2 * len(self._directions), -1)
        made = [
            _one(
                parts[2 * number],
                parts[2 * number + 1],
                direction,
                start if number or before is None else before,
                chunk,
            )
            for number, (direction, start) in enumerate(zip(self._directions, self._starts, strict=True))
        ]
        return torch.cat(made, -1), made[0][:, -1].unsqueeze(0)


def _one(logits: Tensor, candidate: Tensor, direction: Direction, start: Tensor, chunk: int | None) -> Tensor:
    B, T, bins, H = logits.shape
    z = torch.sigmoid(logits)
    if direction in ("higher", "lower"):
        return scan(z, candidate, start.expand(B, T, H), 2, direction == "lower")
    if direction == "later":
        return scan(z, candidate, start.expand(B, bins, H), 1)
    pieces = zip(torch.split(z, chunk or T, 1), torch.split(candidate, chunk or T, 1), strict=True)
    return torch.cat([scan(gate, new, start.expand(B, bins, H), 1, True) for gate, new in pieces], 1)


class _FusedStacks:
    def __init__(self, network: TierNetwork, *, kernels: bool) -> None:
        self._network = network
        extractor, delayed, central = network.extractor, network.time_delayed, network.centralized
        self._extracting, self._centralized = None, []
        if extractor is not None:
            cells = extractor.later, extractor.earlier, extractor.higher, extractor.lower
            self._extracting = _Recurrences(cells, ("later", "earlier", "higher", "lower"), kernels=kernels)
        self._delayed = [
            _Recurrences(cells, ("later", "higher", "lower"), kernels=kernels)
            for cells in zip(delayed.time, delayed.upward, delayed.downward, strict=True)
        ]
        if central is not None:
            self._centralized = [_Recurrences([cell], ("later",), kernels=kernels) for cell in central.time]

    def features(self, channels: Tensor, state: State, chunk: int | None) -> tuple[Tensor | None, State]:
        extractor = self._network.extractor
        if extractor is None or self._extracting is None:
            return None, state
        x = extractor.inlet(channels)
        if extractor.embedding is not None:
            x = x + extractor.embedding
        joined, after = self._extracting.run(x, state.extractor, chunk)
        return extractor.outlet(joined), replace(state, extractor=after)

    def past(self, previous: Tensor, features: Tensor | None, state: State) -> tuple[list[Tensor], State]:
        stack = self._network.time_delayed
        h = stack.inlet(previous.unsqueeze(-1))
        for added in (stack.embedding, features):
            if added is not None:
                h = h + added
        outputs, delayed = [], []
        for recurrences, project, before in zip(self._delayed, stack.project, state.time_delayed, strict=True):
            joined, after = recurrences.run(h, before)
            h = h + project(joined)
            outputs.append(h)
            delayed.append(after)
        state = replace(state, time_delayed=tuple(delayed))
        return (outputs, state) if self._network.centralized is None else self._joined(outputs, previous, state)

    def _joined(self, outputs: list[Tensor], previous: Tensor, state: State) -> tuple[list[Tensor], State]:
        """The outputs with those of the centralized stack: frames of one bin."""
        stack = self._network.centralized
        assert stack is not None
        h = stack.inlet(previous).unsqueeze(2)
        joined, centralized = [], []
        layers = zip(self._centralized, stack.project, state.centralized, outputs, strict=True)
        for recurrences, project, before, out in layers:
            in_time, after = recurrences.run(h, before.unsqueeze(2))
            h = h + in_time
            joined.append(out + project(h))
            centralized.append(after.squeeze(2))
        return joined, replace(state, centralized=tuple(centralized))
