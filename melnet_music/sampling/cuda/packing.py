"""A tier's weights as the card reads them; merges are computed in float64.

Merges, all exact in real numbers:
  - what the frequency-delayed stack knows before a frame is drawn is one product a layer: the gates;
  - the value below is one number, and goes straight into the gates and the mixture;
  - biases, bin embeddings and the projections' biases are collected into one row a bin;
  - the last projection is part of the mixture's matrix, and with two layers the first one is part of the second's
    input matrix.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from melnet_music.model.cells import MinGRU, Recurrence
from melnet_music.model.config import CellName
from melnet_music.model.network import TierNetwork
from melnet_music.sampling.cuda.shapes import GATES, PARTS_OF_THETA, component_room


@dataclass(frozen=True)
class PackedTier:
    """What the frequency-delayed stack and the mixture of one tier are drawn from. L layers, G gates, W a row's width.

    In float32 but for ``carry``, ``recur`` and ``project``, which a program reads anew for every bin: these may be in
    bfloat16. Matrices lie inputs first.
    """

    cell: CellName
    hidden: int
    layers: int
    bins: int
    components: int
    ready: Tensor
    """``[L, H, G H]``: what is known before a frame is drawn -> gates."""
    ready_constant: Tensor
    """``[L, F, G H]``."""
    below: Tensor
    """``[L, G H]``: the value below -> gates."""
    carry: Tensor
    """``[L - 1, H, G H]``: with two layers the state of the first -> gates of the second; with more, what the layers
    before add up to -> gates."""
    recur: Tensor
    """``[L, H, G H]``: the state at the bin below -> gates; nothing for minGRU."""
    recur_bias: Tensor
    """``[L, H]``: inside a GRU's reset gate."""
    project: Tensor
    """``[L - 1, H, H]``, with three layers and more: the state -> what the layers add up to."""
    head: Tensor
    """``[1 or 2, H, W]``: the last state, and what the layers before it carry -> the mixture's row."""
    head_below: Tensor
    """``[W]``: the value below."""
    head_ready: Tensor
    """``[H, W]``: the features."""
    head_constant: Tensor
    """``[F, W]``."""
    start: Tensor
    """``[P, L, H]``: the states below the lowest bin."""

    @property
    def gates(self) -> int:
        return GATES[self.cell]

    @property
    def block_components(self) -> int:
        """Room for a mixture's components in its row."""
        return self.head_below.shape[0] // PARTS_OF_THETA

    @property
    def read_anew(self) -> tuple[Tensor, ...]:
        """What a program reads for every bin."""
        return self.carry, self.recur, self.project, self.head, self.below, self.head_below


def pack_tier(network: TierNetwork, device: torch.device, *, bfloat16: bool) -> PackedTier:
    """Pack a tier; ``bfloat16``: what is read anew for every bin is rounded to it."""
    stack, cell = network.frequency_delayed, network.config.cell
    upward = [cast(Recurrence, layer) for layer in stack.upward]
    hidden, layers, bins, gates = upward[0].hidden, len(upward), network.bins, GATES[cell]
    inputs, recurrent, biases, inner = zip(*(_cell(layer) for layer in upward), strict=True)
    weights = [_wide(_parameter(layer, "weight")) for layer in stack.project]
    below = _wide(_parameter(stack.inlet, "weight"))[:, 0]
    constant = _wide(_parameter(stack.inlet, "bias")).expand(bins, hidden)
    if stack.embedding is not None:
        constant = constant + _wide(stack.embedding)
    ready_constant, sums = [], constant
    for w, bias, project in zip(inputs, biases, stack.project, strict=True):
        ready_constant.append(sums @ w.T + bias)
        sums = sums + _wide(_parameter(project, "bias"))

    components = network.config.components
    room = component_room(components)
    read, outlet_bias = torch.zeros(PARTS_OF_THETA, room, hidden).double(), torch.zeros(PARTS_OF_THETA, room).double()
    read[:3, :components] = _wide(network.outlet.weight).reshape(3, components, hidden)
    outlet_bias[:3, :components] = _wide(network.outlet.bias).reshape(3, components)
    read = read.reshape(-1, hidden)
    carried = [] if layers == 1 else [read @ weights[0] if layers == 2 else read]

    def placed(tensor: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        return tensor.to(device, dtype).contiguous()

    def joined(matrices: list[Tensor], *shape: int) -> Tensor:
        """Inputs first."""
        joined = torch.stack([matrix.T for matrix in matrices]) if matrices else torch.zeros(1, *shape)
        return placed(joined, torch.bfloat16 if bfloat16 else torch.float32)

    carry = [w @ weights[0] for w in inputs[1:]] if layers == 2 else list(inputs[1:])
    return PackedTier(
        cell=cell, hidden=hidden, layers=layers, bins=bins, components=components,
        ready=placed(torch.stack([w.T for w in inputs])),
        ready_constant=placed(torch.stack(ready_constant)),
        below=placed(torch.stack([w @ below for w in inputs])),
        carry=joined(carry, 1, gates),
        recur=joined([] if cell == "mingru" else list(recurrent), 1, gates),
        recur_bias=placed(torch.stack(inner)),
        project=joined(weights[:-1] if layers > 2 else [], 1, 1),
        head=placed(torch.stack([(read @ weights[-1]).T, *(matrix.T for matrix in carried)])),
        head_below=placed(read @ below),
        head_ready=placed(read.T),
        head_constant=placed(sums @ read.T + outlet_bias.reshape(-1)),
        start=placed(torch.stack([_wide(layer.start) for layer in upward], 1)),
    )  # fmt: skip


def _cell(layer: Recurrence) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """In float64: ``[G H, I]``, ``[G H, H]`` (nothing for minGRU), ``[G H]``, and ``[H]`` inside a GRU's reset gate."""
    inner = torch.zeros(layer.hidden, dtype=torch.float64)
    if isinstance(layer, MinGRU):
        return _wide(layer.weight), torch.zeros(0), _wide(layer.bias), inner
    parts = {name: _wide(value) for name, value in layer.named_parameters()}
    bias, again = parts["layer.bias_ih_l0"], parts["layer.bias_hh_l0"]
    if layer.parts == 1:
        inner = again[2 * layer.hidden :]
        again = torch.cat([again[: 2 * layer.hidden], torch.zeros_like(inner)])
    return parts["layer.weight_ih_l0"], parts["layer.weight_hh_l0"], bias + again, inner


def _parameter(layer: nn.Module, name: str) -> Tensor:
    return cast(Tensor, getattr(layer, name))


def _wide(tensor: Tensor) -> Tensor:
    return tensor.detach().double().cpu()
