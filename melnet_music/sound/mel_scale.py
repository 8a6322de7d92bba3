"""Slaney's mel scale (Auditory Toolbox, 1998): linear in Hz below 1 kHz, logarithmic above.

The same numbers as librosa's, whose import costs more than a second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from melnet_music.model.config import SoundConfig

_HZ_PER_MEL = 200 / 3
_BREAK_HZ = 1000.0
_BREAK_MEL = _BREAK_HZ / _HZ_PER_MEL
_LOG_STEP = np.log(6.4) / 27
"""Of ln Hz a mel, above the break."""


def mel_frequencies(sound: SoundConfig) -> NDArray[np.float64]:
    """Where the mel bins lie, float64[M + 2] in Hz: ``fmin_hz``, the centre of each bin, ``fmax_hz``."""
    return evenly_in_mel(sound.fmin_hz, sound.fmax_hz, sound.mel_bins + 2)


def evenly_in_mel(lowest_hz: float, highest_hz: float, count: int) -> NDArray[np.float64]:
    """Frequencies that are equally far apart in mel, from one to another: float64[count] in Hz."""
    mels = np.linspace(_mel(lowest_hz), _mel(highest_hz), count)
    above = _BREAK_HZ * np.exp(_LOG_STEP * (mels - _BREAK_MEL))
    frequencies: NDArray[np.float64] = np.where(mels >= _BREAK_MEL, above, _HZ_PER_MEL * mels)
    return frequencies


def _mel(hz: float) -> float:
    return hz / _HZ_PER_MEL if hz < _BREAK_HZ else _BREAK_MEL + float(np.log(hz / _BREAK_HZ)) / _LOG_STEP
