"""The networks inside one tier (MelNet, sections 4 and 6). Grids are ``[B, T, F, H]``.

Every recurrence takes and returns its state, so that the same code runs a training clip, a primed phrase and one
live frame. Recurrences along frequency start anew in every frame and carry nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from melnet_music.model.cells import CELLS
from melnet_music.model.config import CellName


def _embedding(bins: int, hidden: int) -> nn.Parameter:
    values = torch.empty(bins, hidden)
    if not values.is_meta:  # else its weights are loaded, and drawing there would import hundreds of modules first
        values = 0.1 * torch.randn(bins, hidden)
    return nn.Parameter(values)


class Extractor(nn.Module):
    """Conditioning features from known grids: four RNNs, both ways along both axes.

    Its look-ahead in time is the rest of the chunk: the backward-time RNN starts anew at the end of each. With
    ``chunk`` None it is the rest of the clip, as in the paper.
    """

    def __init__(self, cell: CellName, channels: int, bins: int, hidden: int, bin_embedding: bool) -> None:
        super().__init__()
        recurrence = CELLS[cell]
        self.inlet = nn.Linear(channels, hidden)
        self.embedding = _embedding(bins, hidden) if bin_embedding else None
        self.later = recurrence(hidden, hidden)
        self.earlier = recurrence(hidden, hidden, reverse=True)
        self.higher = recurrence(hidden, hidden)
        self.lower = recurrence(hidden, hidden, reverse=True)
        self.outlet = nn.Linear(4 * hidden, hidden)

    def forward(self, channels: Tensor, state: Tensor, chunk: int | None) -> tuple[Tensor, Tensor]:
        """``channels [B, T, F, C]``, forward-time state ``[P, B, F, H]`` -> features ``[B, T, F, H]``, state."""
        x = self.inlet(channels)
        if self.embedding is not None:
            x = x + self.embedding
        later, state = self.later(x, 1, state)
        features = torch.cat([later, self._backward(x, chunk), self.higher(x, 2)[0], self.lower(x, 2)[0]], -1)
        return self.outlet(features), state

    def _backward(self, x: Tensor, chunk: int | None) -> Tensor:
        frames = x.shape[1]
        if chunk is None or chunk >= frames:
            return self.earlier(x, 1)[0]  # type: ignore[no-any-return]
        whole = frames // chunk * chunk
        parts = self.earlier(x[:, :whole].reshape(-1, chunk, *x.shape[2:]), 1)[0]
        parts = parts.reshape(x.shape[0], whole, *parts.shape[2:])
        if whole == frames:
            return parts  # type: ignore[no-any-return]
        return torch.cat([parts, self.earlier(x[:, whole:], 1)[0]], 1)


class TimeDelayedStack(nn.Module):
    """Sees every bin of all earlier frames (equations 4-6 of the paper).

    With one layer only, and no centralized stack beside it, bins above its own are seen in the last frame alone.
    """

    def __init__(self, cell: CellName, bins: int, hidden: int, layers: int, bin_embedding: bool) -> None:
        super().__init__()
        recurrence = CELLS[cell]
        self.inlet = nn.Linear(1, hidden)
        self.embedding = _embedding(bins, hidden) if bin_embedding else None
        self.time = nn.ModuleList(recurrence(hidden, hidden) for _ in range(layers))
        self.upward = nn.ModuleList(recurrence(hidden, hidden) for _ in range(layers))
        self.downward = nn.ModuleList(recurrence(hidden, hidden, reverse=True) for _ in range(layers))
        self.project = nn.ModuleList(nn.Linear(3 * hidden, hidden) for _ in range(layers))

    def forward(
        self, previous: Tensor, features: Tensor | None, states: tuple[Tensor, ...]
    ) -> tuple[list[Tensor], tuple[Tensor, ...]]:
        """Run T frames.

        Args:
            previous: ``[B, T, F]``, at t the value of frame t-1.
            features: ``[B, T, F, H]`` from the extractor, or None.
            states: of each layer's RNN in time, ``[P, B, F, H]``.

        Returns:
            each layer's output ``[B, T, F, H]`` and the states after the last frame.
        """
        h = self.inlet(previous.unsqueeze(-1))
        if self.embedding is not None:
            h = h + self.embedding
        if features is not None:
            h = h + features
        outputs, after = [], []
        for time, upward, downward, project, state in zip(
            self.time, self.upward, self.downward, self.project, states, strict=True
        ):
            in_time, state = time(h, 1, state)
            h = h + project(torch.cat([in_time, upward(h, 2)[0], downward(h, 2)[0]], -1))
            outputs.append(h)
            after.append(state)
        return outputs, tuple(after)


class CentralizedStack(nn.Module):
    """One RNN in time over whole frames (equation 10 of the paper)."""

    def __init__(self, cell: CellName, bins: int, width: int, hidden: int, layers: int) -> None:
        super().__init__()
        self.inlet = nn.Linear(bins, width)
        self.time = nn.ModuleList(CELLS[cell](width, width) for _ in range(layers))
        self.project = nn.ModuleList(
            nn.Identity() if width == hidden else nn.Linear(width, hidden) for _ in range(layers)
        )

    def forward(self, previous: Tensor, states: tuple[Tensor, ...]) -> tuple[list[Tensor], tuple[Tensor, ...]]:
        """``previous [B, T, F]``, states ``[P, B, W]`` a layer -> outputs ``[B, T, H]`` a layer, states."""
        h = self.inlet(previous)
        outputs, after = [], []
        for time, project, state in zip(self.time, self.project, states, strict=True):
            in_time, state = time(h, 1, state)
            h = h + in_time
            outputs.append(project(h))
            after.append(state)
        return outputs, tuple(after)


class FrequencyDelayedStack(nn.Module):
    """Sees the lower bins of the present frame, and through the other stacks all earlier frames (equations 7-9)."""

    def __init__(self, cell: CellName, bins: int, hidden: int, layers: int, bin_embedding: bool) -> None:
        super().__init__()
        self.inlet = nn.Linear(1, hidden)
        self.embedding = _embedding(bins, hidden) if bin_embedding else None
        self.upward = nn.ModuleList(CELLS[cell](hidden, hidden) for _ in range(layers))
        self.project = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(layers))

    def context(self, features: Tensor | None) -> Tensor | None:
        """What joins the input besides the bin below, ``[B, T, F, H]``."""
        if self.embedding is None:
            return features
        return self.embedding if features is None else features + self.embedding

    def forward(self, below: Tensor, context: Tensor | None, past: list[Tensor]) -> Tensor:
        """All bins of T known frames at once.

        Args:
            below: ``[B, T, F]``, at f the value of bin f-1 of the same frame.
            context: from `context`.
            past: each layer's output of the time-delayed (and centralized) stack, ``[B, T, F, H]``.

        Returns:
            ``[B, T, F, H]``.
        """
        h = self.inlet(below.unsqueeze(-1))
        if context is not None:
            h = h + context
        for upward, project, known in zip(self.upward, self.project, past, strict=True):
            h = h + project(upward(h + known, 2)[0])
        return h  # type: ignore[no-any-return]

    def start(self, batch: int) -> list[Tensor]:
        """The states below the lowest bin, ``[P, B, H]`` a layer."""
        return [upward.initial(batch) for upward in self.upward]  # type: ignore[operator]

    def step(
        self, below: Tensor, context: Tensor | None, past: list[Tensor], states: list[Tensor]
    ) -> tuple[Tensor, list[Tensor]]:
        """One bin. ``below [B]``, ``context [B, H]``, ``past [B, H]`` a layer -> ``[B, H]`` and the states."""
        h = self.inlet(below.unsqueeze(-1))
        if context is not None:
            h = h + context
        after = []
        for upward, project, known, state in zip(self.upward, self.project, past, states, strict=True):
            out, state = upward.step(h + known, state)  # type: ignore[operator]
            h = h + project(out)
            after.append(state)
        return h, after
