"""Takes that engines sample in tests, and how far apart they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from melnet_music.sampling.engine import Chunk, Engine, SamplerState, state_arrays

Grid = NDArray[Any]


def random(*shape: int, seed: int = 0) -> Grid:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def take(engine: Engine, state: SamplerState, chunks: Iterator[Chunk]) -> tuple[Grid, SamplerState]:
    """All frames ``[B, T, M]``, and the state after them."""
    made = [each for each in engine.sampling(state, chunks) if each is not None]
    return np.concatenate([each.frames for each in made], 1), made[-1].state


def largest_difference(first: SamplerState, second: SamplerState) -> float:
    """Of any number of two states."""
    ours, theirs = state_arrays(first), state_arrays(second)
    assert ours.keys() == theirs.keys()
    return max(float(np.abs(ours[name] - theirs[name]).max()) for name in ours)
