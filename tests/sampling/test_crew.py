from __future__ import annotations

import gc
import threading
import time
from collections.abc import Iterator
from functools import partial

import pytest

from melnet_music.sampling.cpu.crew import Crew


@pytest.fixture(params=[1, 2, 4])
def crew(request: pytest.FixtureRequest) -> Iterator[Crew]:
    made = Crew(request.param)
    yield made
    made.close()


def test_every_task_is_done_once(crew: Crew) -> None:
    done: list[int] = []
    for number in range(200):
        crew.submit(None, number, lambda number=number: done.append(number))
    while len(done) < 200:
        crew.work(0.01)
    assert sorted(done) == list(range(200))


def test_alone_the_oldest_task_comes_first_and_of_one_age_the_first() -> None:
    crew, done = Crew(1), []
    for age, name in ((3, "d"), (1, "a"), (2, "c"), (1, "b")):
        crew.submit(None, age, lambda name=name: done.append(name))
    for _ in range(4):
        crew.work(0.0)
    assert done == ["a", "b", "c", "d"]


def test_together_every_part_runs_once_and_all_at_the_same_time(crew: Crew) -> None:
    for _ in range(50):
        parts: list[tuple[int, int]] = []
        meeting: list[threading.Barrier] = []
        first = threading.Lock()

        def work(part: int, count: int, parts=parts, meeting=meeting, first=first) -> None:  # type: ignore[no-untyped-def]
            with first:
                if not meeting:
                    meeting.append(threading.Barrier(count))
            meeting[0].wait(30.0)  # breaks if the others do not come
            parts.append((part, count))

        crew.together(work)
        count = len(parts)
        assert 1 <= count <= crew.threads
        assert sorted(parts) == [(part, count) for part in range(count)]


def test_together_does_not_wait_for_those_who_are_busy() -> None:
    crew, busy, release = Crew(3), threading.Barrier(3), threading.Event()

    def hold() -> None:
        busy.wait(30.0)
        assert release.wait(30.0)

    for _ in range(2):
        crew.submit(None, 0, hold)
    busy.wait(30.0)
    parts: list[tuple[int, int]] = []
    crew.together(lambda part, count: parts.append((part, count)))
    assert parts == [(0, 1)]
    release.set()
    crew.close()


def test_dropping_forgets_what_waits_and_waits_for_what_runs() -> None:
    crew, begun, release, done = Crew(2), threading.Event(), threading.Event(), []

    def slow() -> None:
        begun.set()
        assert release.wait(30.0)
        done.append("slow")

    crew.submit("mine", 0, slow)
    assert begun.wait(30.0)
    crew.submit("mine", 1, lambda: done.append("never"))
    crew.submit("other's", 2, lambda: done.append("other's"))
    releasing = threading.Timer(0.05, release.set)
    releasing.start()
    assert crew.drop("mine")
    assert done[0] == "slow"
    while "other's" not in done:
        crew.work(0.01)
    assert "never" not in done
    crew.close()


def test_a_task_that_drops_its_own_owner_does_not_wait_for_itself() -> None:
    crew, quiet = Crew(1), []
    crew.submit("mine", 0, lambda: quiet.append(crew.drop("mine")))
    crew.work(0.0)
    assert quiet == [False]
    assert crew.drop("mine")
    crew.close()


def test_no_task_is_lost_when_the_interpreter_cleans_up_meanwhile(crew: Crew) -> None:
    """A generator that nobody holds is closed wherever memory is asked for, and drops what it asked for."""
    done: list[int] = []
    thresholds = gc.get_threshold()

    def clean_up(phase: str, info: dict[str, int]) -> None:
        crew.drop("gone")

    gc.callbacks.append(clean_up)
    gc.set_threshold(1)
    try:
        for number in range(300):
            crew.submit(None, number, partial(done.append, number))
            crew.submit("gone", number, lambda: None)
        gc.set_threshold(*thresholds)
        deadline_s = time.monotonic() + 30.0
        while len(done) < 300 and time.monotonic() < deadline_s:
            crew.work(0.01)
    finally:
        gc.set_threshold(*thresholds)
        gc.callbacks.remove(clean_up)
    assert sorted(done) == list(range(300))


def test_a_task_may_submit_another(crew: Crew) -> None:
    done: list[int] = []

    def step(number: int) -> None:
        done.append(number)
        if number < 100:
            crew.submit(None, 0, lambda: step(number + 1))

    crew.submit(None, 0, lambda: step(0))
    while len(done) < 101:
        crew.work(0.01)
    assert done == list(range(101))


def test_a_closed_crew_has_no_threads() -> None:
    before = set(threading.enumerate())
    crew = Crew(4)
    crew.submit(None, 0, lambda: None)
    assert len(set(threading.enumerate()) - before) == 3
    crew.close()
    assert set(threading.enumerate()) == before
