"""Where in device time the input lies: its samples counted against the output's.

Each block's stamp tells the offset between both counts but for the jitter of a callback, well under a millisecond, so
the median of several is taken, and kept: a recording is not to be cut up by jitter. Only where input and output drift
apart, or input was lost, another offset is taken, and that is counted.
"""

from __future__ import annotations

from collections import deque
from statistics import median

STAMPS = 9
"""So many blocks are waited for before the first sample has its place."""
SLIP_SECONDS = 0.005
"""Offsets that lie farther apart are not jitter."""


class InputLatency:
    """From a count of input samples to device time. Pure arithmetic; belongs to one thread."""

    def __init__(self, rate_hz: int) -> None:
        """``rate_hz`` of both counts: what comes at another rate is resampled before it is counted."""
        self._slip_samples = SLIP_SECONDS * rate_hz
        self._offsets: deque[float] = deque(maxlen=STAMPS)
        self._last_count = -1
        self.offset: int | None = None
        """Add it to a count of input samples to have device time; None: not known yet."""
        self.slips = 0
        """How often another offset had to be taken."""

    def stamp(self, count: int, device_sample: float) -> None:
        """The input sample of this count came at this device time. A stamp that was seen already tells nothing."""
        if count == self._last_count:
            return
        self._last_count = count
        self._offsets.append(device_sample - count)
        if len(self._offsets) < STAMPS:
            return
        seen = round(median(self._offsets))
        if self.offset is None:
            self.offset = seen
        elif abs(seen - self.offset) > self._slip_samples:
            self.offset, self.slips = seen, self.slips + 1
