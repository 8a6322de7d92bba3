"""The cpu engine's recurrences in time and in frequency, against torch in float64."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from kernel_arrays import Arena, Array, random, same_bits
from numpy.typing import NDArray
from packed_panels import from_bfloat16

from melnet_music.model.cells import CELLS, Recurrence
from melnet_music.model.config import CellName
from melnet_music.sampling.cpu.compiled import compiled
from melnet_music.sampling.cpu.gates import CELL_NUMBERS, GATES
from melnet_music.sampling.cpu.packing import panels, to_bfloat16
from melnet_music.sampling.cpu.recurrence import BLOCK_ROWS, Rnn, run_in_frequency, run_in_time, scratch_floats
from melnet_music.sampling.cpu.target import (
    TARGET,
)

cells = pytest.mark.parametrize("cell", CELLS)
ways = pytest.mark.parametrize("backward", [False, True], ids=["forward", "backward"])


@compiled
def in_time(
    cell: int, hidden: int, gates: int, rnn: Any, inlets: Any, weights: Any, arena: Any, x: int, frames: int, bins: int,
    first: int, last: int, state: int, out: int, out_step: int, backward: bool, scratch: int,
) -> None:  # fmt: skip
    run_in_time(
        cell, hidden, gates, rnn, inlets, weights, arena, x, frames, bins, first, last, state, out, out_step, backward,
        scratch,
    )  # fmt: skip


@compiled
def in_frequency(
    cell: int, hidden: int, gates: int, rnn: Any, inlets: Any, weights: Any, arena: Any, x: int, frames: int, bins: int,
    out: int, out_step: int, backward: bool, scratch: int,
) -> None:  # fmt: skip
    run_in_frequency(
        cell, hidden, gates, rnn, inlets, weights, arena, x, frames, bins, out, out_step, backward, scratch
    )


HIDDEN, WIDE, INPUTS = 20, 32, 3
"""Units, padded to whole panels."""
OUT_STEP = WIDE + 16


def wide_gates(rows: NDArray[Any], gates: int) -> NDArray[Any]:
    """``[gates H, ...]`` with every gate's rows padded."""
    apart = rows.reshape(gates, HIDDEN, *rows.shape[1:])
    return np.pad(apart, [(0, 0), (0, WIDE - HIDDEN), *[(0, 0)] * (rows.ndim - 1)]).reshape(
        gates * WIDE, *rows.shape[1:]
    )


class RecurrenceCase:
    """A cell over a grid ``[frames, bins]``, each bin with a bias of its own, in torch and for the kernels.

    torch has one bias: there each bin is also an input of its own.
    """

    def __init__(
        self, cell: CellName, frames: int, bins: int, backward: bool, *, along_time: bool, stateful: bool = False,
        bfloat16: bool = False,
    ) -> None:  # fmt: skip
        self.cell, self.frames, self.bins, self.backward = cell, frames, bins, backward
        self.along_time, self.stateful = along_time, stateful
        self.gates, self.parts = GATES[cell], 2 if cell == "lstm" else 1
        with torch.random.fork_rng():
            torch.manual_seed(3)
            self.module: Recurrence = CELLS[cell](INPUTS + bins, HIDDEN, backward).requires_grad_(False)
            for parameter in self.module.parameters():
                parameter.normal_(std=0.3)
        self.x = random(frames, bins, INPUTS, seed=5)
        self.state = random(self.parts, bins, HIDDEN, seed=6)
        read = {name: value.numpy() for name, value in self.module.state_dict().items()}
        w, u = read.get("weight", read.get("layer.weight_ih_l0")), read.get("layer.weight_hh_l0")
        bias, hidden_bias = read.get("bias", read.get("layer.bias_ih_l0")), np.zeros(self.gates * HIDDEN, np.float32)
        if cell == "gru":
            hidden_bias = read["layer.bias_hh_l0"]
        elif cell == "lstm":
            bias = bias + read["layer.bias_hh_l0"]
        self.inlets = panels(wide_gates(w[:, :INPUTS], self.gates), bfloat16=False)
        self.u = np.zeros((16, 1), np.float32)
        if u is not None:
            self.u = np.pad(wide_gates(u, self.gates), ((0, 0), (0, WIDE - HIDDEN)))
        self.weights = panels(self.u, bfloat16=bfloat16)
        arena = self.arena = Arena()
        width = self.gates * WIDE
        self.rnn = np.array(
            Rnn(
                inputs=INPUTS,
                w=0,
                u=0,
                bias=arena.add(wide_gates((bias[:, None] + w[:, INPUTS:]), self.gates).T),
                bias_step=width,
                hidden_bias=arena.add(wide_gates(hidden_bias, self.gates)[None]),
                start=arena.add(np.pad(read["start"], ((0, 0), (0, WIDE - HIDDEN)))),
            ),
            np.int64,
        )
        self.x_place = arena.add(self.x.reshape(-1, INPUTS))
        self.state_place = arena.add(np.pad(self.state, ((0, 0), (0, 0), (0, WIDE - HIDDEN))).reshape(-1, WIDE))
        self.out_place = arena.room(frames * bins, WIDE, OUT_STEP)
        self.scratch = arena.room(1, scratch_floats(WIDE, self.gates))
        arena.build()
        self.outputs = arena.grid(self.out_place, frames * bins, WIDE, OUT_STEP)
        self.after = arena.grid(self.state_place, self.parts * bins, WIDE)

    def run(self, cuts: list[int] | None = None, frame_by_frame: bool = False) -> Array:
        """The outputs ``[frames, bins, hidden]``; bins in pieces of ``cuts``."""
        shape = CELL_NUMBERS[self.cell], WIDE, self.gates, self.rnn, self.inlets, self.weights, self.arena.array
        state = self.state_place if self.stateful else -1
        for t in range(self.frames) if frame_by_frame else [0]:
            frames, row = 1 if frame_by_frame else self.frames, t * self.bins
            x, out = self.x_place + row * INPUTS, self.out_place + row * OUT_STEP
            if self.along_time:
                edges = [0, *(cuts or []), self.bins]
                for first, last in pairwise(edges):
                    in_time(
                        *shape, x, frames, self.bins, first, last, state, out, OUT_STEP, self.backward, self.scratch
                    )
            else:
                in_frequency(*shape, x, frames, self.bins, out, OUT_STEP, self.backward, self.scratch)
        scratch = self.arena.grid(self.scratch, 1, scratch_floats(WIDE, self.gates))
        self.arena.assert_nothing_else_was_written(self.outputs, scratch, *([self.after] if self.stateful else []))
        return self.outputs.reshape(self.frames, self.bins, WIDE).copy()

    def expected(self) -> tuple[Array, Array]:
        """Outputs and the state after, by torch in float64."""
        bins = torch.eye(self.bins, dtype=torch.float64).expand(self.frames, -1, -1)
        x = torch.cat([torch.from_numpy(self.x).double(), bins], 2)
        state = torch.from_numpy(self.state).double() if self.stateful else None
        outputs, after = self.module.double()(x, 0 if self.along_time else 1, state)
        return outputs.numpy(), after.numpy()


GRIDS = [(1, 1), (1, 5), (1, 200), (2, 97), (3, 1), (3, 5), (3, 200), (100, 1), (100, 5), (97, 97)]
"""Frames and bins: on both sides of a block of rows."""


def test_the_grids_are_on_both_sides_of_a_block() -> None:
    assert {size > BLOCK_ROWS for size, _ in GRIDS} == {size > BLOCK_ROWS for _, size in GRIDS} == {False, True}


def assert_right(case: RecurrenceCase) -> None:
    outputs, after = case.expected()
    made = case.run()
    np.testing.assert_allclose(made[:, :, :HIDDEN], outputs, rtol=0, atol=1e-6 * np.abs(outputs).max())
    assert (made[:, :, HIDDEN:] == 0).all()
    if case.stateful:
        state = case.after.reshape(case.parts, case.bins, WIDE)
        np.testing.assert_allclose(state[:, :, :HIDDEN], after, rtol=0, atol=1e-6 * np.abs(after).max())
        assert (state[:, :, HIDDEN:] == 0).all()


@cells
@ways
@pytest.mark.parametrize("stateful", [False, True], ids=["from the start", "from a state"])
@pytest.mark.parametrize(("frames", "bins"), GRIDS)
def test_a_recurrence_in_time(cell: CellName, backward: bool, stateful: bool, frames: int, bins: int) -> None:
    assert_right(RecurrenceCase(cell, frames, bins, backward, along_time=True, stateful=stateful))


@cells
@ways
@pytest.mark.parametrize(("frames", "bins"), GRIDS)
def test_a_recurrence_in_frequency(cell: CellName, backward: bool, frames: int, bins: int) -> None:
    assert_right(RecurrenceCase(cell, frames, bins, backward, along_time=False))


@cells
@ways
@pytest.mark.parametrize("stateful", [False, True], ids=["from the start", "from a state"])
@pytest.mark.parametrize(("bins", "cuts"), [(5, [1, 2]), (97, [6, 90]), (200, [100]), (200, [3, 96, 97])], ids=str)
def test_parting_the_bins_of_a_recurrence_in_time_gives_the_same_bits(
    cell: CellName, backward: bool, stateful: bool, bins: int, cuts: list[int]
) -> None:
    whole, parted = (RecurrenceCase(cell, 3, bins, backward, along_time=True, stateful=stateful) for _ in range(2))
    assert same_bits(whole.run(), parted.run(cuts))
    assert same_bits(whole.after, parted.after)


@cells
def test_frame_by_frame_gives_the_same_bits_as_all_frames_at_once(cell: CellName) -> None:
    whole, stepped = (RecurrenceCase(cell, 5, 29, False, along_time=True, stateful=True) for _ in range(2))
    assert same_bits(whole.run(), stepped.run(frame_by_frame=True))
    assert same_bits(whole.after, stepped.after)


@cells
@ways
@pytest.mark.parametrize("frames", [3, 100])
def test_a_frame_s_recurrence_in_frequency_does_not_depend_on_the_frames_beside_it(
    cell: CellName, backward: bool, frames: int
) -> None:
    whole, stepped = (RecurrenceCase(cell, frames, 29, backward, along_time=False) for _ in range(2))
    assert same_bits(whole.run(), stepped.run(frame_by_frame=True))


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("along_time", [False, True], ids=["frequency", "time"])
def test_a_recurrence_with_bfloat16_is_that_with_the_rounded_weights(cell: CellName, along_time: bool) -> None:
    packed = RecurrenceCase(cell, 7, 29, False, along_time=along_time, bfloat16=True)
    rounded = RecurrenceCase(cell, 7, 29, False, along_time=along_time)
    rounded.weights = panels(from_bfloat16(to_bfloat16(rounded.u)), bfloat16=False)
    made, expected = packed.run(), rounded.run()
    if TARGET.dots:  # states are rounded too, by half a part in 256
        np.testing.assert_allclose(made, expected, rtol=0, atol=2.0**-7 * np.abs(expected).max())
    else:
        assert same_bits(made, expected)
