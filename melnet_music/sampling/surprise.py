"""How surprising what is heard is to the model: only a model with an exact likelihood can say so."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from melnet_music.sampling.engine import Engine, SamplerState

TIERS = 2
"""The first two hear pitches and their course, and cost a third of what all of them would; the others hear texture."""
_USUAL_SECONDS, _FEWEST_SECONDS = 60.0, 1.0


@dataclass(frozen=True)
class Surprise:
    """Of one chunk of frames."""

    nats: float
    """A bin: minus the natural log density, in normalised units, mean of the first tiers."""
    over_usual: float
    """Nats above the median of the last minute; 0 in its first second."""


class SurpriseMeter:
    """Judges chunk after chunk of what is heard. Costs what drawing the same bins costs; see the presets' cards.

    Belongs to the engine's thread.
    """

    def __init__(self, engine: Engine, tiers: int, chunk_seconds: float) -> None:
        """
        Args:
            tiers: of the model, at most `TIERS` of which judge.
            chunk_seconds: of the chunks that will be heard.
        """
        self._engine, self._tiers = engine, min(tiers, TIERS)
        self._fewest = round(_FEWEST_SECONDS / chunk_seconds)
        self._lately: deque[float] = deque(maxlen=max(1, round(_USUAL_SECONDS / chunk_seconds)))
        self._untold: list[Surprise] = []

    def hear(self, state: SamplerState, frames: NDArray[Any]) -> None:
        """Judge a chunk of known frames ``[1, T, M]`` normalised, that follow a state."""
        nats = float(self._engine.nats(state, frames, self._tiers).mean())
        usual = float(np.median(self._lately)) if len(self._lately) >= self._fewest else nats
        self._lately.append(nats)
        self._untold.append(Surprise(nats, nats - usual))

    def told(self) -> list[Surprise]:
        """Those since it was asked last, oldest first."""
        told, self._untold = self._untold, []
        return told
