"""Pictures of the sound for the panel: what was played and heard, in order, at its pitch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from numpy.typing import NDArray

from bridge.audio.monitor import Monitor
from bridge.panel.mel_columns import BINS, LOWEST_HZ, MelColumns
from bridge.panel.sound_view import COLUMNS_PER_SECOND, HEADER, KIND_COLUMNS, SoundView
from melnet_music.sound.mel_scale import evenly_in_mel

RATE_HZ = 48000
BLOCK = 1024


def sine(hz: float, seconds: float, rate_hz: int = RATE_HZ) -> NDArray[np.float32]:
    return (0.5 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate_hz)) / rate_hz)).astype(np.float32)


@pytest.mark.parametrize("rate_hz", [22050, 44100, 48000, 96000])
@pytest.mark.parametrize("hz", [110.0, 440.0, 1000.0, 5000.0])
def test_a_tone_is_brightest_in_its_own_bin(hz: float, rate_hz: int) -> None:
    mel, tone = MelColumns(rate_hz), sine(hz, 0.5, rate_hz)
    (column,) = mel.columns(tone, np.array([len(tone)]))
    centres = evenly_in_mel(LOWEST_HZ, mel.highest_hz, BINS + 2)[1:-1]
    assert abs(int(column.argmax()) - int(np.abs(centres - hz).argmin())) <= 1


def test_silence_is_black_and_what_is_louder_is_brighter() -> None:
    mel = MelColumns(RATE_HZ)
    ends = np.array([RATE_HZ // 2])
    assert not mel.columns(np.zeros(RATE_HZ // 2, np.float32), ends).any()
    brightest = [int(mel.columns(gain * sine(440.0, 0.5), ends).max()) for gain in (0.001, 0.01, 0.1, 1.0)]
    assert brightest == sorted(set(brightest))
    assert brightest[-1] > 200


def test_columns_do_not_depend_on_how_many_are_looked_at_together() -> None:
    mel, noise = MelColumns(RATE_HZ), np.random.default_rng(1).normal(0, 0.1, RATE_HZ).astype(np.float32)
    ends = np.arange(5000, RATE_HZ, 800)
    one_by_one = [mel.columns(noise, ends[n : n + 1])[0] for n in range(len(ends))]
    np.testing.assert_array_equal(mel.columns(noise, ends), one_by_one)


class Devices:
    """An output and an input whose time passes block by block."""

    def __init__(self, output: Monitor, audio_input: Monitor, input_ahead: int) -> None:
        self.output, self.input = output, audio_input
        self.played = 0
        self.input_ahead = input_ahead

    def pass_time(self, played: NDArray[np.float32], heard: NDArray[np.float32]) -> None:
        for first in range(0, len(played), BLOCK):
            block = slice(first, first + BLOCK)
            self.input.put(heard[block], self.played + self.input_ahead)
            self.output.put(played[block], self.played)
            self.played += len(played[block])

    def clock(self) -> tuple[int, float]:
        last = max(0, self.played - BLOCK)
        return last, 1.0 + last / RATE_HZ

    def input_clock(self) -> tuple[int, float]:
        """A block that came when the output asked for one."""
        last, at_seconds = self.clock()
        return last + self.input_ahead, at_seconds + BLOCK / RATE_HZ


@contextmanager
def watched(input_ahead: int = 0) -> Iterator[tuple[Devices, Callable[[], bytes | None]]]:
    monitors = [Monitor.create(1 << 18) for _ in range(2)]
    devices = Devices(monitors[0], monitors[1], input_ahead)
    try:
        yield devices, SoundView(*monitors, devices.clock, devices.input_clock).look
    finally:
        for monitor in monitors:
            monitor.close()


def unpacked(message: bytes) -> tuple[float, NDArray[np.uint8], NDArray[np.uint8]]:
    kind, bins, count, rate_hz, first, hop, lowest, _ = HEADER.unpack_from(message)
    assert (kind, bins, rate_hz, hop, lowest) == (KIND_COLUMNS, BINS, RATE_HZ, RATE_HZ / COLUMNS_PER_SECOND, LOWEST_HZ)
    made, heard = np.frombuffer(message, np.uint8, offset=HEADER.size).reshape(2, count, bins)
    return first, made, heard


def test_there_is_nothing_to_see_without_a_device() -> None:
    with watched() as (devices, look):
        assert look() is None
        assert math.isnan(SoundView(devices.output, devices.input, devices.clock, devices.input_clock).device_time())


@pytest.mark.parametrize("input_ahead", [0, 12345])
def test_each_column_is_told_once_in_order_with_the_input_beside_it(input_ahead: int) -> None:
    with watched(input_ahead) as (devices, look):
        for device in (devices.output, devices.input):
            device.begin(RATE_HZ)
        hop, places = RATE_HZ // COLUMNS_PER_SECOND, []
        low, high = sine(220.0, 0.25), sine(3000.0, 0.25)
        for _ in range(8):
            devices.pass_time(low, high)
            message = look()
            assert message
            first, made, heard = unpacked(message)
            places += [round(first + n * hop) for n in range(len(made))]
        assert {round(step) for step in np.diff(places)} == {hop}
        assert made[-1].argmax() < heard[-1].argmax()
        assert look() is None


def test_who_looks_seldom_sees_the_latest() -> None:
    with watched() as (devices, look):
        devices.output.begin(RATE_HZ)
        devices.pass_time(sine(440.0, 4.0), np.zeros(4 * RATE_HZ, np.float32))
        message = look()
        assert message
        first, made, heard = unpacked(message)
        hop = RATE_HZ // COLUMNS_PER_SECOND
        assert first + len(made) * hop > devices.played - RATE_HZ // 8
        assert len(made) <= COLUMNS_PER_SECOND
        assert not heard.any()


def test_a_device_whose_time_begins_anew_is_seen_again() -> None:
    with watched() as (devices, look):
        devices.output.begin(RATE_HZ)
        devices.pass_time(sine(440.0, 4.0), np.zeros(4 * RATE_HZ, np.float32))
        assert look()
        devices.played = 0
        devices.pass_time(sine(440.0, 0.5), np.zeros(RATE_HZ // 2, np.float32))
        message = look()
        assert message
        assert unpacked(message)[0] < RATE_HZ // 2
