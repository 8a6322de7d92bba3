"""What was captured against what was to sound."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile
from jack_rig import RATE_HZ
from numpy.typing import NDArray

from melnet_music.sound.resample import resample

Samples = NDArray[np.float32]


def sound_of(file: Path) -> Samples:
    """What the device is to get of a sound file: float32[n] at RATE_HZ."""
    audio, rate_hz = soundfile.read(file, dtype="float32")
    return resample(audio, rate_hz, RATE_HZ)


def places_of(wanted: Samples, captured: Samples) -> list[int]:
    """Where ``wanted`` lies in ``captured``, bit for bit."""
    loudest = int(np.abs(wanted).argmax())
    begins = np.flatnonzero(captured == wanted[loudest]) - loudest
    return [
        int(begin)
        for begin in begins
        if 0 <= begin <= len(captured) - len(wanted) and np.array_equal(captured[begin : begin + len(wanted)], wanted)
    ]
