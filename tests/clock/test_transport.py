"""Laws of beats, bars and seconds."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.clock.transport import GRIDS, Grid, Meter, Tempo, Timeline, read_meter

bpms = st.floats(10, 400)
meters = st.builds(Meter, st.integers(1, 15), st.sampled_from([2, 4, 8, 16]))
times = st.floats(0, 3600)


@st.composite
def timelines(draw: st.DrawFn) -> Timeline:
    """Tempo and meter change up to four times each."""
    timeline = Timeline.steady(draw(bpms), draw(meters), draw(st.floats(0, 100)))
    for seconds in sorted(draw(st.lists(times, max_size=4))):
        timeline = timeline.with_tempo(draw(bpms), seconds)
    for beat in sorted(draw(st.lists(st.floats(0, 2000), max_size=4))):
        timeline = timeline.with_meter(draw(meters), beat)
    return timeline


@given(timelines(), st.floats(-100, 5000))
def test_the_beat_at_the_time_of_a_beat_is_that_beat(timeline: Timeline, beat: float) -> None:
    assert timeline.beat_at(timeline.seconds_at(beat)) == pytest.approx(beat, abs=1e-6)


@given(timelines(), times, times)
def test_beats_never_run_backwards(timeline: Timeline, one: float, other: float) -> None:
    early, late = sorted((one, other))
    assert timeline.beat_at(early) <= timeline.beat_at(late) + 1e-9


@given(timelines(), st.floats(-100, 5000))
def test_a_place_is_in_its_bar_and_leads_back_to_its_beat(timeline: Timeline, beat: float) -> None:
    place = timeline.place_at(beat)
    assert timeline.beat_of(place.bar, place.beat) == pytest.approx(beat, abs=1e-6)
    assert 0 <= place.beat < timeline.meter_at(beat).bar_beats + 1e-6
    assert timeline.beat_of(place.bar) <= beat + 1e-6 < timeline.beat_of(place.bar + 1) + 2e-6


@given(timelines(), st.floats(-100, 5000), st.sampled_from(GRIDS))
def test_the_next_line_is_the_first_that_is_not_before(timeline: Timeline, beat: float, grid: Grid) -> None:
    line = timeline.line_at_or_after(beat, grid)
    assert line >= beat - 1e-6
    assert timeline.line_at_or_after(line, grid) == pytest.approx(line, abs=1e-9)  # a line is its own next one
    if grid == "none":
        assert line == beat
    elif grid == "beat":
        assert line == round(line) < beat + 1
    else:
        every = {"bar": 1, "2bar": 2, "4bar": 4}[grid]
        place = timeline.place_at(line)
        assert place.beat == pytest.approx(0, abs=1e-6)
        assert place.bar % every == 0
        assert timeline.beat_of(place.bar - every) < beat + 1e-6  # none was left out


@given(timelines(), bpms, times, times)
def test_a_change_of_tempo_jumps_nowhere_and_leaves_the_past(
    timeline: Timeline, bpm: float, seconds: float, before: float
) -> None:
    changed = timeline.with_tempo(bpm, seconds)
    assert changed.beat_at(seconds) == pytest.approx(timeline.beat_at(seconds), abs=1e-6)
    assert changed.bpm_at(seconds) == bpm
    assert changed.beat_at(seconds + 60) == pytest.approx(changed.beat_at(seconds) + bpm, abs=1e-6)
    if before < seconds:
        assert changed.beat_at(before) == pytest.approx(timeline.beat_at(before), abs=1e-6)


@given(timelines(), times, st.floats(20, 300), st.floats(-0.05, 0.05), st.floats(0.25, 2), times)
def test_steered_it_goes_over_to_the_other_line_without_a_jump(
    timeline: Timeline, seconds: float, bpm: float, wrong_seconds: float, over_seconds: float, before: float
) -> None:
    to = Tempo(timeline.beat_at(seconds) + wrong_seconds * bpm / 60, seconds, bpm)
    steered = timeline.steered(to, seconds, over_seconds)
    joined = seconds + over_seconds
    for after in (joined, joined + 1.0, joined + 600.0):
        assert steered.beat_at(after) == pytest.approx(to.beat + (after - seconds) * bpm / 60, abs=1e-6)
    assert steered.beat_at(seconds) == pytest.approx(timeline.beat_at(seconds), abs=1e-6)
    path = [steered.beat_at(seconds + part * over_seconds) for part in (0.0, 0.3, 0.6, 1.0, 1.1)]
    assert path == sorted(path)
    if before < seconds:
        assert steered.beat_at(before) == pytest.approx(timeline.beat_at(before), abs=1e-6)
    assert steered.since(seconds).beat_at(joined + 5.0) == steered.beat_at(joined + 5.0)


def test_a_timeline_that_is_steered_for_hours_stays_small() -> None:
    timeline = Timeline.steady(120, Meter())
    for step in range(6000):
        timeline = timeline.steered(Tempo(2.0 * step, float(step), 120.0), float(step), 0.5)
    assert len(timeline.tempos) < 5000
    assert timeline.beat_at(5000.0) == pytest.approx(10000.0)


@given(timelines(), meters, st.floats(0, 3000), st.floats(0, 3000))
def test_a_change_of_meter_waits_for_the_bar_line_and_leaves_the_past(
    timeline: Timeline, meter: Meter, beat: float, before: float
) -> None:
    line = timeline.line_at_or_after(beat, "bar")
    changed = timeline.with_meter(meter, beat)
    assert changed.place_at(line).beat == pytest.approx(0, abs=1e-6)
    assert changed.place_at(line).bar == timeline.place_at(line).bar
    assert changed.meter_at(line) == meter
    if before < line - 1e-6:
        assert changed.place_at(before) == timeline.place_at(before)


@given(timelines(), st.floats(0, 2000), times, bpms)
def test_to_locate_is_to_be_there_then(timeline: Timeline, beat: float, seconds: float, bpm: float) -> None:
    located = timeline.located(beat, seconds, bpm)
    assert located.bpm_at(seconds) == bpm
    assert located.beat_at(seconds) == pytest.approx(beat, abs=1e-6)
    assert located.place_at(beat) == timeline.place_at(beat)


def test_bars_of_six_eighths_have_three_beats() -> None:
    timeline = Timeline.steady(120, Meter(6, 8), 10.0)
    assert timeline.seconds_at(timeline.beat_of(2)) == 13.0
    assert timeline.place_at(7.0).bar == 2
    assert timeline.place_at(7.0).beat == 1.0
    assert timeline.line_at_or_after(3.1, "2bar") == 6.0
    assert math.isclose(timeline.beat_at(10.25), 0.5)


@pytest.mark.parametrize("text", ["4", "4/3", "0/4", "x/4", "4/", "65/4", "٤/4"])
def test_what_is_no_meter_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no meter"):
        read_meter(text)
    assert read_meter("7/8") == Meter(7, 8)


@pytest.mark.parametrize("bpm", [9.9, 401, math.nan, math.inf])
def test_tempos_out_of_range_are_refused(bpm: float) -> None:
    with pytest.raises(ValueError, match=r"tempo is .* bpm, want 10 to 400"):
        Timeline.steady(bpm, Meter())
