"""Real-time factors of the ``cpu`` engine over sizes of models: what fits into which machine."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from melnet_music.bench.material import Material
from melnet_music.bench.takes import seconds_per_chunk
from melnet_music.bench.turns import in_turn
from melnet_music.model.config import CellName, parse_preset_config
from melnet_music.model.parameters import parameter_shapes
from melnet_music.model.preset import Preset, Weights
from melnet_music.sampling import ENGINES

CELLS: tuple[CellName, ...] = ("gru", "mingru")
HIDDEN = (128, 192, 256, 384)
MEL_BINS = (128, 256)
LAYERS = ((6, 3, 2, 2, 2), (2, 1, 1, 1, 1))
ENGINE_NAMES = ("cpu", "cpu-bf16")
THREADS = (1, 2)

_SPLITS = ["frequency", "time", "frequency", "time"]
_ROUNDS, _AT_MOST_S = 2, 0.6
"""Measurements of every figure, and how long each goes on, but for three chunks at least."""


@dataclass(frozen=True)
class Size:
    """A model with the same ``hidden`` in all stacks of all tiers, the centralized stack in the first."""

    cell: CellName
    hidden: int
    layers: tuple[int, ...]
    """By tier."""
    mel_bins: int


@dataclass(frozen=True)
class Row:
    """One size's real-time factors of sampling (wall time, medians)."""

    size: Size
    parameters: int
    real_time_factor: dict[str, dict[str, float]]
    """By engine, then by threads."""


def sizes(
    cells: Sequence[CellName] = CELLS, hidden: Sequence[int] = HIDDEN, layers: Sequence[tuple[int, ...]] = LAYERS,
    mel_bins: Sequence[int] = MEL_BINS,
) -> list[Size]:  # fmt: skip
    """All combinations."""
    return list(itertools.starmap(Size, itertools.product(cells, hidden, layers, mel_bins)))


def measure_row(size: Size, engine_names: Sequence[str] = ENGINE_NAMES) -> Row:
    """The engines on all numbers of threads, in turn.

    Raises:
        ValueError: no such engine, or a size that no preset can have.
    """
    if unknown := set(engine_names) - set(ENGINES):
        raise ValueError(f"no engine {unknown.pop()!r}; there are: {', '.join(ENGINES)}")
    preset = random_preset(size)
    material = Material(preset)
    with ExitStack() as opened:
        engines = {
            (name, threads): opened.enter_context(closing(ENGINES[name](preset, threads)))
            for name in engine_names
            for threads in THREADS
        }
        jobs = {
            key: partial(seconds_per_chunk, engine, material, engine.init_state(), _AT_MOST_S)
            for key, engine in engines.items()
        }
        spent = in_turn(jobs, _ROUNDS, warm_up=False)  # every job warms up on its own
    return Row(
        size,
        sum(array.size for array in preset.weights.values()),
        {
            name: {str(threads): material.chunk_s / spent[name, threads].wall_s for threads in THREADS}
            for name in engine_names
        },
    )


def random_preset(size: Size) -> Preset:
    """A model of this size whose values stay as large as those of a trained one. It is on no disk.

    Raises:
        ValueError: no preset can have this size.
    """
    tiers = [{"hidden": size.hidden, "layers": count} for count in size.layers]
    tiers[0]["centralized_hidden"] = size.hidden
    name = f"{size.cell} {size.hidden} {'-'.join(map(str, size.layers))} {size.mel_bins}"
    raw = {
        "title": name,
        "licence": "none",
        "sound": {"mel_bins": size.mel_bins},
        "model": {"cell": size.cell, "splits": _SPLITS, "tiers": tiers},
    }
    config = parse_preset_config(raw, f"a model of this size ({name})")
    random = np.random.default_rng(0)
    weights: Weights = {}
    for parameter, shape in parameter_shapes(config.model, size.mel_bins).items():
        # a sum of K products with weights of 1 / sqrt(K) is as large as its inputs
        scale = shape[1] ** -0.5 if parameter.endswith(("weight", "weight_ih_l0", "weight_hh_l0")) else 0.1
        if ".outlet." in parameter and "extractor" not in parameter:
            scale *= 0.1  # what is drawn comes back as input: it must not grow on the way
        weights[parameter] = random.standard_normal(shape, np.float32) * np.float32(scale)
    weights["mean"], weights["deviation"] = np.zeros(size.mel_bins, np.float32), np.ones(size.mel_bins, np.float32)
    return Preset(name, Path(name), config, weights, digest="")


def markdown(rows: Sequence[Row]) -> str:
    """One line a size."""
    columns = [(name, threads) for name in rows[0].real_time_factor for threads in rows[0].real_time_factor[name]]
    heads = ["cell", "hidden", "layers", "mel bins", "million weights"]
    heads += [f"{name}, {threads} thread{'s' * (threads != '1')}" for name, threads in columns]
    lines = [heads, ["---"] * 2 + ["---"] + ["---:"] * (len(heads) - 3)]
    for row in rows:
        size = row.size
        cells = [size.cell, str(size.hidden), "-".join(map(str, size.layers)), str(size.mel_bins)]
        cells += [
            f"{row.parameters / 1e6:.1f}",
            *(f"{row.real_time_factor[name][threads]:.2f}" for name, threads in columns),
        ]
        lines.append(cells)
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
