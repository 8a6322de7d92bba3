"""Which alternatives are drawn with their take, and how long what was drawn of them is kept."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from bridge.player.variations.queue import VariationQueue
from bridge.player.variations.together import DrawnVariation, drawn_with
from bridge.processes.job import Job, JobKind, Variation
from bridge.takes.take_files import Origin
from bridge.tape.tape_commands import KeptTake

VARIATIONS = tuple(Variation(number, 100 + number) for number in range(1, 32))


class Planner:
    """Plans for so many seeds; then it cannot."""

    def __init__(self, plannable: int) -> None:
        self._left = plannable

    def plan(self, instrument: object, job: Job, known: object) -> int:
        if not self._left:
            raise ValueError("too few notes were heard")
        self._left -= 1
        return job.seed


def drawn(
    most_takes: int, kind: JobKind, seconds: float, *, planned: bool = False, plannable: int = 99, **how: Any
) -> list[DrawnVariation]:
    job = Job(0, kind, 100, seconds, variations=VARIATIONS, **how)
    instrument, planner = cast(Any, SimpleNamespace(most_takes=most_takes)), cast(Any, Planner(plannable))
    return drawn_with(planner, instrument, job, planned=planned, known=None)


@pytest.mark.parametrize(
    ("most_takes", "kind", "seconds", "planned", "count"),
    [
        (1, "continue", 8.0, False, 0),
        (3, "continue", 8.0, False, 2),
        (32, "continue", 8.0, False, 31),
        (32, "continue", 600.0, False, 3),
        (32, "continue", 8.0, True, 7),
        (3, "continue", 8.0, True, 2),
        (32, "inpaint", 2.0, False, 3),
        (32, "inpaint", 8.0, True, 1),
        (32, "inpaint", 60.0, False, 0),
    ],
)
def test_as_many_as_the_engine_the_processor_and_memory_allow(
    most_takes: int, kind: JobKind, seconds: float, planned: bool, count: int
) -> None:
    made = drawn(most_takes, kind, seconds, planned=planned)
    assert [(each.number, each.seed) for each in made] == [(each.number, each.seed) for each in VARIATIONS[:count]]
    assert [each.takes for each in made] == [1 + count] * count
    assert [each.plan for each in made] == [each.seed if planned else None for each in made]


def test_none_of_a_take_that_follows_keys_and_none_that_cannot_be_planned() -> None:
    assert not drawn(32, "continue", 8.0, follow="free")
    assert [each.number for each in drawn(32, "continue", 8.0, planned=True, plannable=2)] == [1, 2]


def test_what_was_drawn_is_kept_until_it_is_made_or_dropped() -> None:
    kept = KeptTake(Job(0, "continue", 100, 2.0), Origin("piano", "0000", "cuda", 48000), {}, None)
    made = drawn(5, "continue", 2.0)
    for each in made[:3]:  # the engine failed before it came to the last
        each.drawn.add(np.zeros((1, 2, 4), np.float32), (), "cuda")
    queue = VariationQueue()
    queue.never(3)
    queue.put(VARIATIONS[:5], kept, made)
    assert queue.drop([2]) == [2]
    found = {number: queue.take_drawn(number) for number in range(1, 6)}
    assert {number for number, one in found.items() if one} == {1}
    assert found[1] is made[0]
    assert queue.take_drawn(1) is None
