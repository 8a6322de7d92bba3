"""When surprise triggers a take."""

from __future__ import annotations

from bridge.takes.surprise_trigger import SurpriseTrigger


def triggered(values: list[float], on: str, hold_seconds: float = 0.0) -> list[int]:
    """At which of the values, a second apart, with a threshold of 1."""
    trigger = SurpriseTrigger()
    return [
        second
        for second, value in enumerate(values)
        if trigger.follow(value, float(second), on=on, threshold=1.0, hold_seconds=hold_seconds)
    ]


VALUES = [0.0, 0.9, 1.0, 1.5, 0.7, 1.1, 0.4, 0.0, 2.0, 0.0]


def test_a_rise_triggers_where_it_comes_to_the_threshold_and_once() -> None:
    assert triggered(VALUES, "rise") == [2, 8]  # from 0.7 it only trembles


def test_a_fall_triggers_where_it_is_over() -> None:
    assert triggered(VALUES, "fall") == [6, 9]


def test_while_it_holds_nothing_else_triggers() -> None:
    assert triggered(VALUES, "rise", hold_seconds=7.0) == [2]
    assert triggered(VALUES, "rise", hold_seconds=6.0) == [2, 8]


def test_off_triggers_nothing_and_what_was_high_before_it_was_on_neither() -> None:
    assert triggered(VALUES, "off") == []
    trigger = SurpriseTrigger()
    assert not trigger.follow(3.0, 0.0, on="off", threshold=1.0, hold_seconds=0.0)
    assert not trigger.follow(3.0, 1.0, on="rise", threshold=1.0, hold_seconds=0.0)
