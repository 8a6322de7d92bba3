"""What passed a sound device lately, for those who watch: overwritten as it goes on, and never waited for.

One process writes, any number read. A sample's place is its count modulo the capacity (a power of two); a reader that
comes too late finds newer samples there, which a picture of the sound can bear.
"""

from __future__ import annotations

import numpy as np

from bridge.audio.shared_samples import CircularSamples, Samples

_UNTIL = 8  # the count past the last sample
_FROM = 9  # the count of the first since which none is missing
_RATE = 10


class Monitor(CircularSamples):
    """Mono float32 at the device's rate."""

    @property
    def rate_hz(self) -> int:
        """Of the device; 0: there was none yet. Any process."""
        return int(self._words[_RATE])

    def begin(self, rate_hz: int) -> None:
        """The one writer: a device of this rate is open."""
        self._words[_RATE] = rate_hz

    @property
    def until(self) -> int:
        """The count past the last sample that was written; 0: none was. Any process."""
        return int(self._words[_UNTIL])

    def put(self, block: Samples, at: int) -> None:
        """The one writer, real-time safe: float32[n], at most the capacity, whose first sample has the count ``at``."""
        words, count = self._words, len(block)
        if at != words[_UNTIL]:
            words[_FROM] = at
        start = at & (self.capacity_samples - 1)
        first = min(count, self.capacity_samples - start)
        self._samples[start : start + first] = block[:first]
        self._samples[: count - first] = block[first:]
        words[_UNTIL] = at + count

    def read(self, first: int, stop: int) -> Samples:
        """Any process: float32[stop - first] from one count to another; zeros where nothing is kept."""
        sound = np.zeros(max(0, stop - first), np.float32)
        until = self._words[_UNTIL]
        begin = max(first, self._words[_FROM], until - self.capacity_samples)
        end = min(stop, until)
        if begin < end:
            sound[begin - first : end - first] = self._samples[
                np.arange(begin, end, dtype=np.int64) & (self.capacity_samples - 1)
            ]
        return sound
