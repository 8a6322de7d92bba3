"""A tiny score model with random weights, and a score to go on with."""

from __future__ import annotations

import numpy as np

from melnet_music.model.preset import Weights
from melnet_music.notes.score.grid import GridNote
from melnet_music.notes.score.network import ScoreModel, weight_shapes

HIDDEN, LAYERS, INNER = 32, 2, 48


def tiny_score_weights(seed: int = 1) -> Weights:
    rng = np.random.default_rng(seed)
    weights = {
        name: (np.ones(shape) if name.endswith("norm.weight") else rng.normal(0, 2 / np.sqrt(shape[-1]), shape)).astype(
            np.float32
        )
        for name, shape in weight_shapes(HIDDEN, LAYERS, INNER).items()
    }
    weights["time.bias"][:12] += 4.0  # notes follow each other soon
    return weights


def tiny_score_model(seed: int = 1) -> ScoreModel:
    return ScoreModel(tiny_score_weights(seed))


def some_bars(bars: int = 6, bar_steps: int = 48) -> list[GridNote]:
    """A bass note, a chord and a tune in every bar."""
    notes = []
    for bar in range(bars):
        start = bar * bar_steps
        notes.append(GridNote(start, 36 + bar % 3, 24, 70))
        notes += [GridNote(start + 12, pitch, 12, 60) for pitch in (52, 55, 60)]
        notes += [GridNote(start + step, 72 + step // 6, 6, 90) for step in (18, 24, 30, 36)]
    return sorted(notes)
