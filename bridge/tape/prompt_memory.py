"""The audio that the player has heard, in shared memory that outlives it: a new player or preset hears it again.

Only the player writes, and only a player reads; samples are mono float32 at the instrument's rate, counted from the
last clear.
"""

from __future__ import annotations

import numpy as np

from bridge.audio.ring import _WRITTEN, Ring
from bridge.audio.shared_samples import Samples

KEPT_SECONDS = 60.0
"""Of what was heard; more than a model's context."""
_CLEARED = 9  # the count at the last clear
_RATE = 10


class PromptMemory(Ring):
    """The last samples heard.

    Half of the capacity is never read, so that a player killed while writing corrupts nothing.
    """

    def forget(self, sample_rate_hz: int) -> None:
        """Forget all; what is added from now on is at this rate."""
        self._words[_CLEARED] = self._words[_WRITTEN]
        self._words[_RATE] = sample_rate_hz

    @property
    def sample_rate_hz(self) -> int:
        """Of its samples; 0: nothing was heard yet."""
        return self._words[_RATE]

    def remember(self, samples: Samples) -> None:
        """Add float32[N] that was heard, at the rate of the last `forget`."""
        for first in range(0, len(samples), self.capacity_samples // 2):
            part = samples[first : first + self.capacity_samples // 2]
            written = self._words[_WRITTEN]
            places = (written + np.arange(len(part))) & (self.capacity_samples - 1)
            self._samples[places] = part
            self._words[_WRITTEN] = written + len(part)

    def recall(self, sample_rate_hz: int) -> tuple[int, Samples]:
        """The number of the first sample that is kept, and float32[N] from it on; (0, none) at another rate."""
        if self._words[_RATE] != sample_rate_hz:
            return 0, np.zeros(0, np.float32)
        written, cleared = self._words[_WRITTEN], self._words[_CLEARED]
        kept = min(round(KEPT_SECONDS * sample_rate_hz), self.capacity_samples // 2)
        first = max(cleared, written - kept)
        places = np.arange(first, written) & (self.capacity_samples - 1)
        return first - cleared, self._samples[places].copy()
