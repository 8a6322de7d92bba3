"""The recurrence of `scan` for CUDA: one Triton program a row and block of columns, one pass over memory.

Only the steps along the axis wait for one another; rows and columns, of which a grid has tens of thousands, run side by
side. Sums are in float32 whatever is stored. Triton comes with torch's CUDA builds on Linux.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import triton  # type: ignore[import-not-found, unused-ignore]
from torch import Tensor
from triton import language as tl

_BLOCK = 128


class CudaScan(torch.autograd.Function):
    """``apply(z, candidate, initial, dim, reverse)``: see `melnet_music.model.scan.scan`."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, candidate: Tensor, initial: Tensor, dim: int, reverse: bool) -> Tensor:
        z, candidate, initial = z.contiguous(), candidate.contiguous(), initial.contiguous()
        outer, length, width = math.prod(z.shape[:dim]), z.shape[dim], math.prod(z.shape[dim + 1 :])
        states = torch.empty_like(z)
        grid = (outer, triton.cdiv(width, _BLOCK))
        _forward[grid](z, candidate, initial, states, length, width, REVERSE=reverse, BLOCK=_BLOCK)
        ctx.save_for_backward(z, candidate, initial, states)
        ctx.axis = grid, length, width, reverse
        return states

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        z, candidate, initial, states = ctx.saved_tensors
        grid, length, width, reverse = ctx.axis
        d_z, d_candidate, d_initial = torch.empty_like(z), torch.empty_like(candidate), torch.empty_like(initial)
        _backward[grid](
            z, candidate, initial, states, gradients[0].contiguous(), d_z, d_candidate, d_initial, length, width,
            REVERSE=reverse, BLOCK=_BLOCK,
        )  # fmt: skip
        return d_z, d_candidate, d_initial, None, None


@triton.jit  # type: ignore[untyped-decorator, unused-ignore]
def _forward(z, candidate, initial, states, length, width, REVERSE: tl.constexpr, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    row = tl.program_id(0).to(tl.int64)
    columns = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = columns < width
    state = tl.load(initial + row * width + columns, mask=inside, other=0.0).to(tl.float32)
    for count in range(length):
        at = length - 1 - count if REVERSE else count
        place = (row * length + at) * width + columns
        gate = tl.load(z + place, mask=inside, other=0.0).to(tl.float32)
        new = tl.load(candidate + place, mask=inside, other=0.0).to(tl.float32)
        state = state + gate * (new - state)
        tl.store(states + place, state, mask=inside)


@triton.jit  # type: ignore[untyped-decorator, unused-ignore]
def _backward(  # type: ignore[no-untyped-def]
    z, candidate, initial, states, gradient, d_z, d_candidate, d_initial, length, width,
    REVERSE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    columns = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = columns < width
    first = tl.load(initial + row * width + columns, mask=inside, other=0.0).to(tl.float32)
    carried = tl.zeros([BLOCK], tl.float32)
    for count in range(length):
        at = count if REVERSE else length - 1 - count
        earlier = at + 1 if REVERSE else at - 1
        place = (row * length + at) * width + columns
        not_first = columns < tl.where(count < length - 1, width, 0)
        before = tl.load(states + (row * length + earlier) * width + columns, mask=not_first, other=0.0).to(tl.float32)
        before = tl.where(count == length - 1, first, before)
        gate = tl.load(z + place, mask=inside, other=0.0).to(tl.float32)
        new = tl.load(candidate + place, mask=inside, other=0.0).to(tl.float32)
        total = carried + tl.load(gradient + place, mask=inside, other=0.0).to(tl.float32)
        tl.store(d_z + place, total * (new - before), mask=inside)
        tl.store(d_candidate + place, total * gate, mask=inside)
        carried = total * (1.0 - gate)
    tl.store(d_initial + row * width + columns, carried, mask=inside)
