"""The weights of a model by name and shape, as `network.MelNet` has them: what a weights file must hold."""

from __future__ import annotations

from collections.abc import Iterator

from melnet_music.model.conditioning import channel_count
from melnet_music.model.config import CellName, ModelConfig
from melnet_music.model.tiers import tier_grids

Shape = tuple[int, ...]
NamedShapes = Iterator[tuple[str, Shape]]

_GATES: dict[CellName, int] = {"mingru": 2, "gru": 3, "lstm": 4}
"""Blocks of rows in a cell's matrices."""
_STATES: dict[CellName, int] = {"mingru": 1, "gru": 1, "lstm": 2}
"""Vectors in a cell's state."""


def parameter_shapes(model: ModelConfig, mel_bins: int) -> dict[str, Shape]:
    """Everything in the model's state dict, the statistics of the normalisation included."""
    shapes: dict[str, Shape] = {"mean": (mel_bins,), "deviation": (mel_bins,)}
    for g, grid in enumerate(tier_grids(model, mel_bins)):
        shapes.update(_within(f"tiers.{g}", _tier(model, g, grid.bins)))
    return shapes


def _tier(model: ModelConfig, g: int, bins: int) -> NamedShapes:
    tier, cell = model.tiers[g], model.cell
    hidden, layers, width = tier.hidden, tier.layers, tier.centralized_hidden
    if channels := channel_count(model, g):
        yield from _within("extractor", _inlet(model, channels, bins, hidden))
        for direction in ("later", "earlier", "higher", "lower"):
            yield from _within(f"extractor.{direction}", _recurrence(cell, hidden))
        yield from _within("extractor.outlet", _linear(4 * hidden, hidden))
    yield from _within("time_delayed", _inlet(model, 1, bins, hidden))
    for layer in range(layers):
        for direction in ("time", "upward", "downward"):
            yield from _within(f"time_delayed.{direction}.{layer}", _recurrence(cell, hidden))
        yield from _within(f"time_delayed.project.{layer}", _linear(3 * hidden, hidden))
    if width:
        yield from _within("centralized.inlet", _linear(bins, width))
        for layer in range(layers):
            yield from _within(f"centralized.time.{layer}", _recurrence(cell, width))
            if width != hidden:
                yield from _within(f"centralized.project.{layer}", _linear(width, hidden))
    yield from _within("frequency_delayed", _inlet(model, 1, bins, hidden))
    for layer in range(layers):
        yield from _within(f"frequency_delayed.upward.{layer}", _recurrence(cell, hidden))
        yield from _within(f"frequency_delayed.project.{layer}", _linear(hidden, hidden))
    yield from _within("outlet", _linear(hidden, 3 * model.components))


def _within(module: str, shapes: NamedShapes) -> NamedShapes:
    for name, shape in shapes:
        yield f"{module}.{name}", shape


def _inlet(model: ModelConfig, inputs: int, bins: int, hidden: int) -> NamedShapes:
    """Where a stack over a grid begins: every bin's values, and a vector a bin."""
    yield from _within("inlet", _linear(inputs, hidden))
    if model.bin_embedding:
        yield "embedding", (bins, hidden)


def _linear(inputs: int, outputs: int) -> NamedShapes:
    yield "weight", (outputs, inputs)
    yield "bias", (outputs,)


def _recurrence(cell: CellName, hidden: int) -> NamedShapes:
    rows = _GATES[cell] * hidden
    yield "start", (_STATES[cell], hidden)
    if cell == "mingru":
        yield from _linear(hidden, rows)
        return
    for source in ("ih", "hh"):
        yield f"layer.weight_{source}_l0", (rows, hidden)
        yield f"layer.bias_{source}_l0", (rows,)
