"""A take that begins on the line where another one ends follows it to the sample, and each can be dropped alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from scripted_instrument import COUNT_STEP, counted

from bridge.audio.output_ring import FADE_SAMPLES, OutputRing
from bridge.audio.shared_samples import Samples
from bridge.clock.device_clock import Line
from bridge.processes.job import Job
from bridge.takes.take import Take

RATE_HZ = 48000
BLOCK = 256
FIRST_LINE = 1000
LENGTH = 36_000


@pytest.fixture
def ring() -> Iterator[OutputRing]:
    ring = OutputRing.create(1 << 17)
    yield ring
    ring.close()


def take(number: int, line_sample: int, made: int = LENGTH, rate: float = 1.0) -> Take:
    job = Job(number, "generate", 0, LENGTH / RATE_HZ, line=Line(line_sample, RATE_HZ))
    one = Take(job, accepted_at=0.0, sample_rate_hz=RATE_HZ, output_hz=RATE_HZ, rate=rate, block_seconds=0.1)
    one.add(counted(0, made), made / RATE_HZ / rate)
    if made == LENGTH:
        one.finish_generation()
    return one


class Device:
    """Asks for block after block, and lets the first of its takes feed the ring, as the player does."""

    def __init__(self, ring: OutputRing, *takes: Take) -> None:
        self.ring, self.takes = ring, list(takes)
        self.heard: list[Samples] = []

    def play(self, until: Callable[[], bool]) -> None:
        while not until():
            while self.takes:
                self.takes[0].feed(self.ring, None)
                if not self.takes[0].over(self.ring):
                    break
                self.takes.pop(0)
            if len(self.takes) > 1:
                self.takes[1].chain(self.ring, self.takes[0])
            block = np.empty(BLOCK, np.float32)
            self.ring.play(block, len(self.heard) * BLOCK / RATE_HZ)
            self.heard.append(block)

    def play_to_the_end(self) -> Samples:
        self.play(lambda: not self.takes)
        return np.concatenate(self.heard)


@pytest.mark.parametrize("pause", [0, 1, 300, 11_000, -1, -200])
def test_the_second_begins_on_its_line_however_near_it_is(ring: OutputRing, pause: int) -> None:
    line = FIRST_LINE + LENGTH + pause
    first, second = take(1, FIRST_LINE), take(2, line)
    heard = Device(ring, first, second).play_to_the_end()
    np.testing.assert_array_equal(heard[FIRST_LINE:][:LENGTH], counted(0, LENGTH))
    left_out = max(0, -pause)
    assert not heard[FIRST_LINE + LENGTH : line].any()
    np.testing.assert_array_equal(heard[line + left_out :][: LENGTH - left_out], counted(left_out, LENGTH - left_out))
    sounded = second.sounded(ring)
    assert sounded is not None
    assert sounded[0] == line + left_out
    assert (first.gaps(ring), second.gaps(ring)) == ((0, 0), (0, 0))


def test_a_line_that_is_past_by_more_is_not_chained(ring: OutputRing) -> None:
    device = Device(ring, take(1, FIRST_LINE), take(2, FIRST_LINE + LENGTH - 1000))
    second = device.takes[1]
    device.play(lambda: ring.read > LENGTH - 2 * BLOCK)
    assert not second.opened


def test_one_of_which_too_little_is_made_is_not_chained(ring: OutputRing) -> None:
    device = Device(ring, take(1, FIRST_LINE), take(2, FIRST_LINE + LENGTH, made=4800, rate=0.25))
    second = device.takes[1]
    device.play(lambda: ring.read > LENGTH - 2 * BLOCK)
    assert not second.opened


def test_the_second_outlives_the_first(ring: OutputRing) -> None:
    line = FIRST_LINE + LENGTH
    device = Device(ring, take(1, FIRST_LINE), take(2, line))
    second = device.takes[1]
    device.play(lambda: second.opened)
    ring.cut()
    second.rewind()
    device.takes.pop(0)
    cut_at = len(device.heard) * BLOCK
    heard = device.play_to_the_end()
    assert not heard[cut_at + FADE_SAMPLES : line].any()
    np.testing.assert_array_equal(heard[line:][:LENGTH], counted(0, LENGTH))


def test_the_first_outlives_the_second(ring: OutputRing) -> None:
    device = Device(ring, take(1, FIRST_LINE), take(2, FIRST_LINE + LENGTH))
    second = device.takes[1]
    device.play(lambda: second.opened)
    assert ring.take_back(second.sound_from)
    ring.finish()
    device.takes.pop(1)
    heard = device.play_to_the_end()
    np.testing.assert_array_equal(heard[FIRST_LINE:][:LENGTH], counted(0, LENGTH))
    assert heard.max() == np.float32(LENGTH * COUNT_STEP)
    assert not heard[FIRST_LINE + LENGTH :].any()


def test_a_chained_take_stays_where_it_is(ring: OutputRing) -> None:
    device = Device(ring, take(1, FIRST_LINE), take(2, FIRST_LINE + LENGTH))
    second = device.takes[1]
    device.play(lambda: second.opened)
    second.move_to(Line(FIRST_LINE + 2 * LENGTH, RATE_HZ), ring)
    heard = device.play_to_the_end()
    np.testing.assert_array_equal(heard[FIRST_LINE + LENGTH :][:LENGTH], counted(0, LENGTH))
