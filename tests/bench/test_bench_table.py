"""The table of models of all sizes."""

from __future__ import annotations

import math
from contextlib import closing
from dataclasses import asdict

import numpy as np
import pytest
from tiny_bench import numbers

from melnet_music.bench import table
from melnet_music.bench.material import Material
from melnet_music.bench.takes import ChunkStream
from melnet_music.model.config import VALUE_LIMIT, CellName, ModelConfig
from melnet_music.model.parameters import parameter_shapes
from melnet_music.sampling import ENGINES

SMALL = table.Size("mingru", 16, (2, 1, 1, 1, 1), 8)


def test_the_table_is_all_combinations() -> None:
    assert len(table.sizes()) == len(set(table.sizes())) == 2 * 4 * 2 * 2
    assert table.sizes(["gru"], [16, 32], [(1, 1, 1, 1, 1)], [8]) == [
        table.Size("gru", 16, (1, 1, 1, 1, 1), 8),
        table.Size("gru", 32, (1, 1, 1, 1, 1), 8),
    ]


@pytest.mark.parametrize("cell", ["gru", "mingru", "lstm"])
def test_a_random_preset_is_whole_and_what_it_draws_stays_small(cell: CellName) -> None:
    preset = table.random_preset(table.Size(cell, 48, (3, 2, 2, 1, 1), 32))
    wanted = parameter_shapes(preset.config.model, 32)
    assert {name: array.shape for name, array in preset.weights.items()} == wanted
    assert all(array.dtype == np.float32 for array in preset.weights.values())
    first, *others = preset.config.model.tiers
    assert first.centralized_hidden == 48
    assert all(tier.hidden == 48 and not tier.centralized_hidden for tier in others)
    engine = ENGINES["cpu"](preset, 1)
    material = Material(preset)
    with closing(engine), closing(ChunkStream(engine, engine.init_state(), material.take())) as stream:
        frames = np.concatenate([stream.next().frames for _ in range(20)], axis=1)
    assert 0 < np.abs(frames).max() < VALUE_LIMIT / 2
    assert not np.array_equal(frames[:, -8:], frames[:, -16:-8])


def test_a_row_has_a_figure_for_every_engine_and_number_of_threads() -> None:
    row = table.measure_row(SMALL)
    assert row.parameters == sum(math.prod(shape) for shape in parameter_shapes(small_config(), 8).values())
    assert {name: list(factors) for name, factors in row.real_time_factor.items()} == {
        "cpu": ["1", "2"],
        "cpu-bf16": ["1", "2"],
    }
    assert all(math.isfinite(number) and number > 0 for _, number in numbers(asdict(row)["real_time_factor"]))
    lines = table.markdown([row, row]).splitlines()
    assert len(lines) == 4
    assert len({line.count("|") for line in lines}) == 1
    assert lines[2].startswith("| mingru | 16 | 2-1-1-1-1 | 8 | ")


def small_config() -> ModelConfig:
    return table.random_preset(SMALL).config.model
