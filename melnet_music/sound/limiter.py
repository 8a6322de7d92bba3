"""The limiter: how loud new sound may become, however far a model goes astray.

A frame may have four times (6 dB more than) the power of the loudest heard, or of what is loud in the music that the
preset was trained on; real music has one louder frame in a thousand, or fewer. And no sample leaves -1..1. What stays
below is not touched, to the bit.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from melnet_music.model.preset import Weights

Samples = npt.NDArray[np.float32]

POWER_RATIO = 4.0
LOUD_DEVIATIONS = 1.5
"""What counts as loud where nothing was heard: every bin so far above its mean."""
USUAL_DEVIATIONS = 1.0
"""The same of what is as loud as music is on average."""
KNEE = 0.9
"""Samples beyond it are bent towards 1."""


def loud_power(weights: Weights) -> float:
    """Power of a frame that is loud for what a preset was trained on."""
    return float(frame_powers((weights["mean"] + LOUD_DEVIATIONS * weights["deviation"])[None])[0])


def usual_power(weights: Weights) -> float:
    """Power of a frame as loud as most of what a preset was trained on."""
    return float(frame_powers((weights["mean"] + USUAL_DEVIATIONS * weights["deviation"])[None])[0])


def frame_powers(log_mel: Samples) -> npt.NDArray[np.float64]:
    """Sums of squared mel magnitudes: ``[T, M]`` -> ``[T]``."""
    powers: npt.NDArray[np.float64] = np.exp(2.0 * log_mel.astype(np.float64)).sum(1)
    return powers


def limited(log_mel: Samples, loudest_power: float) -> Samples:
    """Frames ``[T, M]``, those above the ceiling brought down to it, by as much in all bins."""
    over = frame_powers(log_mel) / (POWER_RATIO * loudest_power)
    if not (over > 1.0).any():
        return log_mel
    frames: Samples = (log_mel - 0.5 * np.log(np.maximum(over, 1.0))[:, None]).astype(np.float32)
    return np.where((over > 1.0)[:, None], frames, log_mel)


def soft_clipped(sound: Samples) -> Samples:
    """float32[n] with what is beyond the knee bent inside -1..1."""
    size = np.abs(sound)
    if not (size > KNEE).any():
        return sound
    bound = KNEE + (1.0 - KNEE) * np.tanh((size - KNEE) / (1.0 - KNEE))
    return np.where(size > KNEE, np.copysign(bound, sound), sound).astype(np.float32)
