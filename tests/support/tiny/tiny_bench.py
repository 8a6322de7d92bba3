"""What tests of bench measure: a tiny preset, and what its measurement has to hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from melnet_music.model.conditioning import channel_count
from melnet_music.model.config import ModelConfig
from melnet_music.model.parameters import parameter_shapes
from melnet_music.model.tiers import tier_grids

PRESET = """
title = "Tiny"
licence = "CC0-1.0"
sound = { mel_bins = 8 }
sampling = { chunk_frames = 16, bias = 0.5 }

[model]
cell = "gru"
components = 3
splits = ["time"]
tiers = [{ hidden = 20, layers = 2, centralized_hidden = 8 }, { hidden = 8, layers = 1 }]
"""
COMMON = {
    "preset", "digest", "engine", "threads", "processors", "chunk_frames", "chunk_ms", "real_time_factor",
    "real_time_factor_with_vocoder", "cpu_s_per_s_of_sound", "cores_at_hand", "priming_factor",
    "priming_factor_by_threads", "first_chunk_ms", "first_chunk_worst_ms", "first_chunk_by_threads",
    "microseconds_per_bin", "growth", "tiers", "peak_memory_mib", "warm_start_s", "warm_start",
}  # fmt: skip
COMPILED_ONLY = {
    "floor_fraction", "floor", "speedup_over_reference", "max_difference_from_reference", "against_reference",
}  # fmt: skip


def random_weights(config: ModelConfig, mel_bins: int) -> dict[str, Any]:
    random = np.random.default_rng(0)
    shapes = parameter_shapes(config, mel_bins).items()
    weights = {name: (0.2 * random.standard_normal(shape)).astype(np.float32) for name, shape in shapes}
    return {**weights, "mean": np.zeros(mel_bins, np.float32), "deviation": np.ones(mel_bins, np.float32)}


def up(size: int, step: int = 16) -> int:
    return -(-size // step) * step


def multiply_adds_of_chunk(config: ModelConfig, tier: int, mel_bins: int, frames: int) -> dict[str, int]:
    """From the model's own sizes: a bin goes through so many matrices in each stack."""
    shape, grid = config.tiers[tier], tier_grids(config, mel_bins)[tier]
    gates, state = {"mingru": (2, 0), "gru": (3, 1), "lstm": (4, 1)}[config.cell]
    hidden, width, layers = up(shape.hidden), up(shape.centralized_hidden), shape.layers
    channels, mixture = channel_count(config, tier), up(3 * config.components)
    length = frames // grid.stride_frames
    recurrent = state * hidden * gates * hidden
    extractor = 4 * (channels * gates * hidden + recurrent) + 4 * hidden * hidden if channels else 0
    past = hidden + layers * (3 * (hidden * gates * hidden + recurrent) + 3 * hidden * hidden)
    own_projection = width * hidden * (shape.centralized_hidden != shape.hidden)
    central = grid.bins * width + layers * ((1 + state) * gates * width * width + own_projection)
    read = up(1 + (1 if layers == 1 else 2) * hidden, 4)
    later = (layers - 1) * (hidden * gates * hidden + (layers > 2) * hidden * hidden)
    frequency_delayed = layers * hidden * gates * hidden + hidden * mixture
    frequency_delayed += layers * gates * hidden + later + layers * recurrent + read * mixture
    return {
        "extractor": length * grid.bins * extractor,
        "past": length * (grid.bins * past + (central if width else 0)),
        "frequency_delayed": length * grid.bins * frequency_delayed,
    }


def numbers(value: Any, name: str = "") -> Iterator[tuple[str, float]]:
    """All numbers in plain values, by the innermost name."""
    if isinstance(value, dict):
        for key, inside in value.items():
            yield from numbers(inside, key)
    elif isinstance(value, list):
        for inside in value:
            yield from numbers(inside, name)
    elif isinstance(value, int | float):
        yield name, value
