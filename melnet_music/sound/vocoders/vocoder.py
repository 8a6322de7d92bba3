"""What every vocoder can do: turn log-mel frames into sound, frame by frame, joined to sound that exists."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Float32Array = NDArray[np.float32]


class Vocoder(Protocol):
    """A streaming vocoder on a timeline where frame t is centred on sample ``t * hop_samples``.

    However the frames are cut into pushes, the samples are the same, bit for bit. Not thread-safe and never for
    an audio callback.
    """

    @property
    def lookahead_frames(self) -> int:
        """Samples before ``t * hop_samples`` depend on frames up to ``t + lookahead_frames`` and are returned
        once that frame is pushed."""

    @property
    def next_frame(self) -> int:
        """Index of the frame that the next `push` begins with."""

    @property
    def next_sample(self) -> int:
        """Position of the first sample that the next `push` or `flush` returns."""

    def prime(self, past: Float32Array, future: Float32Array | None = None, gap_samples: int = 0) -> None:
        """Start after ``past`` (the timeline from sample 0), before ``future`` if that is known too."""

    def push(self, log_mel: Float32Array) -> Float32Array:
        """float32[t, M] -> the samples that are final now, float32[n]."""

    def flush(self) -> Float32Array:
        """End the stream and return the rest."""

    def state(self) -> Any:
        """Where the stream stands, for `restore`; a value that later pushes do not change."""

    def restore(self, state: Any) -> None:
        """Go on from ``state``."""
