"""Rows of a batch that follow recordings from beginning to end, their state carried from clip to clip.

A model that only ever hears clips loses its way after some such lengths. A row that goes on where it was has heard all
of its recording before, at no cost, and the batch learns from every frame that it hears.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from melnet_music.model.tier_state import TierState

_AT_THE_BEGINNING = 64
"""Half of the rows begin within so many frames of a recording's start, the others anywhere."""
_PLACES, _STATE = "rows.", "state."


@dataclass(frozen=True, eq=False)
class RowPlaces:
    """Where the rows of a batch are. A value."""

    work: npt.NDArray[np.int64]
    """``[B]``, which recording; -1: none yet."""
    at: npt.NDArray[np.int64]
    """``[B]``, its next frame."""
    gain: npt.NDArray[np.float64]
    """``[B]``, how much louder the row hears it."""

    @staticmethod
    def none_yet(rows: int) -> RowPlaces:
        """Every row is to begin."""
        return RowPlaces(np.full(rows, -1, np.int64), np.zeros(rows, np.int64), np.ones(rows))

    def moved(
        self,
        frames: int,
        lengths: npt.NDArray[np.int64],
        level_range_db: float,
        randoms: Sequence[np.random.Generator],
        *,
        anywhere: bool = False,
    ) -> tuple[RowPlaces, npt.NDArray[np.bool_]]:
        """Where the rows' next clips begin; a row whose recording is over begins another, long ones more often.

        Args:
            frames: of a clip.
            lengths: of the recordings, in frames.
            randoms: one a row, of this step.
            anywhere: a recording is begun at any frame; else every other time near its beginning.

        Returns:
            the places, and which rows begin anew, ``[B]``.

        Raises:
            ValueError: every recording is shorter than a clip.
        """
        usable = np.maximum(lengths - frames + 1, 0)
        if not usable.any():
            raise ValueError(
                f"every training recording is shorter than a clip of {frames} frames: "
                "give longer ones, or set a smaller clip_frames in the preset"
            )
        begins = (self.work < 0) | (self.at + frames > lengths[self.work])
        work, at, gain = self.work.copy(), self.at.copy(), self.gain.copy()
        for row in np.flatnonzero(begins):
            random = randoms[row]
            work[row] = random.choice(len(lengths), p=usable / usable.sum())
            starts = usable[work[row]]
            if not anywhere and random.random() < 0.5:
                starts = min(starts, _AT_THE_BEGINNING)
            at[row] = random.integers(starts)
            gain[row] = 10 ** (random.uniform(-1, 1) * level_range_db / 20)
        return RowPlaces(work, at, gain), begins

    def after(self, frames: int) -> RowPlaces:
        """Once clips of so many frames were heard."""
        return RowPlaces(self.work, self.at + frames, self.gain)


def rows_to_tensors(places: RowPlaces, state: TierState[Tensor] | None) -> dict[str, Tensor]:
    """Both as named tensors, for a checkpoint."""
    named = {f"{_PLACES}{name}": torch.from_numpy(array) for name, array in vars(places).items()}
    if state is not None:
        numbers = count()
        state.map(lambda part: named.setdefault(f"{_STATE}{next(numbers)}", part))
    return named


def rows_from_tensors(named: dict[str, Tensor], fresh: TierState[Tensor]) -> tuple[RowPlaces, TierState[Tensor] | None]:
    """The inverse of `rows_to_tensors`, for a state of the shapes of ``fresh``."""
    places = RowPlaces(*(named[f"{_PLACES}{name}"].numpy() for name in ("work", "at", "gain")))
    if f"{_STATE}0" not in named:
        return places, None
    numbers = count()
    return places, fresh.map(lambda like: named[f"{_STATE}{next(numbers)}"].to(like))
