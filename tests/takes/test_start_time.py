from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st

from bridge.takes.start_time import MARGIN_SECONDS, RateEstimate, ready_seconds_needed, start_wait_seconds

SECONDS = st.floats(0.125, 300)
RATES = st.floats(0.05, 50)
BLOCKS = st.floats(0.01, 2)
EPSILON = 1e-6


def blocks_of(total: float, block: float) -> list[float]:
    whole = int(total / block)
    return [*[block] * whole, total - whole * block]


@given(SECONDS, RATES, BLOCKS, st.floats(0, 300))
def test_playing_never_overtakes_the_engine(remaining: float, rate: float, block: float, surplus: float) -> None:
    assume(remaining / block < 1000)
    ready = ready_seconds_needed(remaining, rate, block) + surplus
    made, clock = ready, 0.0
    for length in blocks_of(remaining, block):
        clock += length / rate  # when this block is there, playing is at ``clock``
        assert clock <= made + EPSILON
        made += length


@given(SECONDS, RATES, BLOCKS)
def test_it_needs_no_more_than_it_must(remaining: float, rate: float, block: float) -> None:
    assume(remaining >= block)
    needed = ready_seconds_needed(remaining, rate, block)
    last_block_there = remaining / rate
    last_block_due = needed + remaining - block
    first_block_spare = needed - block / rate
    assert min(last_block_due - last_block_there, first_block_spare) <= EPSILON


@given(st.floats(0, 60), SECONDS, RATES, BLOCKS)
def test_the_predicted_start_is_when_enough_is_ready(lead: float, new: float, rate: float, block: float) -> None:
    wait = start_wait_seconds(lead, new, rate, block)
    ready = lead + min(new, rate * wait)
    remaining = lead + new - ready
    assert wait >= 0.0
    assert remaining <= EPSILON or ready >= ready_seconds_needed(remaining, rate, block) + MARGIN_SECONDS - 1e-3


@given(st.floats(0, 60), SECONDS, RATES, BLOCKS, st.floats(0, 5))
def test_a_late_first_sound_puts_off_a_start_that_waits_for_it(
    lead: float, new: float, rate: float, block: float, first_sound: float
) -> None:
    wait = start_wait_seconds(lead, new, rate, block)
    late = start_wait_seconds(lead, new, rate, block, first_sound)
    assert late == (wait + max(0.0, first_sound - block / rate) if wait else 0.0)


def test_a_start_can_be_predicted_before_the_length_of_blocks_is_known() -> None:
    assert 0.0 < start_wait_seconds(0.0, 4.0, 1.0, 0.0) <= 4.0


def test_nothing_left_needs_nothing() -> None:
    assert ready_seconds_needed(0.0, 0.1, 1.0) == 0.0


def test_the_estimate_moves_from_before_to_now() -> None:
    estimate = RateEstimate(2.0)
    assert estimate.rate == 2.0
    for _ in range(1000):
        estimate.add(0.1, 0.2)
    assert abs(estimate.rate - 0.5) < 0.01
