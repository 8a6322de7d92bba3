"""An engine beside the reference: how much sooner, and how far its numbers are off."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

import numpy as np

from melnet_music.bench.material import Material
from melnet_music.bench.turns import Spent, median, timed
from melnet_music.sampling.engine import Chunk, Engine, Generated, SamplerState, generate, state_arrays

_PRIMED_CHUNKS = 12
_APART = 0.1
"""Of a deviation: bins that differ by more were drawn from another component, or after one that was."""


@dataclass(frozen=True)
class AgainstReference:
    """Differences are in normalised units, of chunks with the same noise that all start from the reference's states."""

    chunks: int
    real_time_factor: float
    """The reference's, of sampling."""
    microseconds_per_bin: float
    """The reference's CPU time."""
    speedup: float
    """The reference's CPU time over the engine's, on one thread each."""
    max_difference_of_frames: float
    median_difference_of_frames: float
    share_of_bins_apart: float
    """By more than a tenth."""
    max_difference_of_primed_state: float
    """After the same known frames. Nothing is drawn there: it is what the engine's arithmetic makes."""


def compare(engine: Engine, reference: Engine, material: Material, chunks: int) -> AgainstReference:
    """Chunk after chunk in turn, ``engine`` on one thread; the first chunk warms up, and is not timed."""
    frames = material.heard_frames(_PRIMED_CHUNKS)
    state = material.primed(reference, frames)
    off_in_state = _largest_difference(material.primed(engine, frames), state)
    own_times, reference_times, off = [], [], []
    for chunk in islice(material.take(), 1 + chunks):
        own, own_spent = _made(engine, state, chunk)
        wanted, reference_spent = _made(reference, state, chunk)
        own_times.append(own_spent)
        reference_times.append(reference_spent)
        off.append(np.abs(own.frames - wanted.frames))
        state = wanted.state
    own_time, reference_time = median(own_times[1:]), median(reference_times[1:])
    return AgainstReference(
        chunks=chunks,
        real_time_factor=material.chunk_s / reference_time.wall_s,
        microseconds_per_bin=reference_time.cpu_s / material.chunk_bins * 1e6,
        speedup=reference_time.cpu_s / own_time.cpu_s,
        max_difference_of_frames=float(np.max(off)),
        median_difference_of_frames=float(np.median(off)),
        share_of_bins_apart=float((np.array(off) > _APART).mean()),
        max_difference_of_primed_state=off_in_state,
    )


def _made(engine: Engine, state: SamplerState, chunk: Chunk) -> tuple[Generated, Spent]:
    made: list[Generated] = []
    spent = timed(lambda: made.append(generate(engine, state, chunk)))
    return made[0], spent


def _largest_difference(one: SamplerState, other: SamplerState) -> float:
    others = state_arrays(other)
    return max(float(np.abs(array - others[name]).max()) for name, array in state_arrays(one).items())
