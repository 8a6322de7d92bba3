"""A music's clock in made-up time: a device, and a master that is moved by hand."""

from __future__ import annotations

import random
from dataclasses import dataclass

import pytest

from bridge.clock.midi_clock_follower import State
from bridge.stage import device_transport as device_transport
from bridge.stage.device_transport import DeviceTransport

RATE_HZ = 48000
_BLOCK_SECONDS = 1024 / RATE_HZ


class Now:
    """Monotonic time, and a device whose callbacks come when they are due, or a little later."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds = 1000.0
        self._late = random.Random(1)
        monkeypatch.setattr(device_transport, "time", self)

    def monotonic(self) -> float:
        return self.seconds

    def read_device(self) -> tuple[int, float]:
        block = int((self.seconds - 900.0) / _BLOCK_SECONDS)
        return block * 1024, 900.0 + block * _BLOCK_SECONDS + self._late.uniform(0.0, 0.002)


@dataclass
class Master:
    """A `ClockSource` that is moved by hand."""

    bpm: float = 120.0
    beat: float | None = 0.0
    since: float = 1000.0
    places: int = 1

    @property
    def tempo_bpm(self) -> float:
        return self.bpm

    def state_at(self, seconds: float) -> State:
        return "stopped" if self.beat is None else "running"

    def beat_at(self, seconds: float, bar_beats: float) -> float | None:
        return None if self.beat is None else self.beat + (seconds - self.since) * self.bpm / 60.0

    def go(self, now: float, bpm: float) -> None:
        """Another tempo from now on."""
        self.beat, self.since, self.bpm = self.beat_at(now, 4.0), now, bpm

    def set_tempo(self, bpm: float) -> None: ...

    def close(self) -> None: ...


def keep_up(transport: DeviceTransport, now: Now, seconds: float) -> list[str]:
    followed = []
    for _ in range(round(seconds / 0.05)):
        now.seconds += 0.05
        followed.append(transport.keep_up())
    return followed
