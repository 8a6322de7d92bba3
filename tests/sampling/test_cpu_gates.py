"""The cpu engine's gates and its exponential, against torch and float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from kernel_arrays import Arena, Array, random, same_bits
from torch import Tensor

from melnet_music.model.cells import CELLS
from melnet_music.model.config import CellName
from melnet_music.sampling.cpu.compiled import compiled
from melnet_music.sampling.cpu.gates import CELL_NUMBERS, GATES, apply_gates, exp_strip

cells = pytest.mark.parametrize("cell", CELLS)


@compiled
def gate(cell: int, hidden: int, arena: Any, gx: int, gh: int, h: int, c: int, out: int) -> None:
    apply_gates(cell, hidden, arena, gx, gh, h, c, out)


@compiled
def exponential(count: int, arena: Any, x: int, out: int) -> None:
    for i in range(0, count, 16):
        exp_strip(arena, x + i, out + i)


def wide_values(*shape: int, limit: float, seed: int) -> Array:
    """Of all sizes up to ``limit``, tiny ones and zeros among them."""
    rng = np.random.default_rng(seed)
    values = rng.uniform(-1, 1, shape) * 10.0 ** rng.uniform(-8, np.log10(limit), shape)
    special = rng.choice([0.0, -0.0, 1e-30, -1e-30, 1e-40, limit, -limit], shape)
    return np.where(rng.random(shape) < 0.2, special, values).astype(np.float32)


class GateCase:
    """One row of pre-activations."""

    def __init__(self, cell: CellName, hidden: int, limit: float, seed: int = 0) -> None:
        self.cell, self.hidden, self.parts = cell, hidden, 2 if cell == "lstm" else 1
        # what the state gives an LSTM or a minGRU is in gx already
        self.gx = wide_values(GATES[cell], hidden, limit=limit, seed=seed)
        self.gh = wide_values(3, hidden, limit=limit, seed=seed + 1) if cell == "gru" else np.zeros((1, hidden))
        self.state = wide_values(self.parts, hidden, limit=1.0, seed=seed + 2)

    def run(self, *, in_place: bool = False) -> tuple[Array, Array]:
        """The state after: hidden ``[H]`` and memory ``[H]``."""
        arena, hidden = Arena(), self.hidden
        gx, gh, state = (arena.add(grid) for grid in (self.gx, self.gh, self.state))
        out = state if in_place else arena.room(1, hidden)
        array, c = arena.build(), state + hidden
        gate(CELL_NUMBERS[self.cell], hidden, array, gx, gh, state, c, out)
        written = [arena.grid(out, 1, hidden), *([arena.grid(c, 1, hidden)] if self.cell == "lstm" else [])]
        arena.assert_nothing_else_was_written(*written)
        return written[0][0].copy(), written[-1][0].copy()

    def expected(self) -> Tensor:
        """``[P, H]`` by torch's cell: with no input and no matrices its biases are the pre-activations."""
        cell = CELLS[self.cell](1, self.hidden).double()
        for parameter in cell.parameters():
            parameter.data.zero_()
        named = dict(cell.named_parameters())
        named["bias" if self.cell == "mingru" else "layer.bias_ih_l0"].data[:] = torch.from_numpy(self.gx).reshape(-1)
        if self.cell == "gru":
            named["layer.bias_hh_l0"].data[:] = torch.from_numpy(self.gh).reshape(-1)
        state = torch.from_numpy(self.state).double()
        return cell.step(torch.zeros(1, 1, dtype=torch.float64), state[:, None])[1][:, 0].detach()


@cells
@pytest.mark.parametrize("limit", [1.0, 10.0, 100.0])
def test_gates_are_torch_s(cell: CellName, limit: float) -> None:
    """To 1e-6, or 1e-6 of the largest number that is added up on the way and not squashed before."""
    for seed in range(20):
        case = GateCase(cell, 256, limit, seed=10 * seed)
        unsquashed = {"mingru": case.gx[1], "gru": case.gh[-1], "lstm": case.state[-1]}[cell]
        bound = 1e-6 * np.maximum(1, np.abs(unsquashed))
        h, c = case.run()
        expected = case.expected().numpy()
        assert (np.abs(h - expected[0]) <= bound).all()
        assert (np.abs(c - expected[-1]) <= bound).all()


@cells
def test_gates_in_place_give_the_same_bits(cell: CellName) -> None:
    case = GateCase(cell, 64, 10.0)
    for apart, in_place in zip(case.run(), case.run(in_place=True), strict=True):
        assert same_bits(apart, in_place)


@cells
def test_a_padded_unit_stays_zero(cell: CellName) -> None:
    case = GateCase(cell, 32, 10.0)
    for grid in (case.gx, case.gh, case.state):
        grid[:, 20:] = 0
    for after in case.run():
        assert (after[20:] == 0).all()
        assert (after[:20] != 0).any()


def exponentials(x: Array) -> Array:
    arena, rows = Arena(), np.pad(x, (0, -len(x) % 16))[None]
    place, out = arena.add(rows), arena.room(*rows.shape)
    exponential(rows.shape[1], arena.build(), place, out)
    made = arena.grid(out, *rows.shape)
    arena.assert_nothing_else_was_written(made)
    return made[0, : len(x)].copy()


def test_exp_is_right_to_the_last_bits_or_so() -> None:
    x = np.sort(np.concatenate([np.linspace(-87, 88, 200_001), random(10_000)])).astype(np.float32)
    exact = np.exp(x.astype(np.float64))
    made = exponentials(x)
    assert np.abs(made / exact - 1).max() <= 1.5e-7
    assert exponentials(np.zeros(1, np.float32)) == 1
    tiny = np.array([1e-30, -1e-30, 1e-40, -0.0], np.float32)
    assert (exponentials(tiny) == 1).all()


def test_exp_never_falls_by_more_than_a_rounding() -> None:
    """From one float to the next, where the polynomial is left for the next one: half way between powers of two."""
    seams = ((np.arange(-125, 126) + 0.5) * np.log(2)).astype(np.float32)
    x = (seams.view(np.int32)[:, None] + np.arange(-50, 51, dtype=np.int32)).view(np.float32)
    x[x < 0] = np.flip(x[seams < 0], 1).reshape(-1)  # of negative floats the larger bits are the lower number
    assert (x[:, 1:] > x[:, :-1]).all()
    made = exponentials(x.reshape(-1)).reshape(x.shape)
    assert (made[:, 1:] >= made[:, :-1] * np.float32(1 - 2.0**-22)).all()
    assert (made[:, 100] > made[:, 0]).all()


def test_exp_is_clamped_to_what_a_float_can_hold() -> None:
    x = np.array([-87, -87.5, -100, -1e30, -np.inf, 88, 88.5, 100, 1e30, np.inf], np.float32)
    made = exponentials(x)
    assert (made[:5] == made[0]).all()
    assert (made[5:] == made[5]).all()
    assert 0 < made[0] < 1.7e-38
    assert 1.6e38 < made[5] < np.inf
