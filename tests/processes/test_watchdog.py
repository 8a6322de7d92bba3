"""Laws of the watchdog, with a clock of their own."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bridge.processes.watchdog import LOOK_EVERY_SECONDS, Watchdog

STARTING_SECONDS, PATIENCE_SECONDS = 30.0, 5.0
MOST_LOOK_SECONDS = 1.0


def silence_until_hung(
    watch: Watchdog, process_id: int, count: int, since: float, patience_seconds: float = PATIENCE_SECONDS
) -> float:
    """How long a count may stand still until the process is called hung."""
    now = since
    while not watch.is_hung(process_id, count, patience_seconds, now):
        now += LOOK_EVERY_SECONDS
        assert now - since < 1000.0
    return now - since


def assert_about(silence: float, patience_seconds: float) -> None:
    assert patience_seconds - MOST_LOOK_SECONDS <= silence <= patience_seconds + MOST_LOOK_SECONDS


def test_a_count_that_stands_still_is_a_process_that_hangs() -> None:
    watch = Watchdog(STARTING_SECONDS)
    for look in range(1000):
        assert not watch.is_hung(1, look, PATIENCE_SECONDS, look * LOOK_EVERY_SECONDS)
    assert_about(silence_until_hung(watch, 1, 999, 1000 * LOOK_EVERY_SECONDS), PATIENCE_SECONDS)


def test_a_new_process_is_given_time_to_start() -> None:
    watch = Watchdog(STARTING_SECONDS)
    assert STARTING_SECONDS <= silence_until_hung(watch, 1, 7, 0.0) <= STARTING_SECONDS + MOST_LOOK_SECONDS
    now = 100.0
    for process_id in (1, 2):  # the one that was just found hung, whose end takes a moment, and its successor
        assert_about(silence_until_hung(watch, process_id, 7, now), STARTING_SECONDS)
        now += 100.0


@given(looks_before=st.integers(0, 20))
def test_a_process_that_hangs_just_after_it_has_started_is_given_the_usual_patience(looks_before: int) -> None:
    """Though its count was never seen to move: all that it counted lay between two looks, or before the first."""
    watch = Watchdog(STARTING_SECONDS)
    now = 0.0
    for _ in range(looks_before):
        assert not watch.is_hung(1, 7, PATIENCE_SECONDS, now)
        now += LOOK_EVERY_SECONDS
    watch.has_started(1, 7, now)
    assert_about(silence_until_hung(watch, 1, 7, now), PATIENCE_SECONDS)


def test_what_one_process_said_is_no_word_of_its_successor() -> None:
    watch = Watchdog(STARTING_SECONDS)
    watch.has_started(1, 7, 0.0)
    assert_about(silence_until_hung(watch, 1, 7, 0.0), PATIENCE_SECONDS)
    assert_about(silence_until_hung(watch, 2, 7, 100.0), STARTING_SECONDS)


def test_what_is_said_again_is_no_sign_of_life() -> None:
    """Else what a hung process had written to its pipe would keep it alive, read message by message."""
    watch, now = Watchdog(STARTING_SECONDS), 0.0
    watch.has_started(1, 7, now)
    while not watch.is_hung(1, 7, PATIENCE_SECONDS, now):
        now += LOOK_EVERY_SECONDS
        watch.has_started(1, 7, now)
        assert now < 100.0
    assert_about(now, PATIENCE_SECONDS)


def test_a_process_that_hangs_in_a_long_step_is_given_the_patience_that_it_asked_for() -> None:
    watch, longer_seconds = Watchdog(STARTING_SECONDS), 110.0
    watch.has_started(1, 7, 0.0)
    assert not watch.is_hung(1, 8, PATIENCE_SECONDS + longer_seconds, 0.5)
    assert_about(
        silence_until_hung(watch, 1, 8, 1.0, PATIENCE_SECONDS + longer_seconds), PATIENCE_SECONDS + longer_seconds
    )


@given(steps=st.lists(st.floats(0.0, 200.0), max_size=20))
def test_a_process_is_left_alone_whose_steps_are_as_long_as_it_said_or_shorter(steps: list[float]) -> None:
    watch, now = Watchdog(STARTING_SECONDS), 0.0
    watch.has_started(1, 0, now)
    for count, step_seconds in enumerate(steps, start=1):
        for look in range(int(step_seconds / LOOK_EVERY_SECONDS) + 1):
            now_in_step = now + look * LOOK_EVERY_SECONDS
            assert not watch.is_hung(1, count, PATIENCE_SECONDS + step_seconds, now_in_step)
        now += step_seconds


@given(gaps=st.lists(st.floats(0.0, 4.0), max_size=50))
def test_a_count_that_goes_on_is_a_process_that_lives(gaps: list[float]) -> None:
    watch, now = Watchdog(STARTING_SECONDS), 0.0
    for count, gap_seconds in enumerate(gaps):
        now += gap_seconds
        assert not watch.is_hung(1, count, PATIENCE_SECONDS, now)


def test_a_machine_that_slept_blames_nobody() -> None:
    watch = Watchdog(STARTING_SECONDS)
    watch.is_hung(1, 0, PATIENCE_SECONDS, 0.0)
    watch.is_hung(1, 1, PATIENCE_SECONDS, 0.5)
    assert not watch.is_hung(1, 1, PATIENCE_SECONDS, 3600.0)
    assert not watch.is_hung(1, 2, PATIENCE_SECONDS, 3600.5)
