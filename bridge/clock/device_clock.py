"""Device time against the clock: samples that the sound device has asked for, against monotonic seconds."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from bridge.clock.rate_estimator import RateEstimator


@dataclass(frozen=True)
class DeviceClock:
    """What a block of the device told: its first sample, and when the device asked for it."""

    sample: int
    at_seconds: float
    """Monotonic. What is asked for then is heard later, by the device's latency."""
    rate_hz: int

    def sample_at(self, monotonic_seconds: float) -> float:
        """The device time asked for at a time."""
        return self.sample + (monotonic_seconds - self.at_seconds) * self.rate_hz

    def monotonic_at(self, sample: float) -> float:
        """When a device time is asked for."""
        return self.at_seconds + (sample - self.sample) / self.rate_hz


@dataclass(frozen=True)
class HeardClock:
    """When samples are heard. A value, so that another thread or process can go by it until a newer one comes."""

    clock: DeviceClock
    latency_seconds: float
    """From when the device asks for a sample to when it is heard."""

    def seconds_of(self, sample: float) -> float:
        """Monotonic time at which a sample is heard."""
        return self.clock.monotonic_at(sample) + self.latency_seconds


@dataclass(frozen=True)
class Line:
    """Where a take shall begin: a line of the music, in device time, and the lines that follow it."""

    sample: float
    every_samples: float
    """From a line to the next."""

    def at_or_after(self, sample: float) -> Line:
        """The first of the lines that is not before a device time."""
        missing = math.ceil((sample - self.sample) / self.every_samples) if sample > self.sample else 0
        return Line(self.sample + missing * self.every_samples, self.every_samples)

    @property
    def first_sample(self) -> int:
        """The device's own count of the line."""
        return round(self.sample)


ReadClock = Callable[[], tuple[int, float]]
"""(device time of the last block, monotonic seconds at which it was asked for); 0, 0.0 before the first."""


def read_device_clock(read: ReadClock, rate_hz: int) -> DeviceClock | None:
    """The clock as it is now; None before the device has asked for anything."""
    sample, at_seconds = read()
    return DeviceClock(sample, at_seconds, rate_hz) if at_seconds else None


class SmoothedDeviceClock:
    """The device's clock without the unsteadiness of its callbacks; to be looked at several times a second."""

    _KEPT = 0.97
    """Of the weight of what came before, from look to look: a few seconds are remembered."""
    _RESTART_SECONDS = 0.03
    """So far from the line the device has lost blocks, or is another one."""

    def __init__(self, read: ReadClock, rate_hz: int) -> None:
        self._read, self._rate_hz = read, rate_hz
        self._line: RateEstimator | None = None

    def now(self) -> DeviceClock | None:
        """The clock as it is now; None before the device has asked for anything."""
        sample, at_seconds = self._read()
        if not at_seconds:
            return None
        line = self._line
        if line is None or abs(at_seconds - line.seconds_at(sample)) > self._RESTART_SECONDS:
            self._line = line = RateEstimator(sample, at_seconds, 1.0 / self._rate_hz)
        elif sample != line.count:
            line.add(sample, at_seconds, self._KEPT)
        return DeviceClock(sample, line.seconds, self._rate_hz)
