"""Where the threads of the cpu engine wait for each other."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from melnet_music.sampling.cpu.barrier import SYNC_WORDS, meet
from melnet_music.sampling.cpu.compiled import compiled


@compiled
def count_rounds(sync: Any, parts: int, part: int, rounds: int, counts: Any, violations: Any) -> None:
    """Meet again and again, and look at the others' counts after every time."""
    for done in range(1, rounds + 1):
        counts[8 * part] = done
        meet(sync, parts)
        for other in range(parts):
            ahead = counts[8 * other] - done
            if ahead < 0 or ahead > 1:
                violations[part] += 1


@compiled
def meet_once(sync: Any, parts: int, part: int, late: Any, seen: Any) -> None:
    meet(sync, parts)
    seen[part] = late[0]


def run_together(jobs: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=job) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.parametrize("parts", [1, 2, 3, 4])
def test_no_thread_is_ever_more_than_a_round_ahead(parts: int) -> None:
    rounds = 10_000
    sync, counts, violations = (np.zeros(size, np.int64) for size in (SYNC_WORDS, 8 * parts, parts))
    count_rounds(sync, 1, 0, 0, counts, violations)  # compiled before the threads start
    run_together(
        [lambda part=part: count_rounds(sync, parts, part, rounds, counts, violations) for part in range(parts)]
    )
    assert violations.sum() == 0
    assert (counts[::8] == rounds).all()


@pytest.mark.parametrize("parts", [2, 3, 4])
def test_a_late_thread_holds_the_others(parts: int) -> None:
    sync, late, seen = np.zeros(SYNC_WORDS, np.int64), np.zeros(1, np.int64), np.zeros(parts, np.int64)
    meet_once(sync, 1, 0, late, seen)
    others_arrived = threading.Event()

    def come_late() -> None:
        others_arrived.wait()
        late[0] = 1
        meet_once(sync, parts, 0, late, seen)

    def see_them_arrive() -> None:
        while sync[0] < parts - 1:
            pass
        others_arrived.set()

    others = [lambda part=part: meet_once(sync, parts, part, late, seen) for part in range(1, parts)]
    run_together([come_late, *others, see_them_arrive])
    assert seen.tolist() == [1] * parts
