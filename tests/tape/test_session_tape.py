from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from bridge.audio.input_latency import STAMPS
from bridge.audio.loop_player import FADE_SAMPLES, LoopPlayer
from bridge.clock.device_clock import DeviceClock
from bridge.tape.edit_history import Edit
from bridge.tape.note_tape import TapedNote
from bridge.tape.session_tape import Loop, SessionTape, edit_of
from bridge.tape.tape_memory import TapeMemory
from melnet_music.notes.note_map import Note

RATE_HZ = 48000
BLOCK = 1000


def noise(seed: int, length: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal(length).astype(np.float32)


@pytest.fixture
def memory() -> Iterator[TapeMemory]:
    memory = TapeMemory.create(1 << 18)
    yield memory
    memory.close()


@pytest.fixture
def loop_player() -> Iterator[LoopPlayer]:
    loop_player = LoopPlayer.create(1 << 17)
    yield loop_player
    loop_player.close()


@pytest.fixture
def tape(memory: TapeMemory, loop_player: LoopPlayer) -> SessionTape:
    tape = SessionTape(memory, loop_player)
    tape.use_device(RATE_HZ)
    return tape


def take_in(tape: SessionTape, sound: NDArray[np.float32], input_hz: int, late_samples: int) -> None:
    """Input whose first sample comes when the device has asked for 7,000 samples."""
    clock = DeviceClock(7000, 100.0, RATE_HZ)
    tape.begin_input(input_hz, 500)
    for first in range(0, len(sound), BLOCK):
        stamp = 500 + first, 100.0 + first / input_hz
        tape.record_input(sound[first : first + BLOCK], stamp, clock, late_samples)


def test_input_lies_where_it_was_heard(tape: SessionTape) -> None:
    sound = noise(1, 20 * BLOCK)
    take_in(tape, sound, RATE_HZ, 300)
    assert tape.span == (6700, 6700 + len(sound))
    np.testing.assert_array_equal(tape.audio(6700, 6700 + len(sound)), sound)
    assert tape.holds(6700, 26700)
    assert tape.slips == 0


def test_input_of_another_rate_lies_there_too(tape: SessionTape) -> None:
    times = np.arange(20 * BLOCK) / 44100
    take_in(tape, np.sin(2 * np.pi * 440 * times).astype(np.float32), 44100, 0)
    first, stop = tape.span
    assert first == 7000
    expected = np.sin(2 * np.pi * 440 * np.arange(stop - first) / RATE_HZ)
    np.testing.assert_allclose(tape.audio(first, stop)[500:-500], expected[500:-500], atol=1e-3)


def test_nothing_is_laid_before_its_place_is_known(tape: SessionTape) -> None:
    take_in(tape, noise(2, (STAMPS - 1) * BLOCK), RATE_HZ, 0)
    assert tape.span == (0, 0)


def played(loop_player: LoopPlayer, first: int, stop: int) -> NDArray[np.float32]:
    out = np.zeros(stop - first, np.float32)
    loop_player.add(out, first)
    return out


def test_an_edit_is_heard_from_the_next_pass_on_and_undone_again(tape: SessionTape, loop_player: LoopPlayer) -> None:
    sound = noise(3, 20000)
    tape.record_take(10000, sound)
    tape.start_loop(12000, 22000, 40000)
    first_pass = played(loop_player, 40000, 50000)
    np.testing.assert_array_equal(first_pass[FADE_SAMPLES:9000], sound[2000:12000][FADE_SAMPLES:9000])
    tape.add(Edit(7, 15000, noise(4, 3000)))
    assert tape.refresh_loop(50000) == 60000
    second_pass = played(loop_player, 50000, 60000)
    np.testing.assert_array_equal(second_pass[:9000], sound[2000:11000])
    third_pass = played(loop_player, 60000, 70000)
    changed = np.flatnonzero(third_pass != second_pass)
    assert (changed[0], changed[-1]) == (3000, 5999)
    assert tape.undo()
    assert not tape.undo()
    assert tape.refresh_loop(70000) == 80000
    played(loop_player, 70000, 80000)
    np.testing.assert_array_equal(played(loop_player, 80000, 90000), second_pass)
    assert tape.redo()
    assert tape.takes == (7,)
    tape.add(Edit(8, 15000, noise(5, 3000)), instead_of=7)
    assert tape.takes == (8,)


def test_a_loop_ends_in_what_comes_before_it(tape: SessionTape, loop_player: LoopPlayer) -> None:
    """So that its end and its beginning are joined as the tape is."""
    tape.record_take(10000, np.arange(20000, dtype=np.float32))
    tape.start_loop(12000, 22000, 0)
    turn = played(loop_player, 0, 20001)[9990:10010]
    np.testing.assert_allclose(turn[9:11], [1999.0, 2000.0])


def test_passes() -> None:
    loop = Loop(0, 100, 1000)
    assert [loop.pass_at_or_after(sample) for sample in (0, 1000, 1000.5, 1099, 1100, 1101)] == [
        1000, 1000, 1100, 1100, 1100, 1200,
    ]  # fmt: skip


def test_a_device_of_another_rate_has_a_blank_tape(
    tape: SessionTape, memory: TapeMemory, loop_player: LoopPlayer
) -> None:
    tape.record_take(0, np.ones(100, np.float32))
    tape.add(Edit(1, 0, np.ones(100, np.float32)))
    assert not tape.use_device(None)
    assert not tape.use_device(RATE_HZ)
    assert tape.holds(0, 100)
    next_player = SessionTape(memory, loop_player)
    for each in (tape, next_player):
        assert each.rate_hz == RATE_HZ
        assert each.use_device(44100)
        assert not each.holds(0, 1)
        assert each.takes == ()


def test_notes_of_a_part_are_those_that_sound_there(tape: SessionTape) -> None:
    tape.notes.add("played", [TapedNote(4800, 14400, 60, 90), TapedNote(40000, 41000, 61, 90)])
    tape.notes.add("made", [TapedNote(20000, 21000, 62, 80), TapedNote(24000, 60000, 63, 70)])
    tape.add(Edit(7, 19000, noise(4, 3000)))
    assert tape.notes_in(9600, 33600) == [Note(0.0, 0.1, 60, 90), Note(0.3, 0.5, 63, 70)]


def test_notes_of_repaintings_are_those_that_are_on_top(tape: SessionTape) -> None:
    tape.notes.add("made", [TapedNote(20000, 30000, 62, 80)])
    notes = [Note(0.0, 0.1, 70, 80), Note(0.2, 9.0, 71, 80), Note(0.6, 0.7, 72, 80)]
    tape.add(edit_of(7, noise(4, 24000), RATE_HZ, 0.0, (19200, 43200), RATE_HZ, notes=notes))
    there = [Note(0.0, 0.1, 70, 80), Note(pytest.approx(0.2), pytest.approx(0.5), 71, 80)]
    assert tape.notes_in(19200, 48000) == there
    tape.add(Edit(8, 28000, noise(5, 2000)))
    assert tape.notes_in(19200, 48000) == there[:1]
    tape.undo()
    assert tape.notes_in(19200, 48000) == there


def test_a_take_becomes_an_edit_without_its_margins() -> None:
    take = np.concatenate([np.zeros(1000), np.ones(2000), np.zeros(1000)]).astype(np.float32)
    edit = edit_of(3, take, RATE_HZ, 1000 / RATE_HZ, (500, 2500), RATE_HZ)
    assert (edit.first, edit.stop) == (500, 2500)
    assert edit.samples.min() == 1.0
