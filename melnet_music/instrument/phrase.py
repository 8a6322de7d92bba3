"""A phrase of notes, played by the instrument itself: what it then goes on from."""

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
    """``request.seconds`` that play ``request.notes``, out of nothing.

    After other sound half as many of the notes are heard.

    Raises:
        ValueError: a value is out of range, or the preset follows no notes.
    """
    longer = replace(request, seconds=request.seconds + _BEYOND_SECONDS)
    left = round(request.seconds * instrument.sample_rate_hz)
    for block in instrument.generation(longer):
        yield block[:left]
        left -= min(left, len(block))
