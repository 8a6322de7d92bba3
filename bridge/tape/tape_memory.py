"""The sound of the session's tape: one track of input, one of takes, by device time.

Shared memory that outlives the player, which alone writes and reads it. A sample's place is its device time modulo the
tape's length, so that a bar is found by arithmetic alone; what was never written is silence. Mono float32 at the output
device's rate.
"""

from __future__ import annotations

from multiprocessing.shared_memory import SharedMemory
from typing import Literal

import numpy as np

from bridge.audio.shared_samples import Samples, SharedSamples

Track = Literal["heard", "made"]
_TRACKS: tuple[Track, ...] = ("heard", "made")
_RATE = 9
_UNTIL = 10  # one word per track: the device time up to which it holds anything
_FROM = 12  # likewise: the first device time that it may still hold


class TapeMemory(SharedSamples):
    """Two circular tracks in one block of shared memory, each half of it."""

    def __init__(self, memory: SharedMemory, *, owner: bool) -> None:
        super().__init__(memory, owner=owner)
        self.length_samples = self.capacity_samples // len(_TRACKS)
        """Of each track."""

    @property
    def rate_hz(self) -> int:
        """Of both tracks; 0: nothing was recorded yet."""
        return int(self._words[_RATE])

    def begin(self, rate_hz: int) -> None:
        """Make it blank, for a device of this rate; a tape of that rate is left as it is."""
        if self.rate_hz == rate_hz:
            return
        for track in range(len(_TRACKS)):
            self._words[_UNTIL + track] = self._words[_FROM + track] = 0
        self._words[_RATE] = rate_hz

    def write(self, track: Track, at: int, samples: Samples) -> None:
        """Write float32[N] from device time ``at`` on, over what was there; the oldest samples are overwritten."""
        number = _TRACKS.index(track)
        first, until = self._words[_FROM + number], self._words[_UNTIL + number]
        oldest = max(at + len(samples), until) - self.length_samples
        if at < oldest:
            at, samples = oldest, samples[oldest - at :]
        if not len(samples):
            return
        stop = at + len(samples)
        if until == first:
            first = until = at
        self._put(number, until, None, at)  # what lies between is silence
        self._put(number, stop, None, first)
        self._put(number, at, samples, stop)
        until = max(until, stop)
        self._words[_FROM + number] = max(min(first, at), until - self.length_samples)
        self._words[_UNTIL + number] = until

    def read(self, first: int, stop: int, tracks: tuple[Track, ...] = _TRACKS) -> Samples:
        """The sum of the tracks from device time ``first`` to ``stop``: float32[stop - first]."""
        mix = np.zeros(max(0, stop - first), np.float32)
        for track in tracks:
            number = _TRACKS.index(track)
            begin = max(first, self._words[_FROM + number])
            end = min(stop, self._words[_UNTIL + number])
            if begin < end:
                mix[begin - first : end - first] += self._samples[self._places(number, begin, end)]
        return mix

    def holds(self, first: int, stop: int) -> bool:
        """Whether one track or the other was written in all of this time."""
        ends = [(self._words[_FROM + n], self._words[_UNTIL + n]) for n in range(len(_TRACKS))]
        spans = sorted((begin, end) for begin, end in ends if end > begin)
        for begin, end in spans:
            if begin <= first < end:
                first = end
        return first >= stop

    @property
    def span(self) -> tuple[int, int]:
        """The first device time that it holds, and the one past the last; equal if it is blank."""
        spans = [(self._words[_FROM + n], self._words[_UNTIL + n]) for n in range(len(_TRACKS))]
        held = [(first, until) for first, until in spans if until > first]
        return (min(first for first, _ in held), max(until for _, until in held)) if held else (0, 0)

    def span_of(self, track: Track) -> tuple[int, int]:
        """The same of one track."""
        number = _TRACKS.index(track)
        return int(self._words[_FROM + number]), int(self._words[_UNTIL + number])

    def _put(self, track: int, at: int, samples: Samples | None, stop: int) -> None:
        self._samples[self._places(track, max(at, stop - self.length_samples), stop)] = (
            0.0 if samples is None else samples
        )

    def _places(self, track: int, first: int, stop: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        return track * self.length_samples + np.arange(first, stop) % self.length_samples
