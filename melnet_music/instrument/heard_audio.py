"""Audio heard since the last clear, as far back as it is kept."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]


class HeardAudio:
    """Mono float32 samples, numbered from the last clear. Forgets the oldest beyond its length.

    Not thread-safe, allocates: not for an audio callback.
    """

    def __init__(self, kept_samples: int, start_sample: int = 0) -> None:
        """
        Args:
            kept_samples: how much is kept at least.
            start_sample: number of the first sample that it will hold.
        """
        self._kept = kept_samples
        self._room = np.zeros(0, np.float32)
        self._used = 0
        self.start_sample = start_sample
        """Number of the oldest sample that is still there."""

    @property
    def stop_sample(self) -> int:
        """Samples heard since the last clear; the number of the next one."""
        return self.start_sample + self._used

    def append(self, audio: Samples) -> None:
        """Add mono float32[n] at the end."""
        if self._used > 2 * self._kept:
            surplus = self._used - self._kept
            self._room[: self._kept] = self._room[surplus : self._used].copy()
            self._used, self.start_sample = self._kept, self.start_sample + surplus
        if self._used + len(audio) > len(self._room):
            room = np.zeros(2 * (self._used + len(audio)), np.float32)
            room[: self._used] = self._room[: self._used]
            self._room = room
        self._room[self._used : self._used + len(audio)] = audio
        self._used += len(audio)

    def read(self, start_sample: int, stop_sample: int) -> Samples:
        """A copy of samples ``start_sample`` to ``stop_sample``, float32[n].

        Raises:
            ValueError: they were not heard, or are not kept any more.
        """
        if not self.start_sample <= start_sample <= stop_sample <= self.stop_sample:
            raise ValueError(
                f"samples {start_sample} to {stop_sample} are not on the tape: "
                f"it holds {self.start_sample} to {self.stop_sample}"
            )
        return self._room[start_sample - self.start_sample : stop_sample - self.start_sample].copy()
