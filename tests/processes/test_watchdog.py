from __future__ import annotations

from bridge.processes.watchdog import LOOK_EVERY_SECONDS, Watchdog

STARTING_SECONDS, PATIENCE_SECONDS = 30.0, 5.0


def looks_until_hung(watch: Watchdog, process_id: int, count: int, since: float) -> float:
    """How long a count may stand still until the process is called hung."""
    now = since
    while not watch.is_hung(process_id, count, PATIENCE_SECONDS, now):
        now += LOOK_EVERY_SECONDS
        assert now - since < 100.0
    return now - since


def test_a_count_that_stands_still_is_a_process_that_hangs() -> None:
    watch = Watchdog(STARTING_SECONDS)
    for look in range(1000):
        assert not watch.is_hung(1, look, PATIENCE_SECONDS, look * LOOK_EVERY_SECONDS)
    silence = looks_until_hung(watch, 1, 999, 1000 * LOOK_EVERY_SECONDS)
    assert PATIENCE_SECONDS - 1.0 <= silence <= PATIENCE_SECONDS + 1.0


def test_a_new_process_is_given_time_to_start() -> None:
    watch = Watchdog(STARTING_SECONDS)
    assert STARTING_SECONDS <= looks_until_hung(watch, 1, 7, 0.0) <= STARTING_SECONDS + 1.0
    now = 100.0
    for process_id in (1, 2):  # the one that was just found hung, whose end takes a moment, and its successor
        silence = looks_until_hung(watch, process_id, 7, now)
        assert STARTING_SECONDS - 1.0 <= silence <= STARTING_SECONDS + 1.0
        now += 100.0


def test_a_machine_that_slept_blames_nobody() -> None:
    watch = Watchdog(STARTING_SECONDS)
    watch.is_hung(1, 0, PATIENCE_SECONDS, 0.0)
    watch.is_hung(1, 1, PATIENCE_SECONDS, 0.5)
    assert not watch.is_hung(1, 1, PATIENCE_SECONDS, 3600.0)
    assert not watch.is_hung(1, 2, PATIENCE_SECONDS, 3600.5)
