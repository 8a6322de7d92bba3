"""The products that bench counts for its floor."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from tiny_bench import multiply_adds_of_chunk, random_weights
from tiny_models import tiny_config

from melnet_music.bench.floor import floor_jobs, floor_seconds
from melnet_music.bench.products import Product, Products, multiply_adds, products_of_chunk
from melnet_music.bench.turns import Spent, in_turn
from melnet_music.model.config import ModelConfig
from melnet_music.model.tiers import tier_grids
from melnet_music.sampling.cpu import recurrence, tier_kernels, workspace
from melnet_music.sampling.cpu.packed_tier import PackedTier, pack_tier
from melnet_music.sampling.cpu.workspace import Workspace
from melnet_music.sampling.engine import TierSharpness

MODELS = {
    "one tier": tiny_config(hidden=9),
    "nothing extracted": tiny_config(hidden=9, layers=2, future_conditioning=False, note_conditioning=False),
    "two layers": tiny_config(cell="gru", hidden=20, layers=2, centralized_hidden=20, splits=("time", "frequency")),
    "three layers": tiny_config(cell="lstm", hidden=16, layers=3, centralized_hidden=40, splits=("frequency",)),
    "minGRU": tiny_config(cell="mingru", hidden=18, layers=3, centralized_hidden=9, splits=("frequency", "time")),
    "many components": tiny_config(cell="gru", hidden=4, components=11),
}
models = pytest.mark.parametrize("config", MODELS.values(), ids=MODELS.keys())


def packed_tiers(config: ModelConfig, mel_bins: int) -> list[PackedTier]:
    weights = random_weights(config, mel_bins)
    grids = tier_grids(config, mel_bins)
    return [pack_tier(weights, config, g, grid.bins, bfloat16=False) for g, grid in enumerate(grids)]


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Products:
    """The tier's kernels, run by the interpreter, with products that only count."""
    found = Products()

    def product(weights: Any, at: int, panels: int, k: int, arena: Any, x: int, ldx: int, start: int, lds: int,
                y: int, ldy: int, rows: int) -> None:  # fmt: skip
        found[Product(rows, k, panels, fine=weights is counting["fine"])] += 1

    def short_product(weights: Any, at: int, panels: int, k: int, arena: Any, x: int, start: int, y: int) -> None:
        found[Product(1, k, panels, fine=weights is counting["fine"], chained=True)] += 1

    def nothing(*arguments: Any) -> float:
        return 0.0

    counting: dict[str, Any] = {}

    def run_tier(p: Any, rnns: Any, fine: Any, *rest: Any) -> None:
        counting["fine"] = fine
        tier_kernels.run_tier(p, rnns, fine, *rest)

    for module in (tier_kernels, recurrence):
        for name, value in list(vars(module).items()):
            if hasattr(value, "py_func"):
                monkeypatch.setattr(module, name, value.py_func)
        for name, stand_in in {"product": product, "short_product": short_product}.items():
            monkeypatch.setattr(module, name, stand_in, raising=False)
        for name in ("apart", "meet", "apply_gates", "_draw_value"):
            monkeypatch.setattr(module, name, nothing, raising=False)
    monkeypatch.setattr(workspace, "run_tier", run_tier)
    return found


@models
@pytest.mark.parametrize(("mel_bins", "frames"), [(8, 4), (104, 4), (4, 200)])
def test_the_products_listed_are_those_that_the_kernels_do(
    config: ModelConfig, mel_bins: int, frames: int, counted: Products
) -> None:
    for packed, grid in zip(packed_tiers(config, mel_bins), tier_grids(config, mel_bins), strict=True):
        length = frames // grid.stride_frames
        listed = products_of_chunk(packed, length)
        here = Workspace(packed, length, priming=False, threads=1)
        here.give(np.zeros((length, grid.bins, packed.channels), np.float32))
        counted.clear()
        here.extract(length)
        assert counted == listed["extractor"]
        counted.clear()
        here.draw(0, length, TierSharpness(), 0.0, True)
        assert counted == listed["past"] + listed["frequency_delayed"]
        counted.clear()
        here.give(
            np.zeros((length, grid.bins, packed.channels), np.float32),
            (np.zeros((length, grid.bins), np.float32), np.True_),
        )
        here.draw(0, length, TierSharpness(), 0.0, True)
        assert counted == listed["past"]


@models
@pytest.mark.parametrize(("mel_bins", "frames"), [(8, 4), (200, 8), (64, 400)])
def test_their_multiply_adds_are_those_of_the_model(config: ModelConfig, mel_bins: int, frames: int) -> None:
    for tier, packed in enumerate(packed_tiers(config, mel_bins)):
        listed = products_of_chunk(packed, frames // tier_grids(config, mel_bins)[tier].stride_frames)
        found = {stack: multiply_adds(products) for stack, products in listed.items()}
        assert found == multiply_adds_of_chunk(config, tier, mel_bins, frames)


def test_the_floor_is_the_sum_of_the_products_times() -> None:
    sizes = [Product(6, 20, 2, fine=False), Product(1, 1, 4, fine=True), Product(1, 36, 2, fine=True, chained=True)]
    spent = {size: Spent(cpu_s=seconds, wall_s=0.0) for size, seconds in zip(sizes, (1.0, 10.0, 100.0), strict=True)}
    assert floor_seconds(Counter({sizes[0]: 3, sizes[2]: 2}), spent) == 203.0
    assert floor_seconds(Counter(), spent) == 0


@pytest.mark.parametrize("bfloat16", [False, True])
def test_the_time_of_a_product_is_that_of_one(bfloat16: bool) -> None:
    """However often it is done to be measured: a thousand times the work takes longer."""
    small, large = Product(1, 4, 1, fine=False), Product(48, 400, 8, fine=False)
    chained = Product(1, 64, 2, fine=True, chained=True)
    jobs = floor_jobs({small, large, chained}, bfloat16=bfloat16)
    assert jobs.keys() == {small, large, chained}
    spent = in_turn(jobs, rounds=3)
    assert 0 < spent[small].cpu_s < spent[large].cpu_s
    assert 0 < spent[chained].cpu_s < spent[large].cpu_s
