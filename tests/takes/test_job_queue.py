"""What is promised is kept: takes that wait for lines and takes that do not, in whatever order they are asked for."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.clock.device_clock import DeviceClock, Line
from bridge.processes.job import Job
from bridge.processes.messages import Load, PrimeClear, QueuedRequest, RequestError
from bridge.protocol.types import Late
from bridge.takes.job_queue import JobQueue, Pace

RATE_HZ = 48000
BAR = 2 * RATE_HZ
PACE = Pace(rate=20.0, first_sound_seconds=0.05, block_seconds=0.2)


def schedule(
    *waiting: QueuedRequest, now: float = 0.0, playing: float = 0.0, making: float = 0.0, pace: Pace = PACE
) -> JobQueue:
    return JobQueue(pace, DeviceClock(0, 0.0, RATE_HZ), now, playing, making, waiting, listens=False)


def job(number: int, seconds: float = 1.0, line_in: float | None = None, late: Late = "next") -> Job:
    line = None if line_in is None else Line(line_in * RATE_HZ, BAR)
    return Job(number, "generate", 0, seconds, line=line, late=late)


def at_once(line: Line) -> float:
    del line
    return 0.0


class Instrument:
    """Makes takes exactly at its pace, and plays them: when does each one begin to sound?"""

    def __init__(self, pace: Pace) -> None:
        self.now = 0.0
        self.promised: dict[int, float] = {}
        self.began: dict[int, float] = {}
        self._pace = pace
        self._waiting: list[Job] = []
        self._made_at = 0.0
        self._played_at = 0.0

    def ask(self, asked: Job) -> None:
        promised, ready_in = self._schedule().promise(asked, at_once)
        line = promised.line
        self.promised[asked.number] = line.sample / RATE_HZ if line else self.now + ready_in
        self._waiting.append(promised)

    def go_on(self, until: float) -> None:
        while True:
            self.now = max(self.now, min(self._made_at, until))
            if self.now >= until:
                return
            place = self._schedule().next_index()
            if place is None:
                self.now = min(until, self.now + self._schedule().next_start_in_seconds() + 1e-6)
            else:
                self._begin(self._waiting.pop(place))

    def _schedule(self) -> JobQueue:
        playing, making = (max(0.0, until - self.now) for until in (self._played_at, self._made_at))
        return schedule(*self._waiting, now=self.now, playing=playing, making=making, pace=self._pace)

    def _begin(self, begun: Job) -> None:
        line = begun.line.sample / RATE_HZ if begun.line else 0.0
        start = max(self.now + self._pace.wait_seconds(begun), self._played_at, line)
        self.began[begun.number] = start
        self._played_at = start + begun.length_seconds
        self._made_at = self.now + begun.seconds / self._pace.rate


ASKED = st.tuples(st.floats(0.0, 10.0), st.floats(0.5, 20.0), st.one_of(st.none(), st.floats(0.0, 60.0)))


@settings(max_examples=300, deadline=None)
@given(st.floats(0.4, 20.0), st.lists(ASKED, min_size=1, max_size=7))
def test_promises_are_kept(rate: float, asked: list[tuple[float, float, float | None]]) -> None:
    instrument = Instrument(replace(PACE, rate=rate))
    for number, (after, seconds, line_in) in enumerate(asked):
        instrument.go_on(instrument.now + after)
        line_at = None if line_in is None else instrument.now + line_in
        instrument.ask(job(number, seconds, line_at))
    instrument.go_on(1e6)
    assert instrument.began.keys() == instrument.promised.keys()
    for number, promised in instrument.promised.items():
        assert instrument.began[number] <= promised + 0.01


def test_a_short_take_goes_before_one_that_waits_for_a_far_line_and_a_long_one_does_not() -> None:
    far = job(1, 4.0, 30.0)
    assert schedule(far, job(2, 10.0)).next_index() == 1
    assert schedule(far, job(2, 40.0)).next_index() is None
    assert schedule(far, job(2, 10.0), playing=20.0).next_index() is None
    assert schedule(far, job(2, 10.0), now=29.0).next_index() == 0


def test_a_promise_counts_what_may_not_go_before() -> None:
    far = job(1, 4.0, 30.0)
    short, ready_in = schedule(far).promise(job(2, 10.0), at_once)
    assert short.line is None
    assert ready_in == pytest.approx(PACE.wait_seconds(short))
    long, ready_in = schedule(far).promise(job(2, 40.0), at_once)
    assert ready_in == pytest.approx(34.0 + PACE.wait_seconds(long), abs=0.01)


def test_what_was_requested_after_a_load_waits_for_it() -> None:
    load = Load(1, "other", 2)
    assert schedule(load, job(3)).next_index() is None
    assert schedule(job(3), load).next_index() == 0
    assert schedule(PrimeClear(1), job(2)).next_index() == 0


@pytest.mark.parametrize(("late", "met"), [("next", Line(BAR, BAR)), ("play", None)])
def test_what_is_too_late_for_its_line(late: Late, met: Line | None) -> None:
    promised, ready_in = schedule().promise(job(1, 4.0, 0.0, late), at_once)
    assert promised.line == met
    assert ready_in == pytest.approx(PACE.wait_seconds(promised))


def test_what_is_too_late_is_dropped_if_that_was_asked_for() -> None:
    with pytest.raises(RequestError, match=r"ready in 0\.\d\d s, but its line is 0\.00 s from now"):
        schedule().promise(job(1, 4.0, 0.0, "drop"), at_once)


def test_a_line_is_chosen_with_what_is_made_before_it_in_mind() -> None:
    promised, ready_in = schedule().promise(job(1, 4.0, 0.1), lambda line: line.sample / RATE_HZ / 2)
    assert promised.line is not None
    assert promised.line.sample / RATE_HZ == pytest.approx(2.1)
    assert 1.05 < ready_in < 2.1


def test_a_take_that_joins_what_is_heard_is_begun_just_before_its_line() -> None:
    joining = replace(job(1, 4.0, 10.0), kind="continue")
    turn_in = replace(schedule(), listens=True).start_due_in_seconds(joining)
    assert 9.0 < turn_in < 10.0 - PACE.wait_seconds(joining)
    assert turn_in > schedule().start_due_in_seconds(joining)
    slow = replace(schedule(pace=replace(PACE, rate=1.2)), listens=True)
    assert not slow.continues_input(joining)
    assert not replace(schedule(), listens=True).continues_input(replace(joining, lead_seconds=1.0))
