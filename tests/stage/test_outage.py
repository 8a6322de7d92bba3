"""Bars while the sound device is away, and after it: where they would be without the outage."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from bridge.audio.output_ring import OutputRing
from bridge.clock.transport import Meter, Place
from bridge.stage.device_transport import DeviceTransport

RATE_HZ = 48000
BLOCK = 480


class Clock:
    """Stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("bridge.stage.device_transport.time.monotonic", clock)
    return clock


@pytest.fixture
def output_ring() -> Iterator[OutputRing]:
    ring = OutputRing.create(1 << 12)
    yield ring
    ring.close()


def play(ring: OutputRing, clock: Clock, seconds: float, rate_hz: int = RATE_HZ) -> None:
    for _ in range(round(seconds * rate_hz / BLOCK)):
        ring.play(np.empty(BLOCK, np.float32), clock.now)
        clock.now += BLOCK / rate_hz


def test_bars_are_where_they_would_be_without_the_outage(output_ring: OutputRing, clock: Clock) -> None:
    transport = DeviceTransport(output_ring.clock, 120.0, Meter())
    began = clock.now
    transport.use_device(RATE_HZ)
    play(output_ring, clock, 3.0)
    transport.set_tempo(60.0)  # on beat 6
    played = [transport.place_of(sample) for sample in range(0, 3 * RATE_HZ, 10_000)]
    transport.use_device(None)
    assert not transport.has_device
    clock.now += 10.0
    assert transport.place == Place(4, pytest.approx(0.0, abs=1e-6))
    transport.use_device(RATE_HZ)  # before the new audio process's first block
    assert transport.beat == pytest.approx(16.0)
    clock.now += 0.5
    other = OutputRing.attach(output_ring.name)
    other.resume(RATE_HZ)
    play(other, clock, 2.0)
    assert transport.beat == pytest.approx(6.0 + (clock.now - began - 3.0))
    assert [transport.place_of(sample) for sample in range(0, 3 * RATE_HZ, 10_000)] == played
    assert transport.in_device_time(transport.line_at(Place(1, 0.0))).first_sample == 2 * RATE_HZ
    other.close()


def test_a_device_of_another_rate_goes_on_from_the_beat_where_the_music_is(
    output_ring: OutputRing, clock: Clock
) -> None:
    transport = DeviceTransport(output_ring.clock, 120.0, Meter())
    transport.use_device(RATE_HZ)
    play(output_ring, clock, 3.0)
    transport.use_device(None)
    clock.now += 10.0
    transport.use_device(44100)
    assert transport.beat == pytest.approx(26.0)
    other = OutputRing.attach(output_ring.name)
    other.resume(44100)
    play(other, clock, 2.0, 44100)
    assert transport.beat == pytest.approx(30.0, abs=0.01)
    other.close()
