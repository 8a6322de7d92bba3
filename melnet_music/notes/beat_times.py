"""When each beat is: a tempo that may change, as pairs of beats and seconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, eq=False)
class BeatTimes:
    """Beats (quarters) and the seconds at which they are; between them and beyond, the tempo nearest by holds on."""

    beats: NDArray[np.float64]
    seconds: NDArray[np.float64]

    def __post_init__(self) -> None:
        if len(self.beats) < 2 or len(self.beats) != len(self.seconds):
            raise ValueError(f"{len(self.beats)} beats and {len(self.seconds)} times: want as many, at least two")
        if not (np.isfinite(self.beats).all() and np.isfinite(self.seconds).all()):
            raise ValueError("times of beats must be finite")
        if (np.diff(self.beats) <= 0).any() or (np.diff(self.seconds) <= 0).any():
            raise ValueError("beats and their times must increase: leave out beats that came twice")

    @classmethod
    def of(cls, pairs: Sequence[tuple[float, float]]) -> BeatTimes:
        """Of pairs of beat and seconds."""
        beats, seconds = np.array(pairs, float).reshape(-1, 2).T
        return cls(beats, seconds)

    @classmethod
    def steady(cls, tempo_bpm: float, first_s: float = 0.0) -> BeatTimes:
        """Quarters of one length; beat 0 at ``first_s``."""
        if not 0 < tempo_bpm < 10_000:
            raise ValueError(f"tempo is {tempo_bpm:g} bpm, want more than 0")
        return cls(np.array([0.0, 1.0]), first_s + np.array([0.0, 60 / tempo_bpm]))

    def seconds_at(self, beats: ArrayLike) -> NDArray[np.float64]:
        """The seconds of some beats."""
        return _mapped(np.asarray(beats, float), self.beats, self.seconds)

    def beats_at(self, seconds: ArrayLike) -> NDArray[np.float64]:
        """The beats at some seconds; the inverse of `seconds_at`."""
        return _mapped(np.asarray(seconds, float), self.seconds, self.beats)


def _mapped(x: NDArray[np.float64], known: NDArray[np.float64], there: NDArray[np.float64]) -> NDArray[np.float64]:
    index = np.clip(np.searchsorted(known, x, side="right") - 1, 0, len(known) - 2)
    slope = (there[index + 1] - there[index]) / (known[index + 1] - known[index])
    mapped: NDArray[np.float64] = there[index] + (x - known[index]) * slope
    return mapped
