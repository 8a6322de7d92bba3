"""A chunk of one tier as one CUDA graph: some hundred launches become one."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor

from melnet_music.sampling.cuda.draw_kernel import FramesToDraw
from melnet_music.sampling.cuda.tier import State, Tier, tensors_of

_MOST_GRAPHS = 4
"""Of one tier: as many (takes, frames) are in use at once, hardly more."""
_WARM_UPS = 2
"""Before a capture: kernels are compiled, and libraries take their memory."""


class CapturedTier:
    """Draws as `Tier.draw`, the same kernels in the same order. Call it on one stream only."""

    def __init__(self, tier: Tier) -> None:
        self._tier = tier
        self._graphs: OrderedDict[tuple[int, int], _Graph] = OrderedDict()

    def draw(self, channels: Tensor, given: FramesToDraw, state: State) -> tuple[Tensor, State]:
        """See `Tier.draw`; what comes back is the caller's, the graph keeps memory of its own."""
        batch, frames, _ = given.uniform.shape
        graph = self._graphs.pop((batch, frames), None) or _Graph(self._tier, channels, given, state)
        self._graphs[batch, frames] = graph
        if len(self._graphs) > _MOST_GRAPHS:
            self._graphs.popitem(last=False)
        return graph.replay(channels, given, state)


class _Graph:
    def __init__(self, tier: Tier, channels: Tensor, given: FramesToDraw, state: State) -> None:
        self._channels, self._given = channels.clone(), FramesToDraw(*(part.clone() for part in given))
        self._state = state.map(lambda part: part.clone())
        for _ in range(_WARM_UPS):
            tier.draw(self._channels, self._given, self._state)
        torch.cuda.synchronize(tier.device)
        self._graph = torch.cuda.CUDAGraph()
        # of this thread alone: others may be at work on the card
        with torch.cuda.graph(
            self._graph, stream=torch.cuda.current_stream(tier.device), capture_error_mode="thread_local"
        ):
            self._own, self._after = tier.draw(self._channels, self._given, self._state)

    def replay(self, channels: Tensor, given: FramesToDraw, state: State) -> tuple[Tensor, State]:
        read = (self._channels, *self._given, *tensors_of(self._state))
        for kept, new in zip(read, (channels, *given, *tensors_of(state)), strict=True):
            kept.copy_(new)
        self._graph.replay()
        return self._own.clone(), self._after.map(lambda part: part.clone())
