"""Planned takes as they sound: known music measures as it is, and a whole measurement runs and can be gone on with."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_ear import EAR_CONFIG, random_ear_weights

from bridge.cli.evaluate import KINDS as CLI_KINDS
from bridge.cli.main import main
from melnet_music.composing.collection import KINDS
from melnet_music.composing.perform import perform, played_beats
from melnet_music.composing.score.compose import compose
from melnet_music.evaluation.planned import work_measures
from melnet_music.evaluation.planned.figures import figures
from melnet_music.evaluation.planned.measures import OnsetStrength, Performed, SpanMeasures, found_notes, measure_span
from melnet_music.evaluation.planned.table import tables
from melnet_music.evaluation.planned.work_measures import SideMeasures, WorkMeasures
from melnet_music.evaluation.planned.works import Join, SoundingWork, held_out_works
from melnet_music.model.config import read_preset_config
from melnet_music.model.preset import CONFIG_FILE, write_weights
from melnet_music.notes.beat_times import BeatTimes
from melnet_music.notes.ear.config import EarConfig, write_ear_config
from melnet_music.notes.ear.ear import CONFIG_FILE as EAR_FILE
from melnet_music.notes.ear.ear import WEIGHTS_FILE
from melnet_music.notes.note_map import Note
from melnet_music.notes.score.grid import Bars, Meter

RATE_HZ = 22050
TIMES = BeatTimes.steady(120.0, 0.25)
BARS = Bars.of(Meter(4, 4), 40)
ANY_KEY = np.ones(12, bool)


def test_a_steady_beat_is_one_in_sound_and_in_notes() -> None:
    notes = [Note(0.25 + 0.5 * n, 0.6 + 0.5 * n, 60, 80) for n in range(40)]
    audio = np.zeros(21 * RATE_HZ, np.float32)
    at = np.arange(round(0.45 * RATE_HZ)) / RATE_HZ
    for note in notes:
        begin = round(note.onset_s * RATE_HZ)
        audio[begin : begin + len(at)] += (0.3 * np.sin(2 * np.pi * 262 * at) * np.exp(-at / 0.05)).astype(np.float32)
    measured = measure_span(Performed(notes, TIMES, BARS, OnsetStrength.of(audio, RATE_HZ)), 0.25, 20.25, ANY_KEY)
    assert measured.notes_per_second == pytest.approx(2.0)
    assert measured.onsets_per_second == pytest.approx(2.0, abs=0.15)
    assert min(measured.beat, measured.bar, measured.note_beat, measured.note_bar) > 0.8
    assert measured.pitch_class_entropy == pytest.approx(0.0)
    assert measured.rhythm_returns == 1.0
    # the same sound on beats that are not its own has none
    astray = BeatTimes.steady(97.0, 0.25)
    assert (
        measure_span(Performed(notes, astray, BARS, OnsetStrength.of(audio, RATE_HZ)), 0.25, 20.25, ANY_KEY).beat < 0.3
    )


def test_notes_alone_have_no_sound_to_measure() -> None:
    chord = [Note(1.0, 1.5, 61, 80), Note(1.02, 1.5, 65, 80)]
    measured = measure_span(Performed(chord, TIMES, BARS), 0.0, 10.0, ANY_KEY)
    assert math.isnan(measured.beat)
    assert math.isnan(measured.onsets_per_second)
    assert measured.notes_per_second == pytest.approx(0.2)
    assert measured.moments_per_second == pytest.approx(0.1)


def test_found_notes_are_paired_by_pitch_and_onset() -> None:
    true = [Note(1.0, 2.0, 60, 80), Note(2.0, 3.0, 62, 80), Note(9.0, 9.5, 62, 80)]
    found = [Note(1.03, 2.0, 60, 80), Note(2.2, 3.0, 62, 80)]
    assert found_notes(found, true, 0.0, 5.0) == (1, 2, 2)


def test_takes_begin_with_a_bar_and_keep_its_tempo() -> None:
    seconds = np.concatenate((np.arange(30) * 0.5, 15.0 + np.arange(71) * 0.6))
    work = SoundingWork("some", np.zeros(1, np.float32), [], BeatTimes(np.arange(101.0), seconds), BARS)
    join = Join.after(work, 20.0)  # beat 38.3: bar 10 begins with beat 40
    assert join.second == pytest.approx(21.0)
    assert join.grid.start == 480
    assert float(join.times.seconds_at(60.0)) == pytest.approx(21.0 + 20 * 60 / join.tempo_bpm)
    assert join.tempo_bpm == pytest.approx(60 * 16 / (21.0 - 12.0))


def measures(notes: float, beat: float) -> SpanMeasures:
    return SpanMeasures(notes, notes, notes, beat, beat, beat, beat, 3.0, 0.9, 0.5)


def test_figures_hold_takes_against_what_was_heard() -> None:
    heard = measures(4.0, 0.4)

    def side(notes: float, beat: float) -> SideMeasures:
        return SideMeasures(heard, measures(notes, beat), [measures(notes, beat)] * 4)

    works = [
        WorkMeasures(
            name, 31.0, 90.0, "4/4", {"real": side(4, 0.4), "planned": side(notes, 0.35)}, [(3, 4, 4)], [(1, 2, 4)]
        )
        for name, notes in (("a", 4.5), ("b", 8.0))
    ]
    found = figures(works)
    planned = found["sides"]["planned"]  # type: ignore[index]
    assert planned["notes_per_second_within"] == 0.5
    assert planned["beat_kept"] == 1.0
    assert planned["windows_within"]["in_key"] == 1.0
    assert found["ear_on_plan"] == {"precision": 0.5, "recall": 0.25, "played": 8}
    assert "| ...within 25 % | 1.00 | 0.50 |" in tables(found)


def test_works_are_held_out_and_long_enough() -> None:
    works = held_out_works("piano", 1, 2, 60.0)
    assert [work.name for work in works] == sorted(work.name for work in works)
    assert len(works) == 2
    assert CLI_KINDS == KINDS


def test_beats_of_a_work_are_where_its_notes_are_played() -> None:
    work = next(work for number in range(20) if (work := compose(1, number)).swing == 0.5)
    beats = played_beats(work)
    assert len(beats) == round(work.beats) + 1
    written = {note.onset_beat for note in work.notes if note.onset_beat % 1 == 0}
    played = np.array([note.onset_s for note in perform(work).notes])
    assert max(np.abs(played - beats[int(beat)]).min() for beat in written) < 0.06


def test_a_measurement_runs_and_goes_on_from_its_takes(
    tmp_path: Path, narrow_piano: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work_measures, "WINDOW_SECONDS", 4.0)
    ear = tmp_path / "ear"
    ear.mkdir()
    sound = read_preset_config(narrow_piano / CONFIG_FILE).sound
    config = EarConfig(sound=sound, network=EAR_CONFIG.network, thresholds=EAR_CONFIG.thresholds)
    write_ear_config(ear / EAR_FILE, config)
    weights = random_ear_weights(1, config)
    write_weights(ear / WEIGHTS_FILE, {name: torch.from_numpy(array) for name, array in weights.items()})
    out = tmp_path / "out"
    asked = ["measure-plans", str(narrow_piano), "--out", str(out), "--ear", str(ear), "--heard", "4"]
    asked += ["--seconds", "8", "--works", "1", "--real", "1", "--pictures", "1", "--processes", "1"]
    assert main(asked) == 0
    first = json.loads((out / "planned.json").read_text())
    assert first["works_with_takes"] == 1
    assert (out / "planned-piano-1.png").stat().st_size > 10_000
    made = {path: path.stat().st_mtime_ns for path in (out / "takes").iterdir()}
    assert len(made) == 3
    assert main(asked) == 0
    assert {path: path.stat().st_mtime_ns for path in (out / "takes").iterdir()} == made
    assert json.loads((out / "planned.json").read_text()) == first


def test_what_cannot_be_measured_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["measure-plans", "piano", "--out", str(tmp_path), "--ear", str(tmp_path / "none")]
    assert main(asked) == 2
    assert "no settings of an ear" in capsys.readouterr().err
