from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from tiny_models import tiny_config

from melnet_music.model.config import ModelConfig
from melnet_music.model.tiers import (
    assemble,
    decompose,
    decompose_folded,
    decompose_pooled,
    interleave,
    split,
    tier_grids,
)

models = st.builds(
    lambda splits, keeps: tiny_config(splits=tuple(splits), split_keeps=keeps),
    st.lists(st.sampled_from(["time", "frequency"]), max_size=5),
    st.sampled_from(["first", "last"]),
)


def mel_bins_of(model: ModelConfig, lowest: int) -> int:
    return int(lowest * 2 ** model.splits.count("frequency"))


def numbered(model: ModelConfig, groups: int, lowest: int, *trailing: int) -> NDArray[Any]:
    """A full grid of two rows in which every cell has its own number."""
    shape = 2, groups * model.frames_per_group, mel_bins_of(model, lowest), *trailing
    return np.arange(prod(shape)).reshape(shape)


sizes = st.integers(1, 3)


@given(model=models, groups=sizes, lowest=sizes, trailing=st.sampled_from([(), (2,)]))
def test_assemble_undoes_decompose(model: ModelConfig, groups: int, lowest: int, trailing: tuple[int, ...]) -> None:
    grid = numbered(model, groups, lowest, *trailing)
    assert np.array_equal(assemble(decompose(grid, model), model)[-1], grid)


@given(model=models, groups=sizes, lowest=sizes, trailing=st.sampled_from([(), (2,)]))
def test_tensors_are_taken_as_arrays_are(
    model: ModelConfig, groups: int, lowest: int, trailing: tuple[int, ...]
) -> None:
    grid = numbered(model, groups, lowest, *trailing)
    tensor = torch.from_numpy(grid)
    pairs = [
        *zip(decompose(tensor, model), decompose(grid, model), strict=True),
        *zip(decompose_pooled(tensor, model), decompose_pooled(grid, model), strict=True),
        *zip(assemble(decompose(tensor, model), model), assemble(decompose(grid, model), model), strict=True),
    ]
    for of_tensor, of_array in pairs:
        assert isinstance(of_array, np.ndarray)
        assert torch.equal(of_tensor, torch.from_numpy(of_array))


@given(model=models, groups=sizes, lowest=sizes)
def test_every_cell_is_in_one_tier_of_the_declared_size(model: ModelConfig, groups: int, lowest: int) -> None:
    grid = numbered(model, groups, lowest)
    own, grids = decompose(grid, model), tier_grids(model, grid.shape[2])
    assert [tuple(part.shape) for part in own] == [(2, grid.shape[1] // g.stride_frames, g.bins) for g in grids]
    assert np.array_equal(np.sort(np.concatenate([part.flatten() for part in own])), grid.flatten())


@given(model=models, groups=sizes, lowest=sizes)
def test_a_tier_is_conditioned_on_a_grid_of_its_own_size(model: ModelConfig, groups: int, lowest: int) -> None:
    """And its cells are the other halves of pairs with the coarse cells at the same places."""
    own = decompose(numbered(model, groups, lowest), model)
    grids = assemble(own, model)
    for fine, coarse, finer, axis in zip(own[1:], grids, grids[1:], model.splits, strict=False):
        assert fine.shape == coarse.shape
        assert np.array_equal(interleave(coarse, fine, axis, model.split_keeps), finer)
        assert all(map(np.array_equal, split(finer, axis, model.split_keeps), (coarse, fine)))


@given(model=models, chunks=st.lists(sizes, min_size=1, max_size=4), lowest=sizes)
def test_chunks_decompose_as_the_whole(model: ModelConfig, chunks: list[int], lowest: int) -> None:
    grid = numbered(model, sum(chunks), lowest)
    edges = np.cumsum(chunks)[:-1] * model.frames_per_group
    parts = [decompose(part, model) for part in np.split(grid, edges, 1)]
    for whole, *pieces in zip(decompose(grid, model), *parts, strict=True):
        assert np.array_equal(np.concatenate(pieces, 1), whole)


@given(model=models, groups=sizes, lowest=sizes, data=st.data())
def test_the_pooled_first_tier_sees_every_note(
    model: ModelConfig, groups: int, lowest: int, data: st.DataObject
) -> None:
    """A note in one cell is in the first tier's cell that stands for its group, and in no other."""
    grid = numbered(model, groups, lowest)[:1]
    at = data.draw(st.integers(0, grid.size - 1))
    first = decompose_pooled((grid == at).astype(np.float32), model)[0]
    frame, mel_bin = divmod(at, grid.shape[2])
    expected = np.zeros_like(first)
    expected[0, frame // model.frames_per_group, mel_bin * first.shape[2] // grid.shape[2]] = 1
    assert np.array_equal(first, expected)


@given(model=models, groups=sizes, lowest=sizes)
def test_pooling_takes_the_maximum_of_the_pairs_that_a_cell_stands_for(
    model: ModelConfig, groups: int, lowest: int
) -> None:
    grid = numbered(model, groups, lowest)
    own, pooled = decompose(grid, model), decompose_pooled(grid, model)
    assert np.array_equal(pooled[-1] if model.splits else pooled[0], own[-1])
    for plain, most in zip(own, pooled, strict=True):
        assert (most >= plain).all()
    assert pooled[0].max() == grid.max()


@given(model=models, groups=sizes, lowest=sizes)
def test_folding_shows_every_tier_all_that_its_bins_stand_for(model: ModelConfig, groups: int, lowest: int) -> None:
    """The strongest of a bin's channels is what pooling leaves of them; the first tier has all of the grid."""
    grid = numbered(model, groups, lowest)[..., None]
    folded, pooled = decompose_folded(grid, model), decompose_pooled(grid, model)
    for all_of_them, strongest in zip(folded, pooled, strict=True):
        assert np.array_equal(all_of_them.max(-1, keepdims=True), strongest)
    assert np.array_equal(np.sort(folded[0], axis=None), np.sort(grid, axis=None))


@given(model=models, groups=sizes, lowest=sizes)
def test_the_coarse_frame_of_a_pair_is_the_one_that_the_model_keeps(
    model: ModelConfig, groups: int, lowest: int
) -> None:
    """Kept last, every chunk ends on a frame of the first tier: finer frames lie between two known ones."""
    grid = numbered(model, groups, lowest)
    group = model.frames_per_group
    frames = np.broadcast_to(np.arange(grid.shape[1])[None, :, None], grid.shape)
    first_tier = decompose(frames, model)[0][0, :, 0]
    edge = group - 1 if model.split_keeps == "last" else 0
    assert np.array_equal(first_tier, np.arange(edge, grid.shape[1], group))
