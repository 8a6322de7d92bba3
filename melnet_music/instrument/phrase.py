"""A phrase of notes rendered by the model itself, for takes to go on from."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from melnet_music.instrument.instrument import Instrument
    from melnet_music.instrument.take_request import TakeRequest

_BEYOND_SECONDS = 0.05
"""Made after the phrase and dropped: a take's end is faded, and the phrase goes on."""


def rendered_phrase(instrument: Instrument, request: TakeRequest) -> Generator[npt.NDArray[np.float32], None, None]:
    """Render ``request.notes`` over ``request.seconds`` out of nothing: mono float32[n] a block, with an open end.

    It is a generation, since after other sound the model plays only half as many of the notes.

    Raises:
        ValueError: a value is out of range, or the preset follows no notes.
    """
    longer = replace(request, seconds=request.seconds + _BEYOND_SECONDS)
    left = round(request.seconds * instrument.sample_rate_hz)
    for block in instrument.generation(longer):
        yield block[:left]
        left -= min(left, len(block))
