"""The kernel that draws one frame of a tier, low bin to high: one program a take.

The frequency-delayed stack is the only one that waits for every single value. All that does not depend on the frame
itself comes as gates and rows of the mixture that are ready (`melnet_music.sampling.cuda.packing` says of which
merges). A program reads the weights anew for every bin, out of the second-level cache; its states lie in a line of
memory of its own, two of each, for a bin's products read the old ones while the new ones are written. Programs never
wait for one another, so that takes do not depend on how many are made together.
"""

from __future__ import annotations

from typing import NamedTuple

import triton
from torch import Tensor
from triton import language as tl

from melnet_music.model.config import VALUE_LIMIT
from melnet_music.sampling.cuda.packing import PackedTier
from melnet_music.sampling.cuda.shapes import CELL_NUMBERS, PARTS_OF_THETA

_TILE = 4096
"""Weights of a product that are on their way at once, `_STAGES` times over."""
_MOST_UNITS = 512
_STAGES = 4
_WARPS = 8


class FramesToDraw(NamedTuple):
    """What a chunk of one tier is drawn from besides what its stacks see, all on the card."""

    uniform: Tensor
    """``[B, T, F]``."""
    normal: Tensor
    """``[B, T, F]``."""
    known: Tensor
    """``[T]`` int32, not 0: the frame is known, and not drawn."""
    forced: Tensor
    """``[B, T, F]``: the values of known frames."""
    sharpness: Tensor
    """``[B, 3]``: temperature, bias, tilt."""


def scratch_floats(packed: PackedTier) -> int:
    """What one take needs for its states: two of every layer, memories, and what the layers add up to."""
    return (3 * packed.layers + 1) * packed.hidden


def draw_frame(
    packed: PackedTier,
    gates: Tensor,
    rows: Tensor,
    given: FramesToDraw,
    own: Tensor,
    frame: int,
    scratch: Tensor,
    log_sigma_floor: float,
    *,
    softplus: bool,
) -> None:
    """Draw one frame of all takes into ``own``, or copy it if it is known.

    Args:
        gates: ``[L, B, F, G H]``, what is known of them before the frame is drawn.
        rows: ``[B, T, F, W]``, the same of the mixtures.
        own: ``[B, T, F]``.
        scratch: ``[B, scratch_floats(packed)]``.
    """
    batch, frames, bins = own.shape
    units = min(_MOST_UNITS, triton.next_power_of_2(packed.hidden))
    room = packed.block_components
    _draw_frame[(batch,)](
        gates, rows, packed.below, packed.carry, packed.recur, packed.recur_bias, packed.project, packed.head,
        packed.head_below, packed.start, scratch, given.uniform, given.normal, given.known, given.forced, own,
        given.sharpness, frame, frames, batch, log_sigma_floor,
        CELL=CELL_NUMBERS[packed.cell], GATES=packed.gates, HIDDEN=packed.hidden, LAYERS=packed.layers, BINS=bins,
        COMPONENTS=packed.components, SOFTPLUS=softplus, LIMIT=VALUE_LIMIT, SCRATCH=scratch_floats(packed),
        BLOCK_BINS=triton.next_power_of_2(bins), BLOCK_COMPONENTS=room,
        BLOCK_HEAD=_inputs(PARTS_OF_THETA * room, packed.hidden), BLOCK_INPUTS=_inputs(units, packed.hidden),
        BLOCK_UNITS=units, STAGES=_STAGES, num_warps=_WARPS,
    )  # fmt: skip


def _inputs(outputs: int, inputs: int) -> int:
    """How many inputs are taken together with so many outputs."""
    together: int = min(triton.next_power_of_2(inputs), max(1, _TILE // outputs))
    return together


@triton.jit  # type: ignore[untyped-decorator, unused-ignore]
def _product(  # type: ignore[no-untyped-def]
    weights, vector, size, width, column, inside, BLOCK_INPUTS: tl.constexpr, BLOCK_OUTPUTS: tl.constexpr,
    STAGES: tl.constexpr,
):  # fmt: skip
    """Columns of ``weights [size, width]``, times ``vector [size]``: ``[BLOCK_OUTPUTS]``."""
    sums = tl.zeros([BLOCK_INPUTS, BLOCK_OUTPUTS], tl.float32)
    for first in tl.range(0, size, BLOCK_INPUTS, num_stages=STAGES):
        row = first + tl.arange(0, BLOCK_INPUTS)
        here = row < size
        tile = tl.load(
            weights + row[:, None] * width + column[None, :], mask=here[:, None] & inside[None, :], other=0.0
        )
        sums += tile.to(tl.float32) * tl.load(vector + row, mask=here, other=0.0)[:, None]
    return tl.sum(sums, 0)


@triton.jit  # type: ignore[untyped-decorator, unused-ignore]
def _sigmoid(x):  # type: ignore[no-untyped-def]
    return 1.0 / (1.0 + tl.exp(-x))


@triton.jit  # type: ignore[untyped-decorator, unused-ignore]
def _tanh(x):  # type: ignore[no-untyped-def]
    return 2.0 / (1.0 + tl.exp(-2.0 * x)) - 1.0


@triton.jit  # type: ignore[untyped-decorator, unused-ignore]
def _draw_value(  # type: ignore[no-untyped-def]
    theta, uniform, normal, temperature, bias, tilt, log_sigma_floor, COMPONENTS: tl.constexpr,
    BLOCK_COMPONENTS: tl.constexpr, SOFTPLUS: tl.constexpr, LIMIT: tl.constexpr,
):  # fmt: skip
    """A value from a mixture's row: `melnet_music.model.mixture.Mixture.draw`."""
    parts = tl.reshape(theta, [4, BLOCK_COMPONENTS])
    part = tl.arange(0, 4)[:, None]
    component = tl.arange(0, BLOCK_COMPONENTS)
    logits = tl.sum(tl.where(part == 0, parts, 0.0), 0)
    mu = tl.sum(tl.where(part == 1, parts, 0.0), 0)
    spread = tl.sum(tl.where(part == 2, parts, 0.0), 0)
    if SOFTPLUS:
        log_sigma = log_sigma_floor + tl.maximum(spread, 0.0) + tl.log(1.0 + tl.exp(-tl.abs(spread)))
    else:
        log_sigma = tl.maximum(spread, log_sigma_floor)
    sigma = tl.exp(log_sigma - bias) * temperature
    variance = sigma * sigma
    score = logits * (1.0 + bias) + tilt * (mu + 0.5 * tilt * variance)
    score = tl.where(component < COMPONENTS, score, float("-inf"))
    likely = tl.exp(score - tl.max(score, 0))
    reached = tl.cumsum(likely / tl.sum(likely, 0), 0)
    pick = tl.minimum(tl.sum((reached <= uniform).to(tl.int32), 0), COMPONENTS - 1)
    value = tl.sum(tl.where(component == pick, mu + tilt * variance + sigma * normal, 0.0), 0)
    return tl.minimum(tl.maximum(value, -LIMIT), LIMIT)


@triton.jit(do_not_specialize=["frame", "frames", "batch"])  # type: ignore[untyped-decorator, unused-ignore]
def _draw_frame(  # type: ignore[no-untyped-def]
    gates, rows, below, carry, recur, recur_bias, project, head, head_below, start, scratch, uniform, normal, known,
    forced, own, sharpness, frame, frames, batch, log_sigma_floor,
    CELL: tl.constexpr, GATES: tl.constexpr, HIDDEN: tl.constexpr, LAYERS: tl.constexpr, BINS: tl.constexpr,
    COMPONENTS: tl.constexpr, SOFTPLUS: tl.constexpr, LIMIT: tl.constexpr, SCRATCH: tl.constexpr,
    BLOCK_BINS: tl.constexpr, BLOCK_COMPONENTS: tl.constexpr, BLOCK_HEAD: tl.constexpr, BLOCK_INPUTS: tl.constexpr,
    BLOCK_UNITS: tl.constexpr, STAGES: tl.constexpr,
):  # fmt: skip
    take = tl.program_id(0)
    place = (take * frames + frame) * BINS
    if tl.load(known + frame) != 0:
        bins = tl.arange(0, BLOCK_BINS)
        values = tl.load(forced + place + bins, mask=bins < BINS, other=0.0)
        tl.store(own + place + bins, values, mask=bins < BINS)
    else:
        state = scratch + take * SCRATCH
        memory = state + 2 * LAYERS * HIDDEN
        residual = memory + LAYERS * HIDDEN
        width = GATES * HIDDEN
        bold = sharpness + take * 3
        temperature, bias, tilt = tl.load(bold), tl.load(bold + 1), tl.load(bold + 2)
        for first in range(0, LAYERS * HIDDEN, BLOCK_UNITS):
            at = first + tl.arange(0, BLOCK_UNITS)
            inside = at < LAYERS * HIDDEN
            tl.store(state + at, tl.load(start + at, mask=inside, other=0.0), mask=inside)
            if CELL == 2:
                tl.store(memory + at, tl.load(start + LAYERS * HIDDEN + at, mask=inside, other=0.0), mask=inside)
        tl.debug_barrier()
        value = 0.0
        for f in range(0, BINS):
            old, new = state + (f % 2) * LAYERS * HIDDEN, state + ((f + 1) % 2) * LAYERS * HIDDEN
            carried = new if LAYERS == 2 else residual
            for layer in range(0, LAYERS):
                from_below = tl.minimum(layer, 1) * HIDDEN
                mine, before = layer * HIDDEN, old + layer * HIDDEN
                ready = gates + ((layer * batch + take) * BINS + f) * width
                into, ours, again = carry + (mine - HIDDEN) * width, below + layer * width, recur + mine * width
                for first in range(0, HIDDEN, BLOCK_UNITS):
                    unit = first + tl.arange(0, BLOCK_UNITS)
                    inside = unit < HIDDEN
                    h = tl.load(before + unit, mask=inside, other=0.0)
                    a = tl.load(ready + unit, mask=inside, other=0.0)
                    a += tl.load(ours + unit, mask=inside, other=0.0) * value
                    a += _product(into, carried, from_below, width, unit, inside, BLOCK_INPUTS, BLOCK_UNITS, STAGES)
                    column = HIDDEN + unit
                    b = tl.load(ready + column, mask=inside, other=0.0)
                    b += tl.load(ours + column, mask=inside, other=0.0) * value
                    b += _product(into, carried, from_below, width, column, inside, BLOCK_INPUTS, BLOCK_UNITS, STAGES)
                    if CELL == 0:
                        h += _sigmoid(a) * (b - h)
                    else:
                        a += _product(again, before, HIDDEN, width, unit, inside, BLOCK_INPUTS, BLOCK_UNITS, STAGES)
                        b += _product(again, before, HIDDEN, width, column, inside, BLOCK_INPUTS, BLOCK_UNITS, STAGES)
                        column += HIDDEN
                        c = tl.load(ready + column, mask=inside, other=0.0)
                        c += tl.load(ours + column, mask=inside, other=0.0) * value
                        c += _product(
                            into, carried, from_below, width, column, inside, BLOCK_INPUTS, BLOCK_UNITS, STAGES
                        )
                        d = _product(again, before, HIDDEN, width, column, inside, BLOCK_INPUTS, BLOCK_UNITS, STAGES)
                        if CELL == 1:  # reset, update, new
                            d += tl.load(recur_bias + mine + unit, mask=inside, other=0.0)
                            c = _tanh(c + _sigmoid(a) * d)
                            h = c + _sigmoid(b) * (h - c)
                        else:  # input, forget, cell, output
                            c = _tanh(c + d)
                            column += HIDDEN
                            e = tl.load(ready + column, mask=inside, other=0.0)
                            e += tl.load(ours + column, mask=inside, other=0.0) * value
                            e += _product(
                                into, carried, from_below, width, column, inside, BLOCK_INPUTS, BLOCK_UNITS, STAGES
                            )
                            e += _product(
                                again, before, HIDDEN, width, column, inside, BLOCK_INPUTS, BLOCK_UNITS, STAGES
                            )
                            kept = tl.load(memory + mine + unit, mask=inside, other=0.0)
                            kept = _sigmoid(b) * kept + _sigmoid(a) * c
                            tl.store(memory + mine + unit, kept, mask=inside)
                            h = _sigmoid(e) * _tanh(kept)
                    tl.store(new + mine + unit, h, mask=inside)
                tl.debug_barrier()
                if LAYERS > 2:  # noqa: SIM102 - one is known when it is compiled, the other is not
                    if layer < LAYERS - 1:
                        for first in range(0, HIDDEN, BLOCK_UNITS):
                            unit = first + tl.arange(0, BLOCK_UNITS)
                            inside = unit < HIDDEN
                            sums = _product(
                                project + mine * HIDDEN, new + mine, HIDDEN, HIDDEN, unit, inside, BLOCK_INPUTS,
                                BLOCK_UNITS, STAGES,
                            )  # fmt: skip
                            sums += tl.load(residual + unit, mask=inside & (layer > 0), other=0.0)
                            tl.store(residual + unit, sums, mask=inside)
                        tl.debug_barrier()
            column = tl.arange(0, 4 * BLOCK_COMPONENTS)
            inside = column < 4 * BLOCK_COMPONENTS
            theta = tl.load(rows + (place + f) * 4 * BLOCK_COMPONENTS + column)
            theta += tl.load(head_below + column) * value
            theta += _product(
                head, new + (LAYERS - 1) * HIDDEN, HIDDEN, 4 * BLOCK_COMPONENTS, column, inside, BLOCK_HEAD,
                4 * BLOCK_COMPONENTS, STAGES,
            )  # fmt: skip
            if LAYERS > 1:
                theta += _product(
                    head + HIDDEN * 4 * BLOCK_COMPONENTS, carried, HIDDEN, 4 * BLOCK_COMPONENTS, column, inside,
                    BLOCK_HEAD, 4 * BLOCK_COMPONENTS, STAGES,
                )  # fmt: skip
            value = _draw_value(
                theta, tl.load(uniform + place + f), tl.load(normal + place + f), temperature, bias, tilt,
                log_sigma_floor, COMPONENTS, BLOCK_COMPONENTS, SOFTPLUS, LIMIT,
            )  # fmt: skip
            tl.store(own + place + f, value)
