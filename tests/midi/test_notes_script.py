"""Planned notes as MIDI messages: in time with a sound device's clock, and released whatever comes in between."""

from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.clock.device_clock import DeviceClock, HeardClock
from bridge.clock.due_sender import DueSender
from bridge.midi.notes_script import EndNotes, MoveNotes, NotesRequest, NotesScript, PlayNotes
from bridge.processes.job import SoundingNote

RATE_HZ = 1000
LATENCY_SECONDS = 0.02
CLOCK = HeardClock(DeviceClock(0, 50.0, RATE_HZ), LATENCY_SECONDS)
"""Device time begins at a monotonic time of 50 s; a sample is a millisecond."""


def on(key: int, velocity: int = 80) -> bytes:
    return bytes([0x90, key, velocity])


def off(key: int) -> bytes:
    return bytes([0x80, key, 64])


def heard(sample: float) -> float:
    return CLOCK.seconds_of(sample)


def playing(*notes: SoundingNote, take: int = 1) -> NotesScript:
    script = NotesScript()
    assert script.follow(PlayNotes(take, notes, CLOCK), heard(0)) == []
    return script


def run(script: NotesScript, until_sample: float = 1e9) -> list[tuple[int, bytes]]:
    """What is sent, and at which sample it is heard."""
    sent = []
    while (due := script.due_seconds) is not None and due <= heard(until_sample):
        sent += [(round((due - heard(0)) * RATE_HZ), message) for message in script.tick(due)]
    return sent


def test_notes_begin_and_end_when_they_are_heard() -> None:
    script = playing((200, 300, 64, 90), (100, 250, 60, 80))
    assert script.due_seconds == pytest.approx(50.1 + LATENCY_SECONDS)
    assert run(script) == [(100, on(60)), (200, on(64, 90)), (250, off(60)), (300, off(64))]
    assert script.due_seconds is None


def test_a_key_that_is_struck_again_is_released_before() -> None:
    assert run(playing((100, 200, 60, 80), (200, 300, 60, 90))) == [
        (100, on(60)), (200, off(60)), (200, on(60, 90)), (300, off(60))
    ]  # fmt: skip
    assert run(playing((100, 400, 60, 80), (200, 300, 60, 90))) == [
        (100, on(60)), (200, off(60)), (200, on(60, 90)), (300, off(60))
    ]  # fmt: skip


def test_a_take_that_ends_is_released_there_and_others_go_on() -> None:
    script = playing((100, 400, 60, 80), (350, 500, 61, 80))
    script.follow(PlayNotes(2, ((100, 400, 62, 80), (350, 500, 63, 80)), CLOCK), heard(0))
    assert len(run(script, 200)) == 2
    assert script.follow(EndNotes(1, 300.0), heard(200)) == []
    assert run(script) == [(300, off(60)), (350, on(63)), (400, off(62)), (500, off(63))]


def test_what_has_begun_in_the_device_by_then_is_heard_and_released() -> None:
    script = playing((100, 400, 60, 80))
    script.follow(EndNotes(None, 105.0), heard(90))
    assert run(script) == [(100, on(60)), (105, off(60))]


def test_at_once_all_is_released_and_dropped() -> None:
    script = playing((100, 400, 60, 80), (100, 400, 64, 80), (200, 500, 61, 80))
    run(script, 150)
    assert script.follow(EndNotes(2), heard(150)) == []
    assert script.follow(EndNotes(1), heard(150)) == [off(60), off(64)]
    assert script.due_seconds is None


def test_notes_move_with_their_take_and_with_the_clock() -> None:
    script = playing((100, 400, 60, 80), (500, 600, 61, 80))
    run(script, 200)
    script.follow(MoveNotes(2, 1000), heard(200))
    script.follow(MoveNotes(1, 50), heard(200))
    assert run(script, 450) == [(450, off(60))]
    slower = DeviceClock(400, CLOCK.clock.monotonic_at(400), RATE_HZ // 2)
    script.follow(HeardClock(slower, LATENCY_SECONDS), heard(450))
    assert script.due_seconds == pytest.approx(heard(400) + 150 / 500)


def test_what_is_far_too_late_is_left_out() -> None:
    script = playing((100, 200, 60, 80), (900, 1100, 61, 80))
    assert script.tick(heard(1000)) == [on(61)]
    assert run(script) == [(1100, off(61))]


NOTES = st.lists(st.tuples(st.integers(0, 900), st.integers(1, 300), st.integers(60, 63)), max_size=20)


@settings(deadline=None)
@given(NOTES, NOTES, st.integers(0, 1200), st.integers(0, 1200), st.booleans())
def test_no_key_is_left_sounding(
    first: list[tuple[int, int, int]], second: list[tuple[int, int, int]], at: int, ends_at: int, now: bool
) -> None:
    """Each key is struck and released in turn, and what begins before a take's end is played once."""
    takes = [tuple((begin, begin + length, key, 80) for begin, length, key in notes) for notes in (first, second)]
    script = playing(*takes[0])
    script.follow(PlayNotes(2, takes[1], CLOCK), heard(0))
    sent = run(script, at)
    sent += [(at, message) for message in script.follow(EndNotes(1, None if now else ends_at), heard(at))]
    sent += run(script)
    for key in range(60, 64):
        assert [message[0] for _, message in sent if message[1] == key] == [0x90, 0x80] * (
            sum(note[2] == key for note in takes[1])
            + sum(note[2] == key and (note[0] <= at or (not now and note[0] < ends_at)) for note in takes[0])
        )


def test_the_thread_sends_in_time_and_releases_when_it_is_closed() -> None:
    sent: list[tuple[float, bytes]] = []
    struck = threading.Event()

    def send(message: bytes) -> None:
        sent.append((time.monotonic(), message))
        if message == on(61):
            struck.set()

    sender: DueSender[NotesRequest] = DueSender("notes", NotesScript(), send)
    clock = HeardClock(DeviceClock(0, time.monotonic(), RATE_HZ), LATENCY_SECONDS)
    sender.put(PlayNotes(1, ((100, 150, 60, 80), (200, 60_000, 61, 80), (50_000, 60_000, 62, 80)), clock))
    assert struck.wait(20.0)
    sender.close(EndNotes())
    assert [message for _, message in sent] == [on(60), off(60), on(61), off(61)]
    for (at, _), sample in zip(sent, (100, 150, 200), strict=False):
        assert at >= clock.seconds_of(sample)
