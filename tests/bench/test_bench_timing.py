"""How bench measures time and memory."""

from __future__ import annotations

import numpy as np
import pytest

from melnet_music.bench import turns
from melnet_music.bench.memory import peak_memory_mib
from melnet_music.bench.speed import thread_counts
from melnet_music.bench.turns import Spent, in_turn, median, timed_beyond, timed_often


def test_jobs_take_turns_and_the_first_round_does_not_count() -> None:
    order: list[str] = []
    walls = {"a": iter([100.0, 3.0, 1.0, 2.0]), "b": iter([0.0, 6.0, 4.0, 5.0])}

    def job(name: str) -> Spent:
        order.append(name)
        wall = next(walls[name])
        return Spent(10 - wall, wall)

    spent = in_turn({"a": lambda: job("a"), "b": lambda: job("b")}, rounds=3)
    assert order == ["a", "b"] * 4
    assert spent == {"a": Spent(8.0, 2.0), "b": Spent(5.0, 5.0)}


def test_all_rounds_count_if_none_is_to_warm_up() -> None:
    walls = iter([1.0, 5.0, 2.0])
    assert in_turn({0: lambda: Spent(0.0, next(walls))}, rounds=3, warm_up=False) == {0: Spent(0.0, 2.0)}


def test_the_median_is_of_each_clock_on_its_own() -> None:
    assert median([Spent(1.0, 30.0), Spent(2.0, 10.0), Spent(3.0, 20.0)]) == Spent(2.0, 20.0)
    assert Spent(6.0, 9.0).each(3) == Spent(2.0, 3.0)


class Clock:
    """Both clocks of `turns`; time passes when work says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now

    def process_time(self) -> float:
        return self.now / 2

    def work(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(turns, "time", clock)
    return clock


def test_short_work_is_done_often_and_its_time_is_that_of_one(clock: Clock) -> None:
    seconds = iter([0.25, 0.5, 0.75, 1.0])
    assert timed_often(lambda: clock.work(next(seconds)), at_least_s=1.0) == Spent(0.25, 0.5)
    assert timed_often(lambda: clock.work(next(seconds)), at_least_s=0.0) == Spent(0.5, 1.0)


def test_work_beyond_a_part_of_it_is_their_difference(clock: Clock) -> None:
    whole, part = iter([3.0, 5.0]), iter([1.0, 2.0])
    spent = timed_beyond(lambda: clock.work(next(whole)), lambda: clock.work(next(part)), at_least_s=6.0)
    assert spent == Spent(1.25, 2.5)


@pytest.mark.parametrize(("most", "counts"), [(1, [1]), (2, [1, 2]), (3, [1, 2, 3]), (8, [1, 2, 4, 8])])
def test_threads_are_doubled_up_to_the_most(most: int, counts: list[int]) -> None:
    assert thread_counts(most) == counts


def test_the_most_memory_held_is_at_least_what_is_held() -> None:
    before = peak_memory_mib()
    held = np.ones((64, 2**20 // 8))
    assert peak_memory_mib() >= before
    assert peak_memory_mib() > held.nbytes / 2**20
