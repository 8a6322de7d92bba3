"""Laws of what comes in: held in order until it is heard, laid on the tape, and missed only when it is too old."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from bridge.audio.input_latency import STAMPS
from bridge.audio.input_ring import InputRing
from bridge.audio.loop_player import LoopPlayer
from bridge.clock.device_clock import DeviceClock
from bridge.tape.live_input import HELD_SECONDS, LiveInput
from bridge.tape.session_tape import SessionTape
from bridge.tape.tape_memory import TapeMemory
from melnet_music.sound.resample import StreamResampler

INPUT_HZ, INSTRUMENT_HZ = 48000, 22050
BLOCK = 4096
CLOCK = DeviceClock(0, 100.0, INPUT_HZ)


class Rig:
    """A device whose blocks come one after the other."""

    def __init__(self) -> None:
        self.ring, self.memory = InputRing.create(1 << 16), TapeMemory.create(1 << 18)
        self.loop_player = LoopPlayer.create(1 << 10)
        self.tape = SessionTape(self.memory, self.loop_player)
        self.tape.use_device(INPUT_HZ)
        self.input = LiveInput(self.ring, self.tape)
        self.input.use_device(INPUT_HZ)
        self._come = 0

    def come(self, sound: NDArray[np.float32], instrument_hz: int | None = INSTRUMENT_HZ) -> None:
        for first in range(0, len(sound), BLOCK):
            block = sound[first : first + BLOCK]
            self.ring.take_in(block, 100.0 + self._come / INPUT_HZ)
            self._come += len(block)
            self.input.take_in(instrument_hz, CLOCK, 0)

    def held(self) -> NDArray[np.float32]:
        held = []
        while self.input.holds_some:
            held.append(self.input.next_held())
        return np.concatenate(held) if held else np.zeros(0, np.float32)


@pytest.fixture
def rig() -> Iterator[Rig]:
    rig = Rig()
    yield rig
    rig.ring.close()
    rig.memory.close()
    rig.loop_player.close()


def noise(seconds: float) -> NDArray[np.float32]:
    return np.random.default_rng(1).standard_normal(round(seconds * INPUT_HZ)).astype(np.float32)


def test_what_comes_is_held_whole_and_lies_on_the_tape(rig: Rig) -> None:
    sound = noise(2.0)
    rig.input.listen(True)
    rig.come(sound)
    assert rig.tape.span == (0, len(sound))
    np.testing.assert_array_equal(rig.tape.audio(0, len(sound)), sound)
    held = rig.held()
    np.testing.assert_array_equal(held, StreamResampler(INPUT_HZ, INSTRUMENT_HZ).push(sound))
    assert rig.input.heard_samples == len(held)
    assert rig.input.missed_samples == 0


def test_nothing_is_held_while_nobody_listens_or_could_hear(rig: Rig) -> None:
    rig.come(noise(0.5))
    rig.input.listen(True)
    rig.come(noise(0.5), instrument_hz=None)
    assert not rig.input.holds_some
    rig.come(noise(0.5))
    assert rig.input.holds_some
    rig.input.use_device(None)  # it is unplugged
    assert not rig.input.listening
    before = rig.held()
    rig.input.use_device(INPUT_HZ)  # and back: listening is to be asked for anew
    rig.come(noise(0.5))
    assert len(before)
    assert not rig.input.holds_some


def test_what_is_too_old_is_missed_and_counted(rig: Rig) -> None:
    rig.input.listen(True)
    rig.come(noise(HELD_SECONDS + 3.0), INPUT_HZ)
    missed = rig.input.missed_samples
    assert 3.0 * INPUT_HZ <= missed < 3.0 * INPUT_HZ + BLOCK
    np.testing.assert_array_equal(rig.held(), noise(HELD_SECONDS + 3.0)[missed:])


def test_samples_that_are_no_numbers_are_silence(rig: Rig) -> None:
    sound = noise(0.5)
    sound[100:103] = np.nan, np.inf, -np.inf
    rig.input.listen(True)
    rig.come(sound, INPUT_HZ)
    sound[100:103] = 0.0
    np.testing.assert_array_equal(rig.held(), sound)


def test_what_was_heard_is_counted_anew_when_listening_begins_anew(rig: Rig) -> None:
    rig.input.listen(True)
    rig.come(noise(1.0), INPUT_HZ)
    rig.input.next_held()
    assert rig.input.heard_samples == BLOCK
    rig.input.listen(True)
    assert rig.input.heard_samples == 0
    rig.input.change_rate()  # for another instrument
    assert not rig.input.holds_some
    rig.come(noise(STAMPS * BLOCK / INPUT_HZ))
    assert rig.tape.input_begin == INPUT_HZ
