"""`melnet_music.training.fused.fused_scan` for CUDA: Triton kernels that read gates where the product left them.

One program walks one line of the grid for a block of columns. Lines and columns, of which there are tens of thousands,
run side by side. Sums are in float32 whatever is stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import triton  # type: ignore[import-not-found, unused-ignore]
from torch import Tensor
from triton import language as tl

_MOST_COLUMNS = 128
_THREADS_A_WARP = 32


class _Lines(NamedTuple):
    """How one recurrence's lines lie in a grid ``[B, T, F]``, counted in its cells."""

    programs: int
    length: int
    """Steps of a line; the last of each ``total`` may be shorter."""
    total: int
    """Steps along the whole axis."""
    segments: int
    """Lines that share an axis, one after the other."""
    beside: int
    """Lines that lie beside each other at a distance of one cell."""
    stride: int
    """From one such bundle to the next."""
    step: int
    backward: bool


def _lines(direction: str, shape: Sequence[int], chunk: int | None) -> _Lines:
    B, T, F = shape
    if direction in ("higher", "lower"):
        return _Lines(B * T, F, F, 1, 1, F, 1, direction == "lower")
    length = min(chunk or T, T) if direction == "earlier" else T
    segments = -(-T // length)
    return _Lines(B * segments * F, length, T, segments, F, T * F, F, direction == "earlier")


class FusedScan(torch.autograd.Function):
    """``apply(raw, directions, chunk, *starts)``: see `melnet_music.training.fused.fused_scan.fused_scan`."""

    @staticmethod
    def forward(ctx: Any, raw: Tensor, directions: tuple[str, ...], chunk: int | None, *starts: Tensor) -> Tensor:
        raw = raw.contiguous()
        starts = tuple(start.contiguous() for start in starts)
        hidden = raw.shape[-1] // (2 * len(directions))
        states = raw.new_empty(*raw.shape[:3], hidden * len(directions))
        for number, (direction, start) in enumerate(zip(directions, starts, strict=True)):
            lines = _lines(direction, raw.shape[:3], chunk)
            grid, block, warps = _launch(lines, hidden)
            _forward[grid](
                raw, start, states, hidden, len(directions), number, 0 if start.ndim == 1 else hidden,
                lines.length, lines.total, lines.segments, lines.beside, lines.stride, lines.step,
                BACKWARD=lines.backward, BLOCK=block, num_warps=warps,
            )  # fmt: skip
        ctx.save_for_backward(raw, states, *starts)
        ctx.how = directions, chunk
        return states

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        raw, states, *starts = ctx.saved_tensors
        directions, chunk = ctx.how
        hidden = raw.shape[-1] // (2 * len(directions))
        pull, d_raw, d_starts = gradients[0].contiguous(), torch.empty_like(raw), []
        for number, (direction, start) in enumerate(zip(directions, starts, strict=True)):
            lines = _lines(direction, raw.shape[:3], chunk)
            grid, block, warps = _launch(lines, hidden)
            d_start = torch.empty(lines.programs, hidden, device=raw.device)
            _backward[grid](
                raw, start, states, pull, d_raw, d_start, hidden, len(directions), number,
                0 if start.ndim == 1 else hidden,
                lines.length, lines.total, lines.segments, lines.beside, lines.stride, lines.step,
                BACKWARD=lines.backward, BLOCK=block, num_warps=warps,
            )  # fmt: skip
            d_start = d_start.sum(0) if start.ndim == 1 else d_start.view(start.shape)
            d_starts.append(d_start.to(start.dtype))
        return d_raw, None, None, *d_starts


def _launch(lines: _Lines, hidden: int) -> tuple[tuple[int, int], int, int]:
    """(programs, columns of each, warps of each)."""
    block = min(_MOST_COLUMNS, triton.next_power_of_2(hidden))
    return (lines.programs, triton.cdiv(hidden, block)), block, max(1, block // _THREADS_A_WARP)


@triton.jit  # type: ignore[untyped-decorator, unused-ignore]
def _forward(  # type: ignore[no-untyped-def]
    raw, start, states, hidden, count, number, start_stride, length, total, segments, beside, stride, step,
    BACKWARD: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    line = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = column < hidden
    segment = (line // beside) % segments
    first = (line // (beside * segments)) * stride + segment * length * step + line % beside
    steps = tl.minimum(length, total - segment * length)
    state = tl.load(start + line * start_stride + column, mask=inside, other=0.0).to(tl.float32)
    for done in range(steps):
        at = steps - 1 - done if BACKWARD else done
        cell = first + at * step
        gates = raw + (cell * count + number) * 2 * hidden + column
        z = 1.0 / (1.0 + tl.exp(-tl.load(gates, mask=inside, other=0.0).to(tl.float32)))
        new = tl.load(gates + hidden, mask=inside, other=0.0).to(tl.float32)
        state = state + z * (new - state)
        tl.store(states + (cell * count + number) * hidden + column, state, mask=inside)


@triton.jit  # type: ignore[untyped-decorator, unused-ignore]
def _backward(  # type: ignore[no-untyped-def]
    raw, start, states, pull, d_raw, d_start, hidden, count, number, start_stride, length, total, segments, beside,
    stride, step, BACKWARD: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    line = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = column < hidden
    segment = (line // beside) % segments
    first = (line // (beside * segments)) * stride + segment * length * step + line % beside
    steps = tl.minimum(length, total - segment * length)
    initial = tl.load(start + line * start_stride + column, mask=inside, other=0.0).to(tl.float32)
    carried = tl.zeros([BLOCK], tl.float32)
    for done in range(steps):
        at = done if BACKWARD else steps - 1 - done
        earlier = at + 1 if BACKWARD else at - 1
        cell = first + at * step
        place = (cell * count + number) * hidden + column
        not_first = column < tl.where(done < steps - 1, hidden, 0)
        before_place = ((first + earlier * step) * count + number) * hidden + column
        before = tl.load(states + before_place, mask=not_first, other=0.0).to(tl.float32)
        before = tl.where(done == steps - 1, initial, before)
        gates = (cell * count + number) * 2 * hidden + column
        z = 1.0 / (1.0 + tl.exp(-tl.load(raw + gates, mask=inside, other=0.0).to(tl.float32)))
        new = tl.load(raw + gates + hidden, mask=inside, other=0.0).to(tl.float32)
        here = carried + tl.load(pull + place, mask=inside, other=0.0).to(tl.float32)
        tl.store(d_raw + gates, here * (new - before) * z * (1.0 - z), mask=inside)
        tl.store(d_raw + gates + hidden, here * z, mask=inside)
        carried = here * (1.0 - z)
    tl.store(d_start + line * hidden + column, carried, mask=inside)
