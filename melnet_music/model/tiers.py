"""The multiscale grid: which bins belong to which tier (MelNet, section 6).

A split parts a grid ``[B, T, F, ...]`` in two along time or frequency; the kept half is the coarser grid, the other
half is what the finer tier generates. Undoing the splits from the first tier up gives the full grid back. Grids are
numpy arrays or torch tensors.
"""

from __future__ import annotations

from typing import NamedTuple

from melnet_music.model.arrays import Array, namespace
from melnet_music.model.config import Axis, ModelConfig


class TierGrid(NamedTuple):
    """Where one tier's bins lie."""

    stride_frames: int
    """Full-grid frames for each of the tier's frames."""
    bins: int
    """Bins in each of the tier's frames."""


def tier_grids(model: ModelConfig, mel_bins: int) -> list[TierGrid]:
    """The grid of every tier, first tier first."""
    stride, bins, grids = 1, mel_bins, []
    for axis in reversed(model.splits):
        stride, bins = (stride * 2, bins) if axis == "time" else (stride, bins // 2)
        grids.append(TierGrid(stride, bins))
    grids.append(TierGrid(stride, bins))
    return grids[::-1]


def split(grid: Array, axis: Axis, keeps: str) -> tuple[Array, Array]:
    """``[B, T, F, ...]`` -> kept half, other half. Only time splits may keep the last; frequency keeps the first."""
    if axis == "frequency":
        return grid[:, :, 0::2], grid[:, :, 1::2]
    first, last = grid[:, 0::2], grid[:, 1::2]
    return (last, first) if keeps == "last" else (first, last)


def interleave(kept: Array, other: Array, axis: Axis, keeps: str) -> Array:
    """The inverse of `split`."""
    along = 2 if axis == "frequency" else 1
    pair = [other, kept] if axis == "time" and keeps == "last" else [kept, other]
    before, size, after = kept.shape[:along], kept.shape[along], kept.shape[along + 1 :]
    whole: Array = namespace(kept).stack(pair, along + 1).reshape(*before, 2 * size, *after)
    return whole


def decompose(grid: Array, model: ModelConfig) -> list[Array]:
    """Full grid ``[B, T, M, ...]`` -> each tier's own bins ``[B, T_g, F_g, ...]``, first tier first."""
    own = []
    for axis in reversed(model.splits):
        grid, other = split(grid, axis, model.split_keeps)
        own.append(other)
    own.append(grid)
    return own[::-1]


def decompose_pooled(grid: Array, model: ModelConfig) -> list[Array]:
    """As `decompose`, but a kept bin takes the maximum of the pair it stands for.

    For note maps: the first tier must not miss a note that starts between its frames.
    """
    own = []
    for axis in reversed(model.splits):
        kept, other = split(grid, axis, model.split_keeps)
        own.append(other)
        grid = namespace(grid).maximum(kept, other)
    own.append(grid)
    return own[::-1]


def decompose_folded(grid: Array, model: ModelConfig) -> list[Array]:
    """As `decompose`, but a kept bin takes the channels of both of the pair: nothing of ``[B, T, M, C]`` is lost.

    The first tier has C times 2^(splits) channels, each later tier half of the one before.
    """
    own = []
    for axis in reversed(model.splits):
        kept, other = split(grid, axis, model.split_keeps)
        own.append(other)
        grid = namespace(grid).concatenate([kept, other], -1)
    own.append(grid)
    return own[::-1]


def assemble(own: list[Array], model: ModelConfig) -> list[Array]:
    """Each tier's own bins -> the grid after each tier. The last is the full grid: the inverse of `decompose`.

    The grid before a tier is what that tier is conditioned on.
    """
    grids = own[:1]
    for axis, other in zip(model.splits[: len(own) - 1], own[1:], strict=True):
        grids.append(interleave(grids[-1], other, axis, model.split_keeps))
    return grids
