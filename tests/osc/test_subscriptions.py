"""Subscriptions end by themselves."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bridge.osc.subscriptions import Subscriptions

steps = st.tuples(st.sampled_from(["grant", "end", "look"]), st.integers(0, 5), st.floats(0, 10), st.floats(0, 3))


@given(st.lists(steps, max_size=40), st.integers(1, 4))
def test_holders_are_those_that_were_granted_and_neither_ended_nor_expired(
    story: list[tuple[str, int, float, float]], most: int
) -> None:
    subscriptions: Subscriptions[int] = Subscriptions(most)
    ends: dict[int, float] = {}
    now = 0.0
    for step, who, seconds, passed in story:
        now += passed
        ends = {each: end for each, end in ends.items() if end > now}
        if step == "grant":
            room = who in ends or len(ends) < most
            assert subscriptions.grant(who, seconds, now) == room
            if room:
                ends[who] = now + seconds
        elif step == "end":
            assert subscriptions.end(who, now) == (who in ends)
            ends.pop(who, None)
        ends = {each: end for each, end in ends.items() if end > now}
        assert sorted(subscriptions.holders(now)) == sorted(ends)
