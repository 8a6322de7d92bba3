"""A tune that becomes faster: from 110 to 128 notes a minute."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from tiny_recordings import rendered

RATE_HZ, HOP = 22050, 256
_PITCHES = (60, 64, 67, 72, 71, 67, 65, 62, 55, 48, 52, 60)


def accelerating() -> NDArray[np.float32]:
    """20 s: 36 notes, one in four louder, and four seconds of nearly nothing."""
    rows, at_s = [], 0.4
    for n in range(36):
        rows.append((at_s, at_s + 0.3, at_s + 0.3, _PITCHES[n % 12], 110 if n % 4 == 0 else 70))
        at_s += 60 / (110 + n * 0.5)
    return rendered(rows, 20.0, RATE_HZ, np.random.default_rng(0))
