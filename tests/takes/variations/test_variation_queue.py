"""Which alternative is made next, from what, and when there is time for it."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_instrument import counted

from bridge.audio.output_ring import OutputRing
from bridge.clock.device_clock import Line
from bridge.clock.transport import Meter, Timeline
from bridge.player.state import LoadInProgress, PlayerState, RunningRequest
from bridge.player.variations.making import LONGEST_STEP_SECONDS, may_make_variation
from bridge.player.variations.queue import VariationQueue, making_seconds
from bridge.processes.job import Again, Job, Planning, Variation
from bridge.processes.messages import Load, UseSound
from bridge.protocol.types import Follow
from bridge.takes.job_queue import Pace
from bridge.takes.take import CHAIN_SECONDS, Take
from bridge.takes.take_files import Origin
from bridge.tape.edit_history import Edit
from bridge.tape.tape_commands import KeptTake

RATE_HZ, BLOCK = 48000, 256
PROMPT = {"audio": np.zeros(10, np.float32)}
ORIGIN = Origin("piano", "0000", "cpu", RATE_HZ)
EDIT = Edit(1, 0, np.zeros(10, np.float32))


def kept(number: int, **how: Any) -> KeptTake:
    return KeptTake(Job(number, "inpaint", 5, 2.0, span=(0, 10), **how), ORIGIN, PROMPT, EDIT)


def numbered(*numbers: int) -> tuple[Variation, ...]:
    return tuple(Variation(number, 5 + number) for number in numbers)


class Made:
    """Makes nothing, and keeps what it was asked for."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.kept: list[KeptTake] = []
        self.closed = 0

    def __call__(self, one: KeptTake, job: Job) -> Generator[None, None, None]:
        self.jobs.append(job)
        self.kept.append(one)
        return self._steps()

    def _steps(self) -> Generator[None, None, None]:
        try:
            while True:
                yield
        finally:
            self.closed += 1


def made_all(queue: VariationQueue) -> Made:
    made = Made()
    while not queue.is_empty:
        next(queue.in_work(made).steps)
        queue.end()
    return made


def test_those_of_the_oldest_take_come_first_and_share_its_prompt() -> None:
    queue = VariationQueue()
    queue.put(numbered(2, 3), kept(1))
    queue.put(numbered(5), kept(4))
    assert queue.seconds == 3 * making_seconds(kept(1).job) > 3 * 2.0
    made = made_all(queue)
    assert [(job.number, job.seed, job.variation_of) for job in made.jobs] == [(2, 7, 1), (3, 8, 1), (5, 10, 4)]
    assert all(one.prompt is PROMPT and one.edit is None for one in made.kept)
    assert all(job.again == Again(of, "") for job, of in zip(made.jobs, (1, 1, 4), strict=True))


def test_planned_notes_are_planned_anew_and_others_stay() -> None:
    planning = Planning(1.0, 1.0, "free", 0.0, Timeline.steady(120.0, Meter()), RATE_HZ, begins_at=3.0)
    for planned, renew in ((planning, "notes"), (replace(planning, begins_at=None), "sound"), (None, "sound")):
        queue = VariationQueue()
        queue.put(numbered(2), kept(1, planning=planned))
        (job,) = made_all(queue).jobs
        assert job.again
        assert job.again.renew == renew


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 4), max_size=4), st.sets(st.integers(0, 30)), st.sets(st.integers(0, 30)), st.booleans())
def test_what_is_dropped_is_not_made_and_all_else_is(
    counts: list[int], never: set[int], dropped: set[int], begun: bool
) -> None:
    queue, left, made = VariationQueue(), [], Made()
    for number in never:
        queue.never(number)
    for take, count in enumerate(counts):
        numbers = range(5 * take + 1, 5 * take + 1 + count)
        queue.put(numbered(*numbers), kept(5 * take))
        left += [number for number in numbers if number not in never]
    if begun and left:
        next(queue.in_work(made).steps)
    assert queue.numbers() == left == queue.numbers(on_tape=True)
    assert queue.drop(dropped) == [number for number in left if number in dropped]
    assert made.closed == bool(begun and left and left[0] in dropped)
    left = [number for number in left if number not in dropped]
    assert queue.numbers() == left
    made_after = [job.number for job in made_all(queue).jobs]
    assert made_after == [number for number in left if number not in {job.number for job in made.jobs}]


def test_those_of_one_take_are_taken_back_with_their_seeds() -> None:
    queue, made = VariationQueue(), Made()
    queue.put(numbered(2, 3), kept(1))
    queue.put(numbered(5), kept(4))
    next(queue.in_work(made).steps)
    assert queue.take_back(1) == numbered(2, 3)
    assert made.closed == 1
    assert queue.numbers() == [5]
    assert queue.take_back(9) == ()


# --- when there is time for them ----------------------------------------------------------------------------


class Now:
    """The clock, which stands until it is moved."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> Now:
    now = Now()
    monkeypatch.setattr(time, "monotonic", now.monotonic)
    return now


@pytest.fixture
def ring() -> Iterator[OutputRing]:
    ring = OutputRing.create(1 << 17)
    yield ring
    ring.close()


@pytest.fixture
def state(ring: OutputRing, now: Now) -> PlayerState:
    """Of a player whose device runs, with one alternative to be made."""
    idle = cast(Any, SimpleNamespace(listening=False))
    one = PlayerState(
        tell=idle,
        settings=idle,
        make_instrument=idle,
        request_type=idle,
        output=ring,
        prompt_memory=idle,
        tape=idle,
        tape_commands=idle,
        live_input=idle,
        sound=UseSound(RATE_HZ, None),
        instrument=idle,
        pace=Pace(rate=10.0, first_sound_seconds=0.1, block_seconds=0.1),
    )
    one.variations.put(numbered(2), kept(1))
    play(ring, now)
    return one


def play(ring: OutputRing, now: Now) -> None:
    """The device asks for a block."""
    ring.play(np.empty(BLOCK, np.float32), now.seconds)
    now.seconds += BLOCK / RATE_HZ


def test_they_are_made_only_when_nothing_is_loaded_or_follows_what_is_played(state: PlayerState) -> None:
    assert may_make_variation(state)
    state.load = LoadInProgress(Load(7, "music", 8))
    assert not may_make_variation(state)
    state.load = None
    for follow, may in (("free", False), ("off", True)):
        job = Job(9, "generate", 0, 1.0, follow=cast(Follow, follow))
        state.running = RunningRequest(job, Made()(kept(1), job))
        assert may_make_variation(state) is may
    state.variations.drop([2])
    assert not may_make_variation(state)


def test_none_is_gone_on_with_just_before_a_take_has_to_be_begun(state: PlayerState, now: Now) -> None:
    state.waiting.append(Job(9, "generate", 0, 1.0, line=Line(60.0 * RATE_HZ, RATE_HZ)))
    starts_in = state.job_queue().next_start_in_seconds()
    assert starts_in > 10.0
    assert may_make_variation(state)
    now.seconds += starts_in - LONGEST_STEP_SECONDS - 0.01
    assert may_make_variation(state)
    now.seconds += 0.02
    assert not may_make_variation(state)


def test_none_is_gone_on_with_just_before_a_take_is_chained_to_another(
    state: PlayerState, ring: OutputRing, now: Now
) -> None:
    first, second = (
        Take(
            Job(number, "generate", 0, 2.0, line=Line(first * RATE_HZ, RATE_HZ)),
            accepted_at=0.0,
            sample_rate_hz=RATE_HZ,
            output_hz=RATE_HZ,
            rate=1.0,
            block_seconds=0.1,
        )
        for number, first in ((3, 1.0), (4, 3.0))
    )
    for take in (first, second):
        take.add(counted(0, 2 * RATE_HZ), 0.1)
        take.finish_generation()
        state.takes.append(take)
    told = []
    while not second.opened:
        first.feed(ring, state.clock())
        second.chain(ring, first)
        left_seconds = 3.0 - state.now_sample() / RATE_HZ
        told.append((left_seconds, may_make_variation(state)))
        play(ring, now)
    assert told.pop()[1]  # it is chained
    nearest = min(left for left, may in told if may)
    farthest = max(left for left, may in told if not may)
    assert nearest > farthest >= CHAIN_SECONDS + LONGEST_STEP_SECONDS - 2 * BLOCK / RATE_HZ


def test_none_is_gone_on_with_while_a_take_sounds_that_is_just_made_in_time(
    state: PlayerState, ring: OutputRing, now: Now
) -> None:
    take = Take(
        Job(3, "generate", 0, 30.0),
        accepted_at=0.0,
        sample_rate_hz=RATE_HZ,
        output_hz=RATE_HZ,
        rate=4.0,
        block_seconds=0.1,
    )
    state.takes.append(take)
    take.add(counted(0, RATE_HZ), 0.25)
    take.feed(ring, state.clock())
    play(ring, now)
    assert take.opened
    assert not may_make_variation(state)
    take.add(counted(0, 10 * RATE_HZ), 1.0)
    assert may_make_variation(state)
