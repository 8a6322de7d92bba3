from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tiny_models import MEL_BINS, tiny_config, tiny_model

from melnet_music.model.conditioning import NOTHING_KNOWN, Conditioning, tier_channels
from melnet_music.model.config import ModelConfig
from melnet_music.model.tiers import decompose

FRAMES = 8
CONFIGS = {
    "one tier": tiny_config(),
    "all": tiny_config(splits=("frequency", "time")),
    "kept first": tiny_config(splits=("time", "frequency"), split_keeps="first"),
    "future only": tiny_config(splits=("time",), note_conditioning=False),
    "notes only": tiny_config(splits=("time",), future_conditioning=False),
    "pooled notes": tiny_config(splits=("frequency", "time"), note_detail="pooled"),
    "none": tiny_config(splits=("time",), future_conditioning=False, note_conditioning=False),
}
GENERATOR = np.random.default_rng(0)
GRID = GENERATOR.standard_normal((2, FRAMES, MEL_BINS))
KNOWN = Conditioning(
    GENERATOR.standard_normal(GRID.shape),
    np.tile(np.arange(FRAMES) % 4 >= 2, (2, 1)).astype(np.float64),
    GENERATOR.random((*GRID.shape, 2)),
)


def zeros(*shape: int) -> NDArray[np.float64]:
    return np.zeros(shape)


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
@pytest.mark.parametrize(
    "known",
    [NOTHING_KNOWN, Conditioning(KNOWN.future, KNOWN.future_mask), Conditioning(notes=KNOWN.notes), KNOWN],
    ids=["nothing", "future", "notes", "both"],
)
def test_channels_of_arrays_are_those_of_tensors(config: ModelConfig, known: Conditioning[NDArray[np.float64]]) -> None:
    """For every number of tiers that are known so far, up to the first tier that is not."""
    model, tiers = tiny_model(config), decompose(GRID, config)
    for count in range(len(tiers) + 1):
        own = tiers[:count]
        found = tier_channels(own, known, config, MEL_BINS, 2, FRAMES, zeros)
        tensors = model.channels([torch.from_numpy(part) for part in own], known.map(torch.from_numpy), 2, FRAMES)
        assert len(found) == min(count + 1, len(tiers))
        for g, (array, tensor) in enumerate(zip(found, tensors, strict=True)):
            assert array.shape == (*tiers[g].shape, model.tier(g).channels)
            assert np.array_equal(array, tensor.numpy())


def test_the_future_is_shown_only_where_its_mask_is_set() -> None:
    config = CONFIGS["one tier"]
    [channels] = tier_channels([], KNOWN, config, MEL_BINS, 2, FRAMES, zeros)
    value, mask = channels[..., 0], channels[..., 1]
    assert np.array_equal(mask, np.broadcast_to(KNOWN.future_mask[..., None], GRID.shape))
    assert np.array_equal(value, np.where(mask, KNOWN.future, 0))
    assert np.array_equal(channels[..., 2:], KNOWN.notes)


def test_a_span_of_what_is_known() -> None:
    span = KNOWN.frames(2, 5)
    for part, whole in ((span.future, KNOWN.future), (span.future_mask, KNOWN.future_mask), (span.notes, KNOWN.notes)):
        assert np.array_equal(part, whole[:, 2:5])
    empty = NOTHING_KNOWN.frames(2, 5)
    assert empty.future is empty.future_mask is empty.notes is None
