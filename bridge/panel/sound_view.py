"""What the sound devices play and hear, as columns in device time: those that are new since the last look."""

from __future__ import annotations

import struct
import time

import numpy as np
from numpy.typing import NDArray

from bridge.audio.monitor import Monitor
from bridge.audio.shared_samples import Samples
from bridge.clock.device_clock import ReadClock, read_device_clock
from bridge.panel.mel_columns import BINS, LOWEST_HZ, MelColumns

COLUMNS_PER_SECOND = 60
KIND_COLUMNS = 1
"""The first byte of such a message; OSC begins with ``/`` or ``#``."""
HEADER = struct.Struct("<BBHIdfff4x")
"""Kind, bins, columns N, device rate in Hz, device time in the middle of the first column, samples from column to
column, lowest and highest Hz. Then N columns of what is played, and N of what comes in: a byte a bin, low to high."""
_MOST_COLUMNS = 30
_LATE_INPUT_SECONDS = 0.25
"""Input that comes later than this against the output is not waited for."""
_JITTER_SECONDS = 0.03


class SoundView:
    """Belongs to one thread; any number of others go on writing what it reads."""

    def __init__(self, output: Monitor, audio_input: Monitor, output_clock: ReadClock, input_clock: ReadClock) -> None:
        """The clocks tell counts of device and input, and when they were: see `read_device_clock`."""
        self._output, self._input = output, audio_input
        self._output_clock, self._input_clock = output_clock, input_clock
        self._next_column = 0
        self._mel: MelColumns | None = None
        self._input_mel: MelColumns | None = None
        self._input_lag = 0.0
        """Input samples at the device time 0."""

    def device_time(self) -> float:
        """What the device asks for now; not a number where there is none."""
        rate_hz = self._output.rate_hz
        clock = read_device_clock(self._output_clock, rate_hz) if rate_hz else None
        return clock.sample_at(time.monotonic()) if clock else float("nan")

    def look(self) -> bytes | None:
        """The message of all whole columns since the last look, or of the latest; None: there is none."""
        rate_hz = self._output.rate_hz
        if not rate_hz or not self._output.until:
            return None
        if self._mel is None or self._mel.rate_hz != rate_hz:
            self._mel = MelColumns(rate_hz)
        hop = rate_hz // COLUMNS_PER_SECOND
        until = self._output.until
        input_until = self._place_input(rate_hz)
        if input_until is not None and input_until > until - _LATE_INPUT_SECONDS * rate_hz:
            until = min(until, int(input_until))
        stop = until // hop
        if self._next_column > stop + COLUMNS_PER_SECOND:
            self._next_column = 0  # another device, whose time has begun anew
        first = max(self._next_column, stop - _MOST_COLUMNS)
        if first >= stop:
            return None
        self._next_column = stop
        ends = np.arange(first + 1, stop + 1, dtype=np.int64) * hop
        made = self._columns(self._mel, self._output, ends)
        heard = np.zeros_like(made)
        if self._input_mel and input_until is not None:
            ratio = self._input_mel.rate_hz / rate_hz
            heard = self._columns(
                self._input_mel, self._input, np.round(ends * ratio + self._input_lag).astype(np.int64)
            )
        middle = float(ends[0]) - self._mel.window_samples / 2
        header = HEADER.pack(
            KIND_COLUMNS, BINS, len(ends), rate_hz, middle, float(hop), LOWEST_HZ, self._mel.highest_hz
        )
        return header + made.tobytes() + heard.tobytes()

    def _place_input(self, rate_hz: int) -> float | None:
        """Find the input's samples in device time; returns the device time up to which they came. None: no input."""
        input_hz = self._input.rate_hz
        ours = read_device_clock(self._output_clock, rate_hz)
        theirs = read_device_clock(self._input_clock, input_hz) if input_hz else None
        if ours is None or theirs is None:
            return None
        if self._input_mel is None or self._input_mel.rate_hz != input_hz:
            self._input_mel = MelColumns(input_hz)
        ratio = input_hz / rate_hz
        lag = theirs.sample_at(ours.at_seconds) - ours.sample * ratio
        if abs(lag - self._input_lag) > _JITTER_SECONDS * input_hz:
            self._input_lag = lag
        return (self._input.until - self._input_lag) / ratio

    @staticmethod
    def _columns(mel: MelColumns, monitor: Monitor, ends: NDArray[np.int64]) -> NDArray[np.uint8]:
        first = int(ends[0]) - mel.window_samples
        sound: Samples = monitor.read(first, int(ends[-1]))
        return mel.columns(sound, ends - first)
