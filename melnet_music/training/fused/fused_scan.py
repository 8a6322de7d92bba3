"""The minGRU recurrences of one layer together: one product makes all their gates, one call runs them along their axes.

A tier in training spends most of its time on reading and writing the gates and candidates of three or four recurrences
over one grid. Here they come out of one product, ``raw [B, T, F, 2 H R]``, and each recurrence writes its states where
the next product reads them, ``[B, T, F, H R]``. On CUDA with Triton the sigmoid is taken in the kernel, and nothing
but these two is kept for the way back (`melnet_music.training.fused.fused_scan_cuda`). Everywhere else it is made of
`melnet_music.model.scan`, the same sums.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from typing import Literal

import torch
from torch import Tensor

from melnet_music.model.scan import scan

Direction = Literal["higher", "lower", "later", "earlier"]
"""Along frequency both ways; along time both ways. ``earlier`` starts anew at the end of each chunk."""


def fused_scan(raw: Tensor, directions: Sequence[Direction], chunk: int | None, starts: Sequence[Tensor]) -> Tensor:
    """Run R recurrences over one grid side by side.

    Args:
        raw: ``[B, T, F, 2 H R]``, recurrence after recurrence the logits of its gate and its candidates.
        directions: of each recurrence.
        chunk: ``earlier`` starts anew after so many frames, the last chunk may be shorter; None: never.
        starts: of each recurrence the state before its first step: ``[H]``, or for ``later`` also ``[B, F, H]``.

    Returns:
        All states, ``[B, T, F, H R]``, in the precision of ``raw``.

    Raises:
        ValueError: the shapes do not fit each other.
    """
    columns = 2 * len(directions)
    if raw.ndim != 4 or not directions or raw.shape[-1] % columns or len(starts) != len(directions):
        raise ValueError(
            f"{len(directions)} recurrences with {len(starts)} starts over a grid {list(raw.shape)}, "
            f"expected as many starts and [B, T, F, a multiple of {columns}]"
        )
    if raw.dtype != torch.float64 and _kernels_run_on(raw.device.type):
        from melnet_music.training.fused.fused_scan_cuda import FusedScan

        return FusedScan.apply(raw, tuple(directions), chunk, *starts)  # type: ignore[no-any-return, no-untyped-call]
    parts = raw.chunk(columns, -1)
    states = [
        _one(parts[2 * number], parts[2 * number + 1], direction, chunk, start)
        for number, (direction, start) in enumerate(zip(directions, starts, strict=True))
    ]
    return torch.cat(states, -1)


@cache
def _kernels_run_on(device: str) -> bool:
    """Whether Triton is there; its interpreter, which tests use, takes tensors of the CPU."""
    interpreted = os.environ.get("TRITON_INTERPRET") == "1"
    return (device == "cuda" or interpreted) and find_spec("triton") is not None


def _one(logits: Tensor, candidate: Tensor, direction: Direction, chunk: int | None, start: Tensor) -> Tensor:
    B, T, F, H = logits.shape
    z = torch.sigmoid(logits)
    start = start.to(z.dtype)
    if direction in ("higher", "lower"):
        return scan(z, candidate, start.expand(B, T, H), 2, direction == "lower")
    if direction == "later":
        return scan(z, candidate, start.expand(B, F, H), 1)
    whole = T if chunk is None or chunk >= T else T // chunk * chunk
    length = T if whole == T and (chunk is None or chunk >= T) else chunk or T
    parts = []
    if whole:
        cut = (B * (whole // length), length, F, H)
        gates, new = (grid[:, :whole].reshape(cut) for grid in (z, candidate))
        parts.append(scan(gates, new, start.expand(cut[0], F, H), 1, True).reshape(B, whole, F, H))
    if whole < T:
        parts.append(scan(z[:, whole:], candidate[:, whole:], start.expand(B, F, H), 1, True))
    return torch.cat(parts, 1)
