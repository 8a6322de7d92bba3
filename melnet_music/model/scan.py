"""The minGRU recurrence over a whole axis at once.

``h[s] = h[s-1] + z[s] * (c[s] - h[s-1])``: a convex step from the old state to the candidate (Feng et al. 2024,
arXiv 2410.01201, equation for minGRU). Three forms of the same sum: a compiled loop on a CPU, a Triton kernel on CUDA
(`scan_cuda`), and recursive doubling in torch (log2 S passes) for every other device and for float64.
Tests hold them together.
"""

from __future__ import annotations

import math
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import Tensor

from melnet_music.kernel_cache import njit


def scan(z: Tensor, candidate: Tensor, initial: Tensor, dim: int, reverse: bool = False) -> Tensor:
    """Run the recurrence along one axis.

    Args:
        z: gate in 0..1, shape ``[..., S, ..., H]`` with S at ``dim``.
        candidate: same shape.
        initial: state before the first step; the shape of ``z`` without ``dim``.
        dim: axis of the recurrence, counted from the front.
        reverse: run from the last index to the first.

    Returns:
        All states, the shape of ``z``.
    """
    if z.dtype in (torch.bfloat16, torch.float16) and not (z.is_cuda and _triton_is_there()):
        return scan(z.float(), candidate.float(), initial.float(), dim, reverse).to(z.dtype)
    if z.device.type == "cpu" and z.dtype == torch.float32:
        return _CompiledScan.apply(z, candidate, initial, dim, reverse)  # type: ignore[no-any-return, no-untyped-call]
    if z.is_cuda and z.dtype != torch.float64 and _triton_is_there():
        from melnet_music.model.scan_cuda import CudaScan

        return CudaScan.apply(z, candidate, initial, dim, reverse)  # type: ignore[no-any-return, no-untyped-call]
    return _doubling_scan(z, candidate, initial, dim, reverse)


@cache
def _triton_is_there() -> bool:
    return find_spec("triton") is not None


def _doubling_scan(z: Tensor, candidate: Tensor, initial: Tensor, dim: int, reverse: bool) -> Tensor:
    if reverse:
        z, candidate = z.flip(dim), candidate.flip(dim)
    keep = 1 - z
    added = z * candidate
    first = added.narrow(dim, 0, 1) + keep.narrow(dim, 0, 1) * initial.unsqueeze(dim)
    length = z.shape[dim]
    added = torch.cat([first, added.narrow(dim, 1, length - 1)], dim)
    reach = 1
    while reach < length:
        later = length - reach
        added = torch.cat(
            [
                added.narrow(dim, 0, reach),
                added.narrow(dim, reach, later) + keep.narrow(dim, reach, later) * added.narrow(dim, 0, later),
            ],
            dim,
        )
        keep = torch.cat([keep.narrow(dim, 0, reach), keep.narrow(dim, reach, later) * keep.narrow(dim, 0, later)], dim)
        reach *= 2
    return added.flip(dim) if reverse else added


class _CompiledScan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, z: Tensor, candidate: Tensor, initial: Tensor, dim: int, reverse: bool) -> Tensor:
        shape = z.shape
        outer, length = math.prod(shape[:dim]), shape[dim]
        states = torch.empty(shape, dtype=z.dtype)
        z, candidate = z.contiguous(), candidate.contiguous()
        _forward(
            *(_rows(tensor, outer, length) for tensor in (z, candidate)),
            initial.detach().reshape(outer, -1).numpy(),
            _rows(states, outer, length),
            reverse,
        )
        ctx.save_for_backward(z, candidate, initial, states)
        ctx.axis = outer, length, reverse
        return states

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        z, candidate, initial, states = ctx.saved_tensors
        outer, length, reverse = ctx.axis
        d_z, d_candidate = torch.empty_like(z), torch.empty_like(candidate)
        d_initial = torch.empty(initial.shape, dtype=initial.dtype)
        given = (z, candidate, states, gradients[0].contiguous(), d_z, d_candidate)
        _backward(
            *(_rows(tensor, outer, length) for tensor in given),
            initial.detach().reshape(outer, -1).numpy(),
            d_initial.view(outer, -1).numpy(),
            reverse,
        )
        return d_z, d_candidate, d_initial, None, None


def _rows(tensor: Tensor, outer: int, length: int) -> np.ndarray[Any, Any]:
    rows: np.ndarray[Any, Any] = tensor.detach().view(outer, length, -1).numpy()
    return rows


@njit(cache=True, nogil=True, fastmath=True)  # type: ignore[untyped-decorator]
def _forward(z: Any, candidate: Any, initial: Any, states: Any, reverse: bool) -> None:
    outer, length, width = z.shape
    for row in range(outer):
        before = initial[row]
        for count in range(length):
            at = length - 1 - count if reverse else count
            gate, new, out = z[row, at], candidate[row, at], states[row, at]
            for i in range(width):
                out[i] = before[i] + gate[i] * (new[i] - before[i])
            before = out


@njit(cache=True, nogil=True, fastmath=True)  # type: ignore[untyped-decorator]
def _backward(
    z: Any, candidate: Any, states: Any, gradient: Any, d_z: Any, d_candidate: Any, initial: Any, d_initial: Any,
    reverse: bool,
) -> None:  # fmt: skip
    outer, length, width = z.shape
    for row in range(outer):
        carried = d_initial[row]
        carried[:] = 0.0
        for count in range(length):
            at = count if reverse else length - 1 - count
            earlier = at + 1 if reverse else at - 1
            before = initial[row] if count == length - 1 else states[row, earlier]
            gate, new, here = z[row, at], candidate[row, at], gradient[row, at]
            out_z, out_new = d_z[row, at], d_candidate[row, at]
            for i in range(width):
                total = here[i] + carried[i]
                out_z[i] = total * (new[i] - before[i])
                out_new[i] = total * gate[i]
                carried[i] = total * (1.0 - gate[i])
