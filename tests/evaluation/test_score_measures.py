"""Measures of notes: known rhythms and keys measure as they are, and plans are measured beside real music."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from tiny_score import some_bars, tiny_score_model, tiny_score_weights

from bridge.cli.main import main
from melnet_music.evaluation.score.continuations import continue_scores, leakage, summarise
from melnet_music.evaluation.score.note_measures import best_key, measure_notes
from melnet_music.notes.score.grid import Bars, GridNote, Meter
from melnet_music.notes.score.settings import PlanSettings
from melnet_music.training.score.scores import score_of

BARS = Bars.of(Meter(4, 4))
ANY_KEY = np.ones(12, bool)


def test_a_steady_beat_is_a_beat_and_chance_is_none() -> None:
    steady = [GridNote(12 * beat, 60, 6) for beat in range(64)]
    measures = measure_notes(steady, BARS, 0, 64 * 12, ANY_KEY)
    assert measures.notes_per_quarter == 1.0
    assert measures.beat_autocorrelation == pytest.approx(1.0, abs=0.05)
    assert measures.bar_autocorrelation == pytest.approx(1.0, abs=0.05)
    assert measures.rhythm_returns == 1.0
    rng = np.random.default_rng(1)
    scattered = [GridNote(int(step), 60, 6) for step in np.sort(rng.integers(0, 64 * 12, 128))]
    measures = measure_notes(scattered, BARS, 0, 64 * 12, ANY_KEY)
    assert abs(measures.beat_autocorrelation) < 0.2
    assert measures.rhythm_returns < 0.2


def test_keys_and_entropy() -> None:
    d_major = [GridNote(6 * i, 62 + (0, 4, 7, 2, 5, 9, 11)[i % 7], 6) for i in range(70)]
    key = best_key(d_major)
    assert sorted(np.flatnonzero(key)) == [1, 2, 4, 6, 7, 9, 11]
    assert measure_notes(d_major, BARS, 0, 420, key).in_key == 1.0
    assert measure_notes(d_major, BARS, 0, 420, key).pitch_class_entropy == pytest.approx(math.log2(7))
    up = [GridNote(note.onset, note.pitch + 6, 6) for note in d_major]
    assert measure_notes(up, BARS, 0, 420, key).in_key < 0.4


def test_nothing_measures_as_nothing() -> None:
    measures = measure_notes([], BARS, 0, 480, ANY_KEY)
    assert measures.notes_per_quarter == 0.0
    assert math.isnan(measures.in_key)
    assert math.isnan(measures.beat_autocorrelation)


def test_plans_are_measured_beside_real_music() -> None:
    score = score_of("some", some_bars(40), Bars.of(Meter(4, 4), 40), 120.0)
    short = score_of("short", some_bars(4), Bars.of(Meter(4, 4), 4), 120.0)
    made = continue_scores(tiny_score_model(), [score, short], PlanSettings(), 1)
    assert [each.name for each in made] == ["some"]
    assert all(note.onset >= 20 * 24 for note in made[0].planned_notes)
    figures = json.loads(json.dumps(summarise(made)))
    assert figures["continuations"] == 1
    assert figures["real"]["density_within"] == 1.0
    assert len(figures["planned"]["by_window"]) == 4
    assert leakage(made, [score_of("plan", made[0].planned_notes, BARS.copy(), 120.0)])["8"] == pytest.approx(
        1.0, abs=0.1
    )
    assert leakage(made, [short])["16"] == 0.0


def test_the_subcommand_prints_a_line_a_kind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_file(tiny_score_weights(), tmp_path / "weights.safetensors")
    assert main(["measure-score", "--weights", str(tmp_path / "weights.safetensors"), "--works", "1"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["kind"] for line in lines] == ["piano", "music"]
