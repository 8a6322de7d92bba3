"""Level hold: keeps a long take near the level of what was heard.

Models that were trained for a short time fade away, or swell, within half a minute.
What was heard has a level; a take that strays from it is led back by tilting what the first tier draws from
(`Mixture.draw`): louder notes, and more of them, become likelier, and what is certain stays as it is.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from melnet_music.sound.limiter import frame_powers

Samples = npt.NDArray[np.float32]

USUAL_SECONDS, PRESENT_SECONDS = 10.0, 3.0
"""Time constants of the levels of what was heard, and of a take."""
DELAY_CHUNKS = 6
"""A chunk is led by those that are so far before it: engines work on several at once, and all are to make the same."""
MOST_TILT = 1.0
"""However far astray, a density is tilted by no more, in normalised units."""
FAR_DB = 10.0
"""So far astray, and it is led twice as hard as near by for every dB: out of silence nothing less leads back."""
_LEAST_POWER = 1e-12


class LevelHold:
    """Holds one take near a level, chunk by chunk, by the tilt of what the first tier draws from."""

    def __init__(self, usual_power: float, tilt_per_db: float, frames_per_second: float) -> None:
        """
        Args:
            usual_power: of a frame of what was heard, a sum of squared mel magnitudes.
            tilt_per_db: near the level, for each dB that is missing; 0: the take is let go.
        """
        self._usual_power, self._tilt_per_db, self._frames_per_second = usual_power, tilt_per_db, frames_per_second
        self._levels = [usual_power]
        """At the beginning, and after every chunk that is made."""

    def tilt(self, chunk: int) -> float:
        """A chunk's tilt in normalised units; chunks count from 0, and those `DELAY_CHUNKS` before it are made."""
        level = self._levels[max(0, chunk - DELAY_CHUNKS)]
        missing_db = 10.0 * math.log10(self._usual_power / level)
        tilt = self._tilt_per_db * missing_db * (1.0 + (missing_db / FAR_DB) ** 2)
        return min(max(tilt, -MOST_TILT), MOST_TILT)

    def made(self, frames: Samples) -> None:
        """Follow the level of the chunk just made: log-mel frames ``[T, M]``."""
        level = self._levels[-1]
        for power in frame_powers(frames):
            level += (float(power) - level) / (PRESENT_SECONDS * self._frames_per_second)
        self._levels.append(max(level, _LEAST_POWER))


class UsualLevel:
    """The average power of the frames heard of late, pauses left out."""

    def __init__(self, power: float, least_power: float, frames_per_second: float) -> None:
        """``power``: as long as nothing was heard; ``least_power``: softer frames are a pause."""
        self.power = power
        """Of a frame."""
        self._least_power, self._most_frames = least_power, USUAL_SECONDS * frames_per_second
        self._frames = 0

    def hear(self, frames: Samples) -> None:
        """Log-mel frames ``[T, M]``; how they are cut makes no difference."""
        for power in frame_powers(frames):
            if power > self._least_power:
                self._frames += 1
                self.power += (float(power) - self.power) / min(self._frames, self._most_frames)
