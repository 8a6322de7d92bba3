"""Short takes that tests of several takes from one trigger ask a daemon for."""

from __future__ import annotations

import numpy as np
import soundfile
from numpy.typing import NDArray

Told = dict[str, object]
"""What is told of a take, by name."""
PLANNED = ("plan", "on", "density", 2.0, "scale", "c major")
ASKED: dict[str, tuple[str | float, ...]] = {
    "continue": ("continue", "seconds", 0.4, "lead", 0.2),
    "continue planned": ("continue", "seconds", 0.4, *PLANNED),
    "inpaint": ("inpaint", "start", 1.0, "stop", 1.2, "lead", 0.2, "tail", 0.2),
}


def sound_of(told: Told) -> NDArray[np.float32]:
    """The samples ``[n]`` of a take's file."""
    audio: NDArray[np.float32] = soundfile.read(str(told["file"]), dtype="float32")[0]
    return audio
