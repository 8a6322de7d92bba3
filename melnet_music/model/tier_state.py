"""What a tier carries from frame to frame."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic

from melnet_music.model.arrays import Array, OtherArray


@dataclass(frozen=True, eq=False)
class TierState(Generic[Array]):
    """The state of one tier. A value: it is replaced, never written to."""

    previous: Array
    """``[B, F]``, the last frame; zeros before the first."""
    extractor: Array | None
    """``[P, B, F, H]``, the extractor's RNN forward in time."""
    time_delayed: tuple[Array, ...]
    """``[P, B, F, H]`` a layer."""
    centralized: tuple[Array, ...]
    """``[P, B, W]`` a layer; empty without that stack."""

    def map(self, convert: Callable[[Array], OtherArray]) -> TierState[OtherArray]:
        """The state with every array put through ``convert``."""
        return TierState(
            previous=convert(self.previous),
            extractor=None if self.extractor is None else convert(self.extractor),
            time_delayed=tuple(convert(layer) for layer in self.time_delayed),
            centralized=tuple(convert(layer) for layer in self.centralized),
        )
