"""A recording as mono at the model's rate: whole, block by block, or a part of it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from melnet_music.sound.resample import StreamResampler, resample
from melnet_music.training.data.decoder import open_decoder

Float32Array = NDArray[np.float32]

_MARGIN_SECONDS = 0.1
"""Read on both sides of a part, so that its edges are resampled as they are inside the whole."""


class MonoBlocks:
    """The mean of a file's channels at another rate, as far as it can be read: never all of it in memory.

    Iterate it once; afterwards `peak` is the largest magnitude and `damage` says what could not be read.
    """

    def __init__(self, path: Path, sample_rate_hz: int) -> None:
        self.path, self.sample_rate_hz = path, sample_rate_hz
        self.peak = 0.0
        self.damage: str | None = None

    def __iter__(self) -> Iterator[Float32Array]:
        """Blocks of float32[n].

        Raises:
            ValueError: nothing can be read, or a sample is no number; the message does not name the file.
        """
        read = 0
        with open_decoder(self.path) as decoder:
            resampler = StreamResampler(decoder.sample_rate_hz, self.sample_rate_hz)
            for block in decoder.blocks():
                finite = np.isfinite(block)
                if not finite.all():
                    at_s = (read + int(np.argmin(finite))) / decoder.sample_rate_hz
                    raise ValueError(f"has samples that are NaN or infinite, the first at {at_s:.3f} s")
                read += len(block)
                yield self._measured(resampler.push(block))
            yield self._measured(resampler.flush())
            self.damage = decoder.damage()

    def _measured(self, block: Float32Array) -> Float32Array:
        self.peak = max(self.peak, float(np.abs(block).max(initial=0.0)))
        return block


@dataclass(frozen=True)
class AudioPart:
    """A stretch of a file: seconds ``start_s`` to ``start_s + seconds``."""

    path: Path
    start_s: float
    seconds: float
    sample_rate_hz: int
    """At which it is read; the file may have another."""

    def read(self, start_s: float, stop_s: float) -> Float32Array:
        """Seconds of the stretch as mono: float32[n], where the stretch ends before ``stop_s`` up to its end.

        As the whole file resampled and then cut, but for rounding: what sounds at second t is sample ``t * rate``.

        Raises:
            ValueError: the span is empty or outside of the stretch, or the file cannot be read any more.
        """
        if not 0 <= start_s < min(stop_s, self.seconds):
            raise ValueError(
                f"{self.path} has no sound from {start_s:g} to {stop_s:g} s, expected a span in 0 to {self.seconds:g} s"
            )
        rate_hz = self.sample_rate_hz
        first = round((self.start_s + start_s) * rate_hz)
        stop = round((self.start_s + min(stop_s, self.seconds)) * rate_hz)
        try:
            with open_decoder(self.path) as decoder:
                divisor = math.gcd(decoder.sample_rate_hz, rate_hz)
                own, wanted = decoder.sample_rate_hz // divisor, rate_hz // divisor
                # Both rates have a sample at every multiple of these: cut there, and no phase is lost.
                periods = max(0, int((first / rate_hz - _MARGIN_SECONDS) * divisor))
                past = math.ceil((stop / rate_hz + _MARGIN_SECONDS) * decoder.sample_rate_hz)
                decoder.seek(periods * own)
                mono = np.concatenate([np.zeros(0, np.float32), *decoder.blocks(past - periods * own)])
        except (OSError, ValueError, RuntimeError) as error:
            raise ValueError(f"{self.path} {error}: it has changed since it was loaded") from None
        begin = first - periods * wanted
        return resample(mono, own, wanted)[begin : begin + stop - first]
