"""Where in held-out recordings something is measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from melnet_music.model.config import SoundConfig
from melnet_music.sound.resample import resample
from melnet_music.training.data.features import Work

Samples = npt.NDArray[np.float32]

_SPARE_SECONDS = 0.25
"""Of a work's end that is left alone: its last frame may lie past its last sample."""


class NotMeasurableError(ValueError):
    """The held-out recordings lack what a measurement needs."""


@dataclass(frozen=True, eq=False)
class Place:
    """A stretch of a recording."""

    work: Work
    start_s: float

    def audio(self, from_s: float, to_s: float, sound: SoundConfig, rate_hz: int) -> Samples:
        """Its sound from and to so many seconds after its start, float32[n], at any rate."""
        audio = self.work.read_audio(self.start_s + from_s, self.start_s + to_s)
        return resample(audio, sound.sample_rate_hz, rate_hz)


def spread_places(
    works: Sequence[Work],
    sound: SoundConfig,
    seconds: float,
    count: int,
    random: np.random.Generator,
    within: tuple[float, float] = (0.0, 1.0),
) -> list[Place]:
    """``count`` places of so many seconds, evenly over all works that hold one, at random inside even steps.

    Args:
        within: the part of each work that a place lies in, from 0 to 1.

    Raises:
        NotMeasurableError: no work is long enough.
    """
    lengths = np.array([len(work.log_mel) / sound.frames_per_second - _SPARE_SECONDS for work in works])
    starts = within[0] * lengths
    room = np.maximum(within[1] * lengths - starts - seconds, 0)
    if not room.any():
        raise NotMeasurableError(
            f"no held-out recording has {seconds / (within[1] - within[0]):g} s, the longest has "
            f"{lengths.max():.1f} s: add longer ones, or measure shorter stretches"
        )
    until = np.cumsum(room)
    places = []
    for along in (np.arange(count) + random.random(count)) / count * until[-1]:
        index = int(np.searchsorted(until, along, side="right"))
        offset = along - (until[index] - room[index])
        places.append(Place(works[index], float(starts[index] + offset)))
    return places


def distinct_seconds(places: Sequence[Place], from_s: float, to_s: float) -> float:
    """How much sound lies from and to so many seconds after the starts of places, counted once where they overlap."""
    total, work, until = 0.0, None, 0.0
    for place in sorted(places, key=lambda place: (id(place.work), place.start_s)):
        if place.work is not work:
            work, until = place.work, 0.0
        total += max(place.start_s + to_s - max(place.start_s + from_s, until), 0)
        until = max(until, place.start_s + to_s)
    return total
