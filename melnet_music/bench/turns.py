"""Times of things that are compared, measured in turn: a noisy machine is then noisy for all of them alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import NamedTuple, TypeVar

Key = TypeVar("Key", bound=Hashable)


class Spent(NamedTuple):
    """Time that something took."""

    cpu_s: float
    """Of all threads of this process."""
    wall_s: float

    def each(self, count: float) -> Spent:
        """Of one, if it was that for so many."""
        return Spent(self.cpu_s / count, self.wall_s / count)


def timed(work: Callable[[], object]) -> Spent:
    """Do it once."""
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return Spent(time.process_time() - cpu, time.perf_counter() - wall)


def timed_often(work: Callable[[], object], at_least_s: float = 0.002) -> Spent:
    """Do it for so long, and once at least; returns the time of one."""
    return timed_beyond(work, None, at_least_s)


def timed_beyond(work: Callable[[], object], part: Callable[[], object] | None, at_least_s: float = 0.002) -> Spent:
    """What ``work`` takes beyond a ``part`` of it that can be done on its own; the two are done by turns."""
    cpu_s, wall_s, count, stop = 0.0, 0.0, 0, time.perf_counter() + at_least_s
    while count == 0 or time.perf_counter() < stop:
        whole, less = timed(work), Spent(0.0, 0.0) if part is None else timed(part)
        cpu_s, wall_s, count = cpu_s + whole.cpu_s - less.cpu_s, wall_s + whole.wall_s - less.wall_s, count + 1
    return Spent(cpu_s, wall_s).each(count)


def in_turn(jobs: Mapping[Key, Callable[[], Spent]], rounds: int, *, warm_up: bool = True) -> dict[Key, Spent]:
    """The medians of what every job says it took, done once a round.

    ``warm_up``: one round more comes first, and does not count.
    """
    times: dict[Key, list[Spent]] = {key: [] for key in jobs}
    for counted in range(-1 if warm_up else 0, rounds):
        for key, job in jobs.items():
            spent = job()
            if counted >= 0:
                times[key].append(spent)
    return {key: median(spent) for key, spent in times.items()}


def median(times: Iterable[Spent]) -> Spent:
    """Of CPU and wall time, each on its own."""
    cpu, wall = zip(*times, strict=True)
    return Spent(statistics.median(cpu), statistics.median(wall))
