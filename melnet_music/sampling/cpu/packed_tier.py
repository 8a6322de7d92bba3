"""A tier's weights, merged and packed for `tier_kernels`; merges are computed in float64."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from melnet_music.model.config import ModelConfig
from melnet_music.sampling.cpu.gates import CELL_NUMBERS, GATES
from melnet_music.sampling.cpu.packing import Float32Array, padded, panels
from melnet_music.sampling.cpu.products import CHAINS
from melnet_music.sampling.cpu.recurrence import Rnn
from melnet_music.sampling.cpu.target import PANEL_COLUMNS
from melnet_music.sampling.cpu.tier_kernels import Places

Matrix = NDArray[np.float64]
Weights = Mapping[str, Float32Array]


class Store:
    """Rows of numbers one behind the other, each on a cache line of its own."""

    def __init__(self) -> None:
        self.parts: list[NDArray[Any]] = []
        self.size = 0

    def add(self, values: NDArray[Any]) -> int:
        """Keep the values; returns their place."""
        place, flat = self.size, values.reshape(-1)
        self.parts.append(np.pad(flat, (0, -len(flat) % PANEL_COLUMNS)))
        self.size += len(self.parts[-1])
        return place

    def joined(self, dtype: Any, room: int = 0) -> NDArray[Any]:
        """All of it in one aligned array, with room for as many numbers more behind."""
        array = aligned_zeros(self.size + room, dtype)
        if self.parts:
            np.concatenate(self.parts, out=array[: self.size])
        return array


def aligned_zeros(size: int, dtype: Any) -> NDArray[Any]:
    """Zeros that begin on a cache line."""
    raw = np.zeros(size * np.dtype(dtype).itemsize + 64, np.uint8)
    first = -raw.ctypes.data % 64
    return raw[first : first + size * np.dtype(dtype).itemsize].view(dtype)


@dataclass(frozen=True)
class Cell:
    """One recurrence's parameters, padded: ``w [gates hidden, I]``, ``u [gates hidden, hidden]`` or None."""

    w: Matrix
    u: Matrix | None
    bias: Matrix
    hidden_bias: Matrix
    start: Matrix
    """``[P, hidden]``."""


@dataclass(frozen=True)
class PackedTier:
    """What a tier's workspaces are made of. Never written to."""

    places: Places
    """Those behind the constants are 0: `workspace.Workspace` fills them in."""
    rnns: NDArray[np.int64]
    weights: NDArray[Any]
    fine: Float32Array
    constants: Float32Array
    """The beginning of every arena."""
    hidden: int
    """As in the preset, not padded."""
    central_hidden: int
    channels: int
    """0: no extractor."""
    parts: int
    """P of a state: 2 for an LSTM."""


def pack_tier(weights: Weights, model: ModelConfig, tier: int, bins: int, *, bfloat16: bool) -> PackedTier:
    """Pack the weights ``tiers.<tier>.*`` of a preset."""
    return _Packer(weights, model, tier, bins, bfloat16).pack()


class _Packer:
    def __init__(self, weights: Weights, model: ModelConfig, tier: int, bins: int, bfloat16: bool) -> None:
        self._all, self._prefix, self._model, self._bins = weights, f"tiers.{tier}.", model, bins
        self._tier, self._bfloat16 = model.tiers[tier], bfloat16
        self._hidden, self._central = padded(self._tier.hidden), padded(self._tier.centralized_hidden)
        self._gates = GATES[model.cell]
        self._weights, self._fine, self._arena = Store(), Store(), Store()

    def pack(self) -> PackedTier:
        layers, components = self._tier.layers, self._model.components
        channels = self._get("extractor.inlet.weight").shape[1] if self._has("extractor.inlet.weight") else 0
        theta = padded(3 * components)
        rnns: list[Rnn] = []
        fixed: dict[str, int] = {}

        # the extractor: its inlet goes straight into the gates
        features_bias = np.zeros(self._hidden)
        if channels:
            inlet, embedding = self._matrix("extractor.inlet.weight"), self._embedding("extractor")
            into = self._vector("extractor.inlet.bias") + embedding
            for name in ("later", "earlier", "higher", "lower"):
                cell = self._cell(f"extractor.{name}", self._hidden, self._hidden)
                bias = into @ cell.w.T + cell.bias
                rnns.append(self._rnn(self._put(cell.w @ inlet, fine=True), channels, cell, bias, per_bin=True))
            outlet = self._blocks("extractor.outlet.weight", 4)
            fixed["outlet"] = self._put(outlet)
            features_bias = self._vector("extractor.outlet.bias")
        else:
            fixed["outlet"] = 0
            rnns += [Rnn(0, 0, 0, 0, 0, 0, 0)] * 4

        # time-delayed stack: the projections' biases are kept out of the residual sum
        delayed_constant = features_bias + self._vector("time_delayed.inlet.bias") + self._embedding("time_delayed")
        fixed["cell_constant"] = self._arena.add(delayed_constant)
        fixed["inlet"] = self._put(self._matrix("time_delayed.inlet.weight"), fine=True)
        beyond = np.zeros(self._hidden)
        projections, after_layer = [], []
        for layer in range(layers):
            for name in ("time", "upward", "downward"):
                cell = self._cell(f"time_delayed.{name}.{layer}", self._hidden, self._hidden)
                rnns.append(self._rnn(self._put(cell.w), self._hidden, cell, cell.bias + cell.w @ beyond))
            projections.append(self._panels(self._blocks(f"time_delayed.project.{layer}.weight", 3)))
            beyond = beyond + self._vector(f"time_delayed.project.{layer}.bias")
            after_layer.append(beyond)
        fixed["project"] = self._weights.add(np.concatenate(projections))

        central_bias = self._pack_centralized(rnns, fixed)
        known = [past + central for past, central in zip(after_layer, central_bias, strict=True)]
        self._pack_frequency_delayed(rnns, fixed, delayed_constant - features_bias, known, theta)
        fixed["zeros"] = self._arena.add(np.zeros(self._hidden))
        places = Places(
            cell=CELL_NUMBERS[self._model.cell],
            gates=self._gates,
            hidden=self._hidden,
            bins=self._bins,
            layers=layers,
            components=components,
            theta=theta,
            central_hidden=self._central,
            **fixed,
            **dict.fromkeys(set(Places._fields) - set(fixed) - _SIZES, 0),
        )
        return PackedTier(
            places=places,
            rnns=np.array(rnns, np.int64),
            weights=self._weights.joined(np.uint16 if self._bfloat16 else np.float32),
            fine=self._fine.joined(np.float32),
            constants=self._arena.joined(np.float32),
            hidden=self._tier.hidden,
            central_hidden=self._tier.centralized_hidden,
            channels=channels,
            parts=2 if self._model.cell == "lstm" else 1,
        )

    def _pack_centralized(self, rnns: list[Rnn], fixed: dict[str, int]) -> list[Matrix]:
        """Returns the constant that each layer's output lacks."""
        width, layers = self._central, self._tier.layers
        fixed.update(central_inlet=0, central_constant=0, central_project=-1)
        if not width:
            rnns += [Rnn(0, 0, 0, 0, 0, 0, 0)] * layers
            return [np.zeros(self._hidden)] * layers
        inlet = _pad(self._get("centralized.inlet.weight"), width, self._bins)
        fixed["central_inlet"] = self._put(inlet, fine=True)
        fixed["central_constant"] = self._arena.add(_pad(self._get("centralized.inlet.bias"), width))
        biases, projections = [], []
        for layer in range(layers):
            cell = self._cell(f"centralized.time.{layer}", width, width)
            rnns.append(self._rnn(self._put(cell.w), width, cell, cell.bias))
            if not self._has(f"centralized.project.{layer}.weight"):
                biases.append(np.zeros(self._hidden))
                continue
            projection = _pad(self._get(f"centralized.project.{layer}.weight"), self._hidden, width)
            projections.append(self._panels(projection))
            biases.append(self._vector(f"centralized.project.{layer}.bias"))
        if projections:
            fixed["central_project"] = self._weights.add(np.concatenate(projections))
        return biases

    def _pack_frequency_delayed(
        self, rnns: list[Rnn], fixed: dict[str, int], delayed_own: Matrix, known: list[Matrix], theta: int
    ) -> None:
        """``delayed_own [bins, hidden]``: what `base` has beside the features; ``known``: what a layer's past lacks."""
        hidden, layers = self._hidden, self._tier.layers
        below = self._matrix("frequency_delayed.inlet.weight")
        own = self._vector("frequency_delayed.inlet.bias") + self._embedding("frequency_delayed")
        projections = [self._matrix(f"frequency_delayed.project.{layer}.weight") for layer in range(layers)]
        residual = np.zeros(hidden)
        before, constants, below_values = [], [], []
        for layer in range(layers):
            cell = self._cell(f"frequency_delayed.upward.{layer}", hidden, hidden)
            before.append(self._panels(cell.w))
            constants.append((own - delayed_own + known[layer] + residual) @ cell.w.T + cell.bias)
            residual = residual + self._vector(f"frequency_delayed.project.{layer}.bias")
            below_values.append(panels(cell.w @ below, bfloat16=False))
            # two layers: through the first's projection; more: that is summed before
            place = self._put(cell.w @ projections[0] if layers == 2 else cell.w) if layer else 0
            rnns.append(self._rnn(place, hidden if layer else 0, cell, np.zeros(1)))
        fixed["below"] = self._fine.add(np.concatenate(below_values))
        fixed["upward"] = self._weights.add(np.concatenate(before))
        fixed["upward_constant"] = self._arena.add(np.stack(constants))
        fixed["upward_project"] = 0
        if layers > 2:
            fixed["upward_project"] = self._weights.add(np.concatenate([self._panels(o) for o in projections[:-1]]))

        read = _pad(self._get("outlet.weight"), theta, hidden)
        constant = _pad(self._get("outlet.bias"), theta) + (own - delayed_own + residual) @ read.T
        fixed["head_constant"] = self._arena.add(constant)
        fixed["head_base"] = self._put(read, fine=True)
        carried = {1: [], 2: [read @ projections[0]]}.get(layers, [read])
        head = np.hstack([read @ below, *carried, read @ projections[-1]])
        head = _pad(head, theta, -(-head.shape[1] // CHAINS) * CHAINS)
        fixed["head"], fixed["head_inputs"] = self._put(head, fine=True), head.shape[1]

    def _rnn(self, w: int, inputs: int, cell: Cell, bias: Matrix, *, per_bin: bool = False) -> Rnn:
        bias = np.broadcast_to(bias, (self._bins, len(cell.bias))) if per_bin else bias
        return Rnn(
            inputs=inputs,
            w=w,
            u=0 if cell.u is None else self._put(cell.u),
            bias=self._arena.add(bias),
            bias_step=len(cell.bias) if per_bin else 0,
            hidden_bias=self._arena.add(cell.hidden_bias),
            start=self._arena.add(cell.start),
        )

    def _cell(self, name: str, hidden: int, inputs: int) -> Cell:
        gates = self._gates

        def rows(part: str) -> Matrix:
            """``[gates H, I]`` or ``[gates H]`` with every gate padded."""
            array = self._get(f"{name}.{part}")
            apart = array.reshape(gates, len(array) // gates, *array.shape[1:])
            wider = (hidden, inputs) if array.ndim == 2 else (hidden,)
            return _pad(apart, gates, *wider).reshape(gates * hidden, *wider[1:])

        start = _pad(self._get(f"{name}.start"), self._get(f"{name}.start").shape[0], hidden)
        if self._model.cell == "mingru":
            return Cell(rows("weight"), None, rows("bias"), np.zeros(1), start)
        bias, hidden_bias = rows("layer.bias_ih_l0"), rows("layer.bias_hh_l0")
        if self._model.cell == "gru":  # the new state's share stays behind the reset gate
            inside = np.arange(gates * hidden) >= 2 * hidden
            bias, hidden_bias = bias + np.where(inside, 0, hidden_bias), np.where(inside, hidden_bias, 0)
        else:
            bias, hidden_bias = bias + hidden_bias, np.zeros(1)
        return Cell(rows("layer.weight_ih_l0"), rows("layer.weight_hh_l0"), bias, hidden_bias, start)

    def _put(self, matrix: Matrix, *, fine: bool = False) -> int:
        if fine:
            return self._fine.add(panels(matrix, bfloat16=False))
        return self._weights.add(self._panels(matrix))

    def _panels(self, matrix: Matrix) -> NDArray[Any]:
        return panels(matrix, bfloat16=self._bfloat16)

    def _embedding(self, stack: str) -> Matrix:
        """``[bins, hidden]``."""
        if not self._has(f"{stack}.embedding"):
            return np.zeros((self._bins, self._hidden))
        return _pad(self._get(f"{stack}.embedding"), self._bins, self._hidden)

    def _blocks(self, name: str, count: int) -> Matrix:
        """``[H, count H]`` with every block of columns padded."""
        array = self._get(name)
        apart = array.reshape(array.shape[0], count, -1)
        return _pad(apart, self._hidden, count, self._hidden).reshape(self._hidden, count * self._hidden)

    def _matrix(self, name: str) -> Matrix:
        """``[H, H]``, or ``[H, I]`` with I that is no hidden size."""
        array = self._get(name)
        inputs = self._hidden if array.shape[1] == self._tier.hidden and "inlet" not in name else array.shape[1]
        return _pad(array, self._hidden, inputs)

    def _vector(self, name: str) -> Matrix:
        return _pad(self._get(name), self._hidden)

    def _get(self, name: str) -> Float32Array:
        return self._all[self._prefix + name]

    def _has(self, name: str) -> bool:
        return self._prefix + name in self._all


_SIZES = {"cell", "gates", "hidden", "bins", "layers", "components", "theta", "central_hidden"}


def _pad(array: NDArray[Any], *shape: int) -> Matrix:
    """float64, with zeros behind up to ``shape``."""
    return np.pad(array.astype(np.float64), [(0, want - size) for want, size in zip(shape, array.shape, strict=True)])
