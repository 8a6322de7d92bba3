"""A recurrence over a grid of rows, along time or along frequency.

Rows are the cells of ``frames x bins``, row ``t * bins + f``. What the inputs give is a matrix product over blocks of
rows; what the state gives needs the step before, and is a product of as many rows as run side by side.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from melnet_music.sampling.cpu.compiled import apart, inner, pasted
from melnet_music.sampling.cpu.gates import LSTM, MINGRU, apply_gates
from melnet_music.sampling.cpu.products import product
from melnet_music.sampling.cpu.target import PANEL_COLUMNS

BLOCK_ROWS = 96
"""Rows whose pre-activations are made at once: they stay in the second-level cache until the gates read them."""


class Rnn(NamedTuple):
    """Where one recurrence's weights are. Places of panels are in the weights, all others in the arena."""

    inputs: int
    """K of the product with the inputs."""
    w: int
    u: int
    """Panels for the state; minGRU has none."""
    bias: int
    bias_step: int
    """0: one bias for all bins; else a row of biases a bin, this far apart."""
    hidden_bias: int
    """GRU: added to what the state gives."""
    start: int
    """The trained initial state ``[P, hidden]``."""


INPUTS, W, U, BIAS, BIAS_STEP, HIDDEN_BIAS, START = range(len(Rnn._fields))
"""The kernels get a recurrence as one row of integers, int64[7]."""


def scratch_floats(hidden: int, gates: int) -> int:
    """Arena space that a thread needs to run recurrences of this size."""
    return BLOCK_ROWS * hidden * (2 * gates + 1)


@inner
def run_in_time(
    cell: int, hidden: int, gates: int, rnn: Any, inlets: Any, weights: Any, arena: Any, x: int, frames: int, bins: int,
    first: int, last: int, state: int, out: int, out_step: int, backward: bool, scratch: int,
) -> None:  # fmt: skip
    """Bins ``first`` to ``last`` of all frames, each bin on its own.

    ``x [frames, bins, inputs]``; ``state [P, bins, hidden]`` is where it starts from and is replaced, or -1: the
    trained initial state, and none is kept. Outputs go to rows ``out_step`` apart.
    """
    apart()
    width = gates * hidden
    panels = width // PANEL_COLUMNS
    gx, gh = scratch, scratch + BLOCK_ROWS * width
    for top in range(first, last, BLOCK_ROWS):
        rows = min(BLOCK_ROWS, last - top)
        if state >= 0:
            h, h_step, c = state + top * hidden, hidden, state + (bins + top) * hidden
        else:
            h, h_step, c = rnn[START], 0, gh + BLOCK_ROWS * width
            if cell == LSTM:
                _fill_rows(arena, rnn[START] + hidden, c, hidden, rows)
        for step in range(frames):
            row = (frames - 1 - step if backward else step) * bins + top
            product(
                inlets, rnn[W], panels, rnn[INPUTS], arena, x + row * rnn[INPUTS], rnn[INPUTS],
                rnn[BIAS] + top * rnn[BIAS_STEP], rnn[BIAS_STEP], gx, width, rows,
            )  # fmt: skip
            add_state(cell, hidden, panels, rnn, weights, arena, h, h_step, gx, width, gh, rows)
            for r in range(rows):
                apply_gates(
                    cell, hidden, arena, gx + r * width, gh + r * width, h + r * h_step, c + r * hidden,
                    out + (row + r) * out_step,
                )  # fmt: skip
            h, h_step = out + row * out_step, out_step
        if state >= 0:
            for r in range(rows):
                for i in range(hidden):
                    arena[state + (top + r) * hidden + i] = arena[h + r * h_step + i]


@inner
def run_in_frequency(
    cell: int, hidden: int, gates: int, rnn: Any, inlets: Any, weights: Any, arena: Any, x: int, frames: int, bins: int,
    out: int, out_step: int, backward: bool, scratch: int,
) -> None:  # fmt: skip
    """All bins of every frame, each frame from the trained initial state; as `run_in_time` otherwise."""
    apart()
    width = gates * hidden
    panels = width // PANEL_COLUMNS
    gx, gh = scratch, scratch + BLOCK_ROWS * width
    c = gh + BLOCK_ROWS * width
    for top in range(0, frames, BLOCK_ROWS):
        rows = min(BLOCK_ROWS, frames - top)
        h, h_step = rnn[START], 0
        if cell == LSTM:
            _fill_rows(arena, rnn[START] + hidden, c, hidden, rows)
        done = 0
        while done < bins:
            steps = min(BLOCK_ROWS // rows, bins - done)
            low = bins - done - steps if backward else done
            for r in range(rows):
                product(
                    inlets, rnn[W], panels, rnn[INPUTS], arena, x + ((top + r) * bins + low) * rnn[INPUTS], rnn[INPUTS],
                    rnn[BIAS] + low * rnn[BIAS_STEP], rnn[BIAS_STEP], gx + r * steps * width, width, steps,
                )  # fmt: skip
            for step in range(steps):
                place = steps - 1 - step if backward else step
                here = gx + place * width
                add_state(cell, hidden, panels, rnn, weights, arena, h, h_step, here, steps * width, gh, rows)
                row = top * bins + low + place
                for r in range(rows):
                    apply_gates(
                        cell, hidden, arena, here + r * steps * width, gh + r * width, h + r * h_step, c + r * hidden,
                        out + (row + r * bins) * out_step,
                    )  # fmt: skip
                h, h_step = out + row * out_step, bins * out_step
            done += steps


@inner
def add_state(
    cell: int, hidden: int, panels: int, rnn: Any, weights: Any, arena: Any, h: int, h_step: int, gx: int, gx_step: int,
    gh: int, rows: int,
) -> None:  # fmt: skip
    """What the state gives: added to ``gx`` for an LSTM, on its own in ``gh`` for a GRU."""
    apart()
    if cell == MINGRU:
        return
    if cell == LSTM:
        product(weights, rnn[U], panels, hidden, arena, h, h_step, gx, gx_step, gx, gx_step, rows)
    else:
        width = panels * PANEL_COLUMNS
        product(weights, rnn[U], panels, hidden, arena, h, h_step, rnn[HIDDEN_BIAS], 0, gh, width, rows)


@pasted
def _fill_rows(arena: Any, source: int, target: int, width: int, rows: int) -> None:
    for r in range(rows):
        for i in range(width):
            arena[target + r * width + i] = arena[source + i]
