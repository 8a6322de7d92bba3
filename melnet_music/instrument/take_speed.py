"""How fast takes are made on this machine: measured once a preset is loaded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from melnet_music.instrument.frame_sampler import FrameSampler
from melnet_music.instrument.generation import generation
from melnet_music.instrument.take_request import TakeRequest

Samples = npt.NDArray[np.float32]

_MEASURED_SECONDS, _MOST_MEASURED_CHUNKS = 0.15, 16
"""How long the speed is measured: it is part of every start."""


@dataclass(frozen=True)
class TakeSpeed:
    """How fast takes are made."""

    real_time_factor: float
    """Seconds of sound made in a second."""
    first_sound_seconds: float
    """From the beginning of the work to the first sound."""


def measure_take_speed(sampler: FrameSampler, clock: Callable[[], float]) -> TakeSpeed:
    """Time generations of the default chunk length.

    Args:
        clock: returns seconds that only grow.
    """
    chunk_seconds = sampler.chunk_frames / sampler.sound.frames_per_second
    _time_generation(sampler, 1, clock)  # pays for warming up
    first_sound, one = _time_generation(sampler, 1, clock)
    chunks = min(max(int(_MEASURED_SECONDS / one), 2), _MOST_MEASURED_CHUNKS)
    _, all_chunks = _time_generation(sampler, chunks, clock)
    return TakeSpeed(chunks * chunk_seconds / all_chunks, first_sound)


def _time_generation(sampler: FrameSampler, chunks: int, clock: Callable[[], float]) -> tuple[float, float]:
    """Seconds to the first sound of a generation of so many chunks, and to its end."""
    seconds = (chunks * sampler.chunk_frames - 2) / sampler.sound.frames_per_second  # fills them, and no more
    started, first_sound = clock(), None
    blocks: Iterator[Samples] = generation(sampler, TakeRequest(seconds=seconds, seed=0))
    for block in blocks:
        if len(block) and first_sound is None:
            first_sound = clock() - started
    return first_sound or 0.0, clock() - started
