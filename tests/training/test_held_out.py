"""Held-out likelihood: known densities give their entropies, and units are those of the recording."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tiny_models import MEL_BINS, tiny_config, tiny_model

from melnet_music.model.network import MelNet
from melnet_music.training.data.features import Work
from melnet_music.training.held_out import (
    EXCERPT_FRAMES,
    excerpt_nats,
    excerpt_places,
    excerpts,
    gap_nats,
    held_out_nats,
)

CONFIG = tiny_config(splits=("time",), hidden=8, centralized_hidden=8)


def work_of(frames: NDArray[np.float32]) -> Work:
    return Work("made", frames, [])


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def gaussian_entropy(sigma: float) -> float:
    return 0.5 * math.log(2 * math.pi * math.e * sigma**2)


def gaussian_works(frames: int, count: int = 2, sigma: float = 0.7) -> list[Work]:
    random = np.random.default_rng(1)
    return [work_of((sigma * random.standard_normal((frames, 8)) - 4).astype(np.float32)) for _ in range(count)]


def test_held_out_nats_are_the_same_every_time_and_in_units_of_the_recording() -> None:
    """Whatever the normalisation: nats are per ln magnitude, not per deviation."""
    works = gaussian_works(EXCERPT_FRAMES * 3)
    torch.manual_seed(0)
    model = MelNet(CONFIG, MEL_BINS)
    first, again = (held_out_nats(model, 1, works, 8) for _ in range(2))
    assert first == again
    for parameter in model.parameters():
        parameter.data.zero_()
    k = CONFIG.components
    model.tier(1).outlet.bias.data[2 * k :] = math.log(math.e**4 - 1)  # sigma 1: a standard normal, whatever is seen
    stretched = [work_of(3 * work.log_mel + 5) for work in works]
    plain, _ = held_out_nats(model, 1, works, 8)
    model.mean.fill_(5.0)
    model.deviation.fill_(3.0)
    assert held_out_nats(model, 1, stretched, 8)[0] == pytest.approx(plain + math.log(3), abs=1e-4)


def test_held_out_nats_of_a_standard_normal_are_its_entropy() -> None:
    works = [work_of(w.log_mel + 4) for w in gaussian_works(EXCERPT_FRAMES * 8, sigma=1.0)]
    torch.manual_seed(0)
    model = MelNet(CONFIG, MEL_BINS)
    for parameter in model.parameters():
        parameter.data.zero_()
    k = CONFIG.components
    for tier in (0, 1):
        model.tier(tier).outlet.bias.data[2 * k :] = math.log(math.e**4 - 1)
        assert held_out_nats(model, tier, works, None)[0] == pytest.approx(gaussian_entropy(1.0), abs=0.02)


def test_excerpts_are_spread_over_all_works() -> None:
    numbered = [work_of(np.full((EXCERPT_FRAMES * 4 + 7, 8), i, np.float32)) for i in range(12)]
    model = MelNet(CONFIG, MEL_BINS)
    clips = list(excerpts(numbered, model, count=12))
    assert [int(clip[0, 0, 0]) for clip in clips] == list(range(12))
    assert {tuple(clip.shape) for clip in clips} == {(1, EXCERPT_FRAMES, 8)}


def test_excerpts_of_short_works_are_shorter() -> None:
    model = MelNet(CONFIG, MEL_BINS)
    [clip] = excerpts(gaussian_works(EXCERPT_FRAMES - 1, count=1), model)
    assert clip.shape[1] == EXCERPT_FRAMES - 16
    with pytest.raises(ValueError, match="the longest held-out recording has 63 frames, and 64 are needed"):
        held_out_nats(model, 0, gaussian_works(63), None)


@pytest.mark.parametrize("tier", [0, 1, 2])
def test_a_gap_of_one_chunk_without_its_future_is_as_likely_as_that_chunk(tier: int) -> None:
    model = tiny_model(tiny_config(splits=("time", "frequency"), centralized_hidden=4))
    x = noise(1, 32, MEL_BINS)
    stride = model.grids[tier].stride_frames
    gap = gap_nats(model, tier, iter([x]), (16, 24), 0, 8)
    until, before = (excerpt_nats(model, tier, iter([x[:, :stop]]), 8) for stop in (24, 16))
    assert gap.bins[0] == 8 // stride * model.grids[tier].bins
    assert gap.nats[0] == pytest.approx(until.nats[0] - before.nats[0], rel=1e-9)


def test_only_a_given_future_makes_a_difference_to_a_gap() -> None:
    model = tiny_model(tiny_config(splits=("time",)))
    x = noise(1, 32, MEL_BINS)
    other = x.clone()
    other[:, 24:] += 1
    for tier in (0, 1):
        nats = [
            [gap_nats(model, tier, iter([clip]), (16, 24), future, 8).nats[0] for clip in (x, other)]
            for future in (0, 8)
        ]
        assert nats[0][0] == nats[0][1]
        assert abs(nats[1][0] - nats[1][1]) > 1e-6
        assert abs(nats[1][0] - nats[0][0]) > 1e-6


def test_given_notes_are_seen_clip_by_clip() -> None:
    model = tiny_model(tiny_config(splits=("time",)))
    clips = noise(2, 1, 16, MEL_BINS)
    notes = torch.zeros(2, 1, 16, MEL_BINS, 2, dtype=torch.float64)
    free = excerpt_nats(model, 1, iter(clips), 8)
    notes[1, :, 8:, 3] = 1
    given = excerpt_nats(model, 1, iter(clips), 8, iter(notes))
    assert given.nats[0] == free.nats[0]
    assert given.nats[1] != free.nats[1]


def test_sums_of_tiers_are_of_all_their_bins() -> None:
    """Loud: the bins of value 0 in normalised units, ln 1; the others lie at ln 1e-5."""
    model = tiny_model(tiny_config(splits=("time",)))
    x = torch.full((1, 16, MEL_BINS), math.log(1e-5), dtype=torch.float64)
    x[:, :4] = 0
    tiers = [excerpt_nats(model, tier, iter([x]), None) for tier in (0, 1)]
    both = tiers[0] + tiers[1]
    assert both.bins[0] == x.numel()
    assert both.loud_bins[0] == 4 * MEL_BINS
    logs = model.log_prob(x)
    assert both.per_bin == pytest.approx(-sum(part.sum().item() for part in logs) / x.numel())
    loud = -sum(part[:, :2].sum().item() for part in logs)
    assert both.per_loud_bin == pytest.approx(loud / (4 * MEL_BINS))


@pytest.mark.parametrize("count", [5, 7, 100])
def test_any_number_of_excerpts_reaches_from_the_first_to_the_last_work(count: int) -> None:
    works = [work_of(np.zeros((EXCERPT_FRAMES * 2, 8), np.float32)) for _ in range(6)]
    places = excerpt_places(works, count)
    assert len({(id(work), start) for work, start in places}) == min(count, 12)
    assert places[0][0] is works[0]
    assert places[-1][0] is works[5] if count > 6 else works[4]
