"""When a take may start to sound, so that playing never overtakes a generation slower than real time.

With ``rate`` seconds of audio made per second, in blocks of ``block`` seconds, and ``remaining`` seconds to
make, the k-th block to come is there after k * block / rate and is needed when what is ready and k - 1
blocks have been played. The largest k binds below real time, the first one above.
"""

from __future__ import annotations

import math

MARGIN_SECONDS = 0.2
"""Audio that is ready beyond the need when a take starts."""
LINE_GUARD_SECONDS = 0.03
"""So long before its line at the latest a take must be open: the device asks ahead, and the player has other work."""
CHAIN_OVERLAP_SECONDS = 0.005
"""A take whose end is so much past the line of the next still leaves it its line: lengths are rounded to samples."""
CAUTION = 0.85
"""Measured rates are believed to this part: another program may take the processor."""
_PRIOR_SECONDS = 1.0


class RateEstimate:
    """Audio seconds made per second: what was measured before, then more and more what this take shows."""

    def __init__(self, prior_rate: float) -> None:
        self._made_seconds = _PRIOR_SECONDS
        self._spent_seconds = _PRIOR_SECONDS / prior_rate

    def add(self, made_seconds: float, spent_seconds: float) -> None:
        self._made_seconds += made_seconds
        self._spent_seconds += spent_seconds

    @property
    def rate(self) -> float:
        return self._made_seconds / self._spent_seconds


def ready_seconds_needed(remaining_seconds: float, rate: float, block_seconds: float) -> float:
    """Audio that must be ready so that the rest comes in time, without any margin."""
    if remaining_seconds <= 0.0:
        return 0.0
    first = block_seconds / rate
    last = remaining_seconds / rate - remaining_seconds + block_seconds
    return max(first, last)


def start_wait_seconds(
    lead_seconds: float, new_seconds: float, rate: float, block_seconds: float, first_sound_seconds: float = 0.0
) -> float:
    """How long after the beginning of the generation the take may start, margin included.

    ``lead_seconds`` are there at once, ``new_seconds`` are made at ``rate``; the first of them after
    ``first_sound_seconds``, which may be longer than a block takes: a look-ahead, a start from cold.
    """
    missing = max(0.0, block_seconds / rate + MARGIN_SECONDS - lead_seconds)
    step = block_seconds or missing  # sound comes by blocks; before anything is loaded nobody knows their length
    first = math.ceil(missing / step) * step / rate if missing else 0.0
    last = new_seconds / rate - new_seconds + block_seconds + MARGIN_SECONDS - lead_seconds
    wait = min(max(0.0, first, last), new_seconds / rate)
    return wait + max(0.0, first_sound_seconds - block_seconds / rate) if wait else 0.0
