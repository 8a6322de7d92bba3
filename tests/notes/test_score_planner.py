"""Planning notes: whole equals in parts, nothing leaves its bounds, and what is told later counts as if told before."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tiny_score import some_bars, tiny_score_model, tiny_score_weights

from melnet_music.evaluation.score.note_measures import best_key, measure_notes
from melnet_music.model.preset import list_presets
from melnet_music.notes.beat_times import BeatTimes
from melnet_music.notes.note_map import Note
from melnet_music.notes.score.grid import Bars, GridNote, Meter
from melnet_music.notes.score.kernels import draw
from melnet_music.notes.score.live import LivePlanner
from melnet_music.notes.score.network import ScoreModel
from melnet_music.notes.score.planner import Plan
from melnet_music.notes.score.settings import PlanSettings, pitch_classes
from melnet_music.notes.score.state import ScoreState

MODEL = tiny_score_model()
BARS = Bars.of(Meter(4, 4))
PAST = some_bars()
START = 6 * 48


def heard(notes: list[GridNote] = PAST, bars: Bars = BARS) -> ScoreState:
    state = ScoreState(MODEL, bars)
    state.add(notes)
    return state


def plan(settings: PlanSettings | None = None, seed: int = 4, state: ScoreState | None = None) -> Plan:
    return Plan.begin(state or heard(), START, settings, np.random.default_rng(seed))


@pytest.mark.parametrize("parts", [(1,), (2,), (7,), (48,), (1, 31, 5)])
def test_a_plan_is_the_same_in_parts(parts: tuple[int, ...]) -> None:
    whole = plan().extend(START + 96)
    assert len(whole) > 4
    planned, until, piecewise = [], START, plan()
    while until < START + 96:
        until = min(until + parts[len(planned) % len(parts)], START + 96)
        planned += piecewise.extend(until)
    assert planned == whole


def test_the_same_seed_plans_the_same_and_another_another() -> None:
    whole = plan().extend(START + 96)
    assert plan().extend(START + 96) == whole
    assert plan(seed=5).extend(START + 96) != whole


def test_a_copy_goes_on_as_the_original_does() -> None:
    original = plan()
    original.extend(START + 30)
    copied = original.copy()
    assert copied.extend(START + 96) == original.extend(START + 96)


def test_planned_notes_lie_where_they_were_asked_for() -> None:
    planned = plan().extend(START + 96)
    assert planned == sorted(planned)
    assert len({(note.onset, note.pitch) for note in planned}) == len(planned)
    assert all(START <= note.onset < START + 96 and 21 <= note.pitch <= 108 for note in planned)
    assert all(note.steps >= 1 and note.velocity and 1 <= note.velocity <= 127 for note in planned)


def test_priming_whole_equals_note_by_note_and_in_any_order() -> None:
    whole = heard()
    stepwise = ScoreState(MODEL, BARS)
    for note in PAST:
        stepwise.add([note])
    backward = ScoreState(MODEL, BARS)
    for note in PAST[::-1]:
        backward.add([note])
    for state in (stepwise, backward):
        assert np.array_equal(state.output, whole.output)
        assert state.notes() == whole.notes() == PAST


def test_going_back_and_on_again_changes_nothing() -> None:
    state = heard()
    output = state.output
    state.rewind(3 * 48)
    assert state.notes() == [note for note in PAST if note.onset < 3 * 48]
    state.add([note for note in PAST if note.onset >= 3 * 48])
    assert np.array_equal(state.output, output)


def test_a_long_past_is_forgotten_without_a_word() -> None:
    state = heard([GridNote(6 * index, 60 + index % 7, 6, 80) for index in range(2500)])
    assert len(state.notes()) < 2100
    state.add([GridNote(0, 60, 6, 80)])  # too long ago
    end = 2500 * 6 // 48 * 48 + 48
    assert Plan.begin(state, end, None, np.random.default_rng(1)).extend(end + 24)


def test_what_is_filled_lies_between_what_is_known() -> None:
    state = heard(some_bars(8))
    filling = Plan.fill(state, 3 * 48, 5 * 48, None, np.random.default_rng(2))
    planned = filling.extend(10_000)
    assert planned
    assert all(3 * 48 <= note.onset < 5 * 48 for note in planned)
    in_parts = Plan.fill(state, 3 * 48, 5 * 48, None, np.random.default_rng(2))
    assert [note for step in range(150, 300, 7) for note in in_parts.extend(step)] == planned
    future = [GridNote(5 * 48 + 6 * index, 40, 6, 20) for index in range(40)]
    assert Plan.fill(state, 3 * 48, 5 * 48, None, np.random.default_rng(2), future).extend(10_000) != planned


def test_what_is_played_meanwhile_is_taken_up() -> None:
    replan_from = START + 48
    followed = plan()
    before = followed.extend(START + 96)
    played = [GridNote(START + 12 * beat, 84, 12, 100) for beat in range(4)]
    followed.follow(played, replan_from)
    again = followed.extend(START + 96)
    assert all(replan_from <= note.onset < START + 96 for note in again)
    kept = {(note.onset, note.pitch): note for note in before if note.onset < replan_from}
    told = {**kept, **{(note.onset, note.pitch): note for note in played}}
    assert followed.state.notes(START) == [*(told[place] for place in sorted(told)), *again]


def test_a_scale_is_kept_to() -> None:
    planned = plan(PlanSettings(scale="f# dorian")).extend(START + 96)
    assert planned
    assert all(pitch_classes("f# dorian")[note.pitch % 12] for note in planned)


def test_density_and_register_lead() -> None:
    thin, dense = (len(plan(PlanSettings(density=d)).extend(START + 192)) for d in (0.4, 2.0))
    assert thin < dense
    low, high = (
        np.mean([note.pitch for note in plan(PlanSettings(register=r)).extend(START + 192)]) for r in (-18, 18)
    )
    assert low < high


@pytest.mark.parametrize("meter", [Meter(7, 8), Meter(5, 4), Meter(6, 8), Meter(3, 16)])
def test_any_meter_can_be_planned_in(meter: Meter) -> None:
    state = heard(some_bars(6, meter.steps), Bars.of(meter))
    start = 6 * meter.steps
    assert Plan.begin(state, start, None, np.random.default_rng(0)).extend(start + 2 * meter.steps)


def test_planning_from_nothing_gives_notes() -> None:
    assert Plan.begin(ScoreState(MODEL, BARS), 0, None, np.random.default_rng(0)).extend(96)


def test_a_plan_after_a_long_silence_begins_where_it_was_asked_for() -> None:
    planned = Plan.begin(heard(), 40 * 48, None, np.random.default_rng(0)).extend(41 * 48)
    assert planned
    assert all(note.onset >= 40 * 48 for note in planned)


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": 0.0},
        {"top_p": 2.0},
        {"density": np.nan},
        {"scale": "h major"},
        {"scale": ""},
        {"register": 99},
    ],
)
def test_settings_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"want|no scale"):
        PlanSettings(**wrong)  # type: ignore[arg-type]


def test_draws_keep_to_the_likeliest() -> None:
    logits = np.log(np.array([0.5, 0.3, 0.15, 0.05], np.float32))
    drawn = [draw(logits, 1.0, 0.9, chance) for chance in np.linspace(0, 0.999, 200)]
    assert set(drawn) == {0, 1, 2}
    assert np.bincount(drawn) / 200 == pytest.approx(np.array([0.5, 0.3, 0.15]) / 0.95, abs=0.02)


def test_weights_of_another_shape_are_refused() -> None:
    weights = tiny_score_weights()
    weights["time.bias"] = weights["time.bias"][:-1]
    with pytest.raises(ValueError, match=r"time\.bias"):
        ScoreModel(weights)
    with pytest.raises(ValueError, match="safetensors"):
        ScoreModel.load(Path("nowhere"))


def test_the_model_that_comes_with_the_program_keeps_beat_and_key() -> None:
    """And is no preset of sound."""
    assert "score" not in {preset.name for preset in list_presets()}
    state = ScoreState(ScoreModel.load(), BARS)
    state.add(PAST)
    planned = Plan.begin(state, START, None, np.random.default_rng(1)).extend(START + 8 * 48)
    measures = measure_notes(planned, BARS, START, START + 8 * 48, best_key(PAST))
    assert measures.beat_autocorrelation > 0.4
    assert measures.in_key > 0.7
    assert 0.5 < measures.notes_per_quarter / (len(PAST) / 24) < 1.6


def test_planning_takes_no_torch() -> None:
    loading = "import sys, melnet_music.notes.score.live; print('torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", loading], capture_output=True, text=True, timeout=120, check=True)
    assert result.stdout.strip() == "False"


def test_the_live_path_hears_seconds_and_plans_seconds() -> None:
    times = BeatTimes.steady(120, 1.0)
    live = LivePlanner(MODEL, BARS)
    with pytest.raises(ValueError, match="begin"):
        live.extend(10, times)
    for note in PAST:
        onset_s, end_s = (float(s) for s in times.seconds_at([note.onset / 12, (note.onset + note.steps) / 12]))
        live.hear([Note(onset_s, end_s, note.pitch, note.velocity or 1)], times)
    assert live.heard.notes() == PAST
    live.begin(START, PlanSettings(), 7, times)
    planned, played = live.extend(START + 48, times)
    assert len(planned) == len(played) > 0
    for note, sounding in zip(planned, played, strict=True):
        assert sounding.onset_s == pytest.approx(float(times.seconds_at(note.onset / 12)), abs=0.03)
        assert sounding.end_s > sounding.onset_s
    live.follow([Note(13.05, 13.5, 50, 90)], START + 24, times)
    planned, _ = live.extend(START + 48, times)
    assert all(note.onset >= START + 24 for note in planned)
