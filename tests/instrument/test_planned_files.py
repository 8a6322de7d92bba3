"""Planned takes on files: the grid that is found in sound, the plan and its file, and what cannot be planned."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from narrow_piano import write_narrow_piano
from tiny_ear import random_ear_weights
from tiny_score import tiny_score_model

from bridge.cli.main import main
from melnet_music.instrument.planning import offline_plan
from melnet_music.instrument.planning.sound_grid import grid_of_sound
from melnet_music.instrument.planning.take_plan import NotPlannableError
from melnet_music.model.config import read_preset_config
from melnet_music.model.preset import CONFIG_FILE, write_weights
from melnet_music.notes.ear.config import EarConfig, write_ear_config
from melnet_music.notes.ear.ear import CONFIG_FILE as EAR_FILE
from melnet_music.notes.ear.ear import WEIGHTS_FILE
from melnet_music.notes.midi_file import read_midi_notes, read_midi_timing
from melnet_music.notes.score.grid import Meter
from melnet_music.sound.audio_file import AudioClip, read_audio, write_audio

RATE_HZ = 22050


def beats_of_sound(tempo_bpm: float, seconds: float, first_s: float, strong_every: int) -> npt.NDArray[np.float32]:
    """Struck tones a quarter apart; every so many, from the first on, with a bass."""
    audio = np.zeros(round(seconds * RATE_HZ), np.float32)
    at = np.arange(round(0.3 * RATE_HZ)) / RATE_HZ
    for beat in range(int((seconds - first_s - 0.3) * tempo_bpm / 60)):
        strong = beat % strong_every == 0
        struck = np.sin(2 * np.pi * 660 * at) + (2 * np.sin(2 * np.pi * 110 * at) if strong else 0)
        begin = round((first_s + beat * 60 / tempo_bpm) * RATE_HZ)
        audio[begin : begin + len(at)] += 0.2 * (struck * np.exp(-at / 0.08)).astype(np.float32)
    return audio


@pytest.mark.parametrize("told", [None, 100.0])
def test_beats_and_bars_are_found_in_sound(told: float | None) -> None:
    audio = beats_of_sound(100.0, 20.0, 0.4, 3)
    grid = grid_of_sound(audio, RATE_HZ, Meter(3, 4), told)
    bars_s = grid.times.seconds_at(np.arange(0, 60, 3.0)) + 20.0
    true_s = 0.4 + np.arange(0, 12) * 1.8
    nearest = np.abs(bars_s[:, None] - true_s[None, :]).min(0)
    assert nearest.max() < 0.06
    tempo = 60 / float(np.diff(grid.times.seconds_at([60.0, 61.0]))[0])
    assert tempo == pytest.approx(100.0, rel=0.02)


def test_silence_has_no_beat() -> None:
    with pytest.raises(NotPlannableError, match="no beat"):
        grid_of_sound(np.zeros(5 * RATE_HZ, np.float32), RATE_HZ, Meter(4, 4))


@pytest.fixture
def tiny_plans(monkeypatch: pytest.MonkeyPatch) -> None:
    class Loader:
        load = staticmethod(tiny_score_model)

    monkeypatch.setattr(offline_plan, "ScoreModel", Loader)


@pytest.mark.usefixtures("tiny_plans")
def test_generate_plays_a_plan_and_writes_it(
    tmp_path: Path, narrow_piano: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, plan = tmp_path / "out.wav", tmp_path / "plan.mid"
    asked = ["generate", str(out), "--preset", str(narrow_piano), "--seconds", "2", "--json"]
    assert main([*asked, "--plan", "--tempo", "100", "--meter", "3/4", "--plan-out", str(plan)]) == 0
    told = json.loads(capsys.readouterr().out)
    notes, timing = read_midi_notes(plan), read_midi_timing(plan)
    assert told["planned_notes"] == len(notes) > 0
    assert timing.meters[0][1:] == (3, 4)
    assert float(timing.times.seconds_at(1.0)) == pytest.approx(0.6)
    planned = read_audio(out).samples
    assert main(asked) == 0
    assert not np.array_equal(planned, read_audio(out).samples)


@pytest.mark.usefixtures("tiny_plans")
def test_a_preset_that_plans_by_itself_does_unless_told_otherwise(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    preset, song, given = write_narrow_piano(tmp_path, plans=True), tmp_path / "plan.mid", tmp_path / "given.wav"
    asked = ["--preset", str(preset), "--seconds", "1", "--json"]

    def planned(*options: str) -> int:
        assert main(["generate", str(given), *asked, *options]) == 0
        return int(json.loads(capsys.readouterr().out).get("planned_notes", 0))

    assert planned("--tempo", "100", "--plan-out", str(song)) == len(read_midi_notes(song)) > 0
    assert planned("--no-plan") == 0
    assert planned("--notes", str(song)) == 0
    assert main(["generate", str(given), *asked, "--notes", str(song), "--plan"]) == 2
    assert "leave one of them out" in capsys.readouterr().err
    assert main(["generate", str(given), *asked, "--no-plan", "--tempo", "100"]) == 2


@pytest.mark.usefixtures("tiny_plans")
def test_continue_plans_from_the_bar_that_the_sound_is_in(tmp_path: Path, narrow_piano: Path) -> None:
    source, plan = tmp_path / "in.wav", tmp_path / "plan.mid"
    write_audio(source, AudioClip(beats_of_sound(120.0, 6.3, 0.1, 4)[:, None], RATE_HZ))
    ear = write_ear(tmp_path / "ear", narrow_piano, deaf=False)
    asked = ["--preset", str(narrow_piano), "--seconds", "2", "--plan", "--tempo", "120", "--plan-out", str(plan)]
    assert main(["continue", str(source), str(tmp_path / "out.wav"), *asked, "--ear", str(ear)]) == 0
    notes = read_midi_notes(plan)
    # the sound ends 0.2 s into a bar, which begins the file
    assert notes
    assert min(note.onset_s for note in notes) > 0.15
    assert max(note.onset_s for note in notes) < 2.3


@pytest.mark.usefixtures("tiny_plans")
def test_inpaint_plans_the_bars_between(tmp_path: Path, narrow_piano: Path) -> None:
    source, plan = tmp_path / "in.wav", tmp_path / "plan.mid"
    write_audio(source, AudioClip(beats_of_sound(120.0, 8.1, 0.1, 4)[:, None], RATE_HZ))
    ear = write_ear(tmp_path / "ear", narrow_piano, deaf=False)
    asked = ["--preset", str(narrow_piano), "--start", "4.1", "--stop", "6.1", "--ear", str(ear)]
    assert main(["inpaint", str(source), str(tmp_path / "plain.wav"), *asked[:-2]]) == 0
    planning = ["--plan", "--tempo", "120", "--plan-out", str(plan)]
    assert main(["inpaint", str(source), str(tmp_path / "out.wav"), *asked, *planning]) == 0
    notes = read_midi_notes(plan)
    assert notes
    assert max(note.onset_s for note in notes) < 4.0  # from the bar line at or before the part
    plain, planned = (read_audio(tmp_path / name).samples for name in ("plain.wav", "out.wav"))
    part = slice(round(4.2 * RATE_HZ), round(6.0 * RATE_HZ))
    assert not np.array_equal(plain[part], planned[part])
    assert np.array_equal(plain[: 4 * RATE_HZ], planned[: 4 * RATE_HZ])


@pytest.mark.usefixtures("tiny_plans")
def test_what_cannot_be_planned_goes_on_unplanned(
    tmp_path: Path, narrow_piano: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source, ear = tmp_path / "in.wav", write_ear(tmp_path / "ear", narrow_piano, deaf=True)
    write_audio(source, AudioClip(beats_of_sound(120.0, 3.0, 0.1, 4)[:, None], RATE_HZ))
    asked = ["--preset", str(narrow_piano), "--seconds", "0.5", "--seed", "3"]
    assert main(["continue", str(source), str(tmp_path / "plain.wav"), *asked]) == 0
    plan = tmp_path / "plan.mid"
    options = ["--plan", "--ear", str(ear), "--plan-out", str(plan)]
    assert main(["continue", str(source), str(tmp_path / "asked.wav"), *asked, *options]) == 0
    assert "0 notes were heard" in caplog.text
    assert not plan.exists()
    assert np.array_equal(read_audio(tmp_path / "plain.wav").samples, read_audio(tmp_path / "asked.wav").samples)


def write_ear(folder: Path, preset: Path, *, deaf: bool) -> Path:
    """An ear for a preset's sound: one that hears whatever it likes, or one that believes in nothing."""
    config = EarConfig(sound=read_preset_config(preset / CONFIG_FILE).sound)
    weights = random_ear_weights(1, config)
    if deaf:
        weights["outlet.bias"][0] = -1e6
    folder.mkdir()
    write_ear_config(folder / EAR_FILE, config)
    write_weights(folder / WEIGHTS_FILE, {name: torch.from_numpy(array) for name, array in weights.items()})
    return folder


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--tempo", "90"], "give --plan too"),
        (["--plan", "--meter", "4"], "4/4 or 6/8"),
        (["--plan", "--meter", "4/5"], "denominator"),
        (["--plan", "--tempo", "0"], "20 to 400"),
        (["--plan", "--scale", "h major"], "h major"),
    ],
)
def test_options_that_make_no_sense(
    tmp_path: Path, narrow_piano: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    assert main(["generate", str(tmp_path / "out.wav"), "--preset", str(narrow_piano), *options]) == 2
    assert message in capsys.readouterr().err
