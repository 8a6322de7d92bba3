"""The clock that is sent: at the times of the music's beats, and so that a slave is where we are."""

from __future__ import annotations

import threading
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bridge.clock.device_clock import DeviceClock
from bridge.clock.midi_clock_follower import CONTINUE, SONG_POSITION, START, STOP, TICK, MidiClockFollower
from bridge.clock.midi_clock_sender import MidiClockSender
from bridge.clock.midi_clock_ticks import ClockPlan, ClockScript
from bridge.clock.transport import Meter, Timeline

RATE_HZ = 48000


def plan_of(timeline: Timeline, places: int = 0, latency_seconds: float = 0.0) -> ClockPlan:
    """Device time begins at a monotonic time of 50 s."""
    return ClockPlan(timeline, DeviceClock(0, 50.0, RATE_HZ), latency_seconds, places)


def run(script: ClockScript, until: float) -> list[tuple[float, bytes]]:
    sent = []
    while (due := script.due_seconds) is not None and due < until:
        sent += [(due, message) for message in script.tick(due)]
    return sent


@settings(deadline=None)
@given(st.floats(10, 400), st.floats(-20, 4000), st.floats(0, 0.2))
@example(23.0, 1.875, 0.0)  # so far below the tempo that a follower expects that a tick seemed to be missing
def test_a_slave_is_where_we_are(bpm: float, beat: float, latency_seconds: float) -> None:
    plan = plan_of(Timeline.steady(bpm, Meter()).located(beat, 0.0, bpm), latency_seconds=latency_seconds)
    script, slave = ClockScript(), MidiClockFollower()
    for message in script.follow(plan, 50.0):
        slave.hear(50.0, message)
    last = max(0.0, -beat * 60.0 / bpm) + 200 * 60.0 / bpm / 24
    for at, message in run(script, 50.0 + latency_seconds + last):
        slave.hear(at, message)
    heard = plan.timeline.beat_at(last)
    assert slave.beat_at(50.0 + latency_seconds + last) == pytest.approx(heard, abs=0.02)
    assert slave.places == 1


def test_what_is_sent_when_the_music_goes_elsewhere_and_stops() -> None:
    timeline = Timeline.steady(120, Meter())
    script = ClockScript()
    assert script.follow(plan_of(timeline), 50.0) == [bytes([SONG_POSITION, 1, 0])]  # the beginning is too near
    assert [message[0] for _, message in run(script, 50.2)] == [TICK] * 6 + [CONTINUE] + [TICK] * 4
    slower = timeline.with_tempo(60, 0.2)
    assert script.follow(plan_of(slower), 50.2) == []
    times = [at for at, message in run(script, 51.0) if message[0] == TICK]
    assert times[1] - times[0] == pytest.approx(60 / 60 / 24)
    there = slower.located(400.0, 1.0, 60.0)
    assert script.follow(plan_of(there, places=1), 51.0) == [bytes([STOP]), bytes([SONG_POSITION, 1601 & 0x7F, 12])]
    begins = slower.located(-1.0, 1.0, 60.0)
    script.follow(plan_of(begins, places=2), 51.0)
    sent = [message for at, message in run(script, 52.1)]
    assert sent.index(bytes([START])) == 24
    assert script.follow(None, 52.1) == [bytes([STOP])]
    assert script.due_seconds is None


def test_what_is_past_after_a_sleep_is_left_out() -> None:
    script = ClockScript()
    script.follow(plan_of(Timeline.steady(120, Meter())), 50.0)
    run(script, 51.0)
    sent = script.tick(71.0)
    assert sent[0] == bytes([STOP])
    assert len(sent) == 2
    assert script.due_seconds == pytest.approx(71.0, abs=0.021)


def test_the_thread_sends_every_tick_once_and_stops_the_slave_at_the_end() -> None:
    sent: list[bytes] = []
    enough = threading.Event()

    def send(message: bytes) -> None:
        sent.append(message)
        if len(sent) > 40:
            enough.set()

    clock = MidiClockSender(send)
    now = time.monotonic()
    clock.lead(ClockPlan(Timeline.steady(400, Meter()), DeviceClock(0, now, RATE_HZ), 0.0, 0))
    assert enough.wait(20.0)
    clock.lead(None)
    clock.close()
    assert sent.count(bytes([CONTINUE])) == 1
    assert sent[-1] == bytes([STOP])
    elapsed_ticks = (time.monotonic() - now) * 400 / 60 * 24
    assert 40 <= sent.count(bytes([TICK])) + 2 <= elapsed_ticks + 3
