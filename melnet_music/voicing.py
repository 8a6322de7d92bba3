"""A phrase of notes, played by the instrument itself: what it then goes on from."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from melnet_music.instrument import Instrument, TakeRequest

_BEYOND_SECONDS = 0.05
"""Made after the phrase and dropped: a take's end is faded, and the phrase goes on."""


def voiced(instrument: Instrument, request: TakeRequest) -> Generator[npt.NDArray[np.float32], None, None]:
    """``request.seconds`` that play ``request.notes``: after what was heard, or out of nothing; not heard by this.

    Raises:
        ValueError: a value is out of range, or the preset follows no notes.
    """
    longer = replace(request, seconds=request.seconds + _BEYOND_SECONDS)
    blocks = instrument.continuation(longer) if instrument.heard_seconds else instrument.generation(longer)
    left = round(request.seconds * instrument.sample_rate_hz)
    for block in blocks:
        yield block[:left]
        left -= min(left, len(block))
