"""Recurrent cells behind one interface, each with a trained initial state.

A state is one tensor ``[P, ..., H]``: P is 1 (hidden) for ``gru`` and ``mingru``, 2 (hidden, memory) for ``lstm``.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from melnet_music.model.config import CellName
from melnet_music.model.scan import scan


class Recurrence(nn.Module, ABC):
    """A one-directional RNN along one axis of a grid of vectors."""

    parts: int
    """Tensors in a state."""

    def __init__(self, inputs: int, hidden: int, reverse: bool = False) -> None:
        super().__init__()
        self.inputs, self.hidden, self.reverse = inputs, hidden, reverse
        self.start = nn.Parameter(torch.zeros(self.parts, hidden))

    def initial(self, *lead: int) -> Tensor:
        """The trained initial state, ``[P, *lead, H]``."""
        ones = (1,) * len(lead)
        return self.start.view(self.parts, *ones, self.hidden).expand(self.parts, *lead, self.hidden)

    @abstractmethod
    def forward(self, x: Tensor, dim: int, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Run along ``dim``.

        Args:
            x: ``[..., S, ..., I]`` with S at ``dim``.
            dim: the axis, counted from the front.
            state: ``[P, ..., H]``, the axes of ``x`` without ``dim``; None: the trained initial state.

        Returns:
            outputs ``[..., S, ..., H]`` and the state after the last step.
        """

    @abstractmethod
    def step(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """One step. ``x [N, I]``, ``state [P, N, H]`` -> output ``[N, H]``, state ``[P, N, H]``."""

    def start_with_time_constants(self, longest: float, generator: torch.Generator) -> None:
        """Spread the units' memory log-uniformly over 1..``longest`` steps (Tallec & Ollivier, 1804.11188)."""
        steps = torch.exp(torch.rand(self.hidden, generator=generator) * math.log(max(longest, 1.0)))
        self._bias_gates(-torch.log(steps.clamp(min=1.2) - 1))

    @abstractmethod
    def _bias_gates(self, update_logit: Tensor) -> None:
        """Set the bias of the gate that writes to ``update_logit [H]``."""

    def _without(self, x: Tensor, dim: int) -> tuple[int, ...]:
        return tuple(x.shape[:dim]) + tuple(x.shape[dim + 1 : -1])


class MinGRU(Recurrence):
    """minGRU with a linear candidate (arXiv 2410.01201): no matrix from hidden to hidden."""

    parts = 1

    def __init__(self, inputs: int, hidden: int, reverse: bool = False) -> None:
        super().__init__(inputs, hidden, reverse)
        linear = nn.Linear(inputs, 2 * hidden)
        self.weight = nn.Parameter(linear.weight.detach().clone())  # rows: update gate, candidate
        self.bias = nn.Parameter(torch.zeros(2 * hidden))

    def forward(self, x: Tensor, dim: int, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        # two products rather than one split in half: both results come out contiguous
        hidden = self.hidden
        z = torch.sigmoid(F.linear(x, self.weight[:hidden], self.bias[:hidden]))
        candidate = F.linear(x, self.weight[hidden:], self.bias[hidden:])
        before = self.initial(*self._without(x, dim)) if state is None else state
        out = scan(z, candidate, before[0], dim, self.reverse)
        return out, out.select(dim, 0 if self.reverse else -1).unsqueeze(0)

    def step(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        z, candidate = F.linear(x, self.weight, self.bias).chunk(2, -1)
        out = torch.lerp(state[0], candidate, torch.sigmoid(z))
        return out, out.unsqueeze(0)

    def _bias_gates(self, update_logit: Tensor) -> None:
        self.bias.data[: self.hidden] = update_logit


class _FusedRecurrence(Recurrence):
    """A torch RNN layer with our axes and initial state. The layer itself always runs forward over its axis 1."""

    layer: nn.GRU | nn.LSTM

    def forward(self, x: Tensor, dim: int, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        lead = self._without(x, dim)
        rows = x.movedim(dim, -2).reshape(-1, x.shape[dim], self.inputs)
        if self.reverse:
            rows = rows.flip(1)
        before = self.initial(*lead) if state is None else state
        flat = before.reshape(self.parts, 1, -1, self.hidden).contiguous()
        if isinstance(self.layer, nn.LSTM):
            out, after = self.layer(rows, (flat[0], flat[1]))
        else:
            out, after = self.layer(rows, flat[0])
        if self.reverse:
            out = out.flip(1)
        out = out.reshape(*lead, x.shape[dim], self.hidden).movedim(-2, dim)
        parts = torch.cat(after) if isinstance(after, tuple) else after
        return out, parts.reshape(self.parts, *lead, self.hidden)

    def _parameter(self, name: str) -> Tensor:
        """One of ``weight_ih, weight_hh, bias_ih, bias_hh``: torch types them as Tensor | Module."""
        value = getattr(self.layer, f"{name}_l0")
        assert isinstance(value, Tensor)
        return value

    def _weights(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        read = self._parameter
        return read("weight_ih"), read("weight_hh"), read("bias_ih"), read("bias_hh")


class GRU(_FusedRecurrence):
    """Gated recurrent unit (Cho et al. 2014), torch's gate order: reset, update, new."""

    parts = 1

    def __init__(self, inputs: int, hidden: int, reverse: bool = False) -> None:
        super().__init__(inputs, hidden, reverse)
        self.layer = nn.GRU(inputs, hidden, batch_first=True)

    def step(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        out = torch.gru_cell(x, state[0], *self._weights())
        return out, out.unsqueeze(0)

    def _bias_gates(self, update_logit: Tensor) -> None:
        hidden = self.hidden
        # torch's update gate keeps the old state, so its sign is opposite to a gate that writes
        self._parameter("bias_ih").data[hidden : 2 * hidden] = -update_logit
        self._parameter("bias_hh").data[hidden : 2 * hidden] = 0.0


class LSTM(_FusedRecurrence):
    """Long short-term memory, the paper's cell; torch's gate order: input, forget, cell, output."""

    parts = 2

    def __init__(self, inputs: int, hidden: int, reverse: bool = False) -> None:
        super().__init__(inputs, hidden, reverse)
        self.layer = nn.LSTM(inputs, hidden, batch_first=True)

    def step(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        after = torch.stack(torch.lstm_cell(x, (state[0], state[1]), *self._weights()))
        return after[0], after

    def _bias_gates(self, update_logit: Tensor) -> None:
        hidden = self.hidden
        for name, sign in (("bias_ih", 1.0), ("bias_hh", 0.0)):
            bias = self._parameter(name)
            bias.data[:hidden] = sign * update_logit
            bias.data[hidden : 2 * hidden] = -sign * update_logit


CELLS: dict[CellName, type[Recurrence]] = {"mingru": MinGRU, "gru": GRU, "lstm": LSTM}
