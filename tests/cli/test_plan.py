"""The subcommand plan: goes on with a MIDI file or fills bars of it, and says what it cannot do."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from tiny_score import some_bars, tiny_score_weights

from bridge.cli.main import main
from melnet_music.notes.beat_times import BeatTimes
from melnet_music.notes.midi_file import MidiTiming, read_midi_notes, read_midi_timing, write_midi_notes
from melnet_music.notes.score.feel import Feel, play

TIMING = MidiTiming(BeatTimes.of([(0, 0.0), (12, 7.0), (13, 7.4)]), ((0.0, 7, 8),))
BAR_BEATS = 3.5
EARLY_S = 0.03


@pytest.fixture
def song(tmp_path: Path) -> Path:
    notes = play(some_bars(6, 42), TIMING.times, Feel(spread_s=0.004), np.random.default_rng(1))
    write_midi_notes(tmp_path / "song.mid", notes, TIMING)
    save_file(tiny_score_weights(), tmp_path / "weights.safetensors")
    return tmp_path / "song.mid"


def run(song: Path, *more: str) -> tuple[int, Path]:
    out = song.with_name("out.mid")
    weights = str(song.with_name("weights.safetensors"))
    return main(["plan", str(song), "--output", str(out), "--weights", weights, *more]), out


def bars_of_notes(path: Path) -> list[int]:
    onsets = np.array([note.onset_s for note in read_midi_notes(path)]) + EARLY_S
    return [int(beat // BAR_BEATS) for beat in TIMING.times.beats_at(onsets)]


def test_goes_on_in_the_files_own_bars(song: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out = run(song, "--bars", "2", "--seed", "3", "--json")
    assert code == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["first_bar"], said["last_bar"]) == (7, 8)
    before, after = read_midi_notes(song), read_midi_notes(out)
    assert len(after) == len(before) + said["notes"]
    assert set(bars_of_notes(out)[len(before) :]) <= {6, 7}
    assert read_midi_timing(out).meters == TIMING.meters
    first = out.read_bytes()
    assert run(song, "--bars", "2", "--seed", "3")[0] == 0
    assert out.read_bytes() == first


def test_fills_bars_and_keeps_the_others(song: Path) -> None:
    code, out = run(song, "--from-bar", "3", "--to-bar", "4")
    assert code == 0
    kept = [bar for bar in bars_of_notes(song) if bar not in (2, 3)]
    assert [bar for bar in bars_of_notes(out) if bar not in (2, 3)] == kept
    code, out = run(song, "--from-bar", "3", "--plan-only")
    assert code == 0
    assert set(bars_of_notes(out)) == {2}


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        (["--bars", "0"], "at least one"),
        (["--from-bar", "90"], "cannot be planned"),
        (["--from-bar", "0"], "cannot be planned"),
        (["--to-bar", "2"], "give either"),
        (["--scale", "x major"], "no scale"),
        (["--temperature", "-1"], "temperature"),
    ],
)
def test_what_cannot_be_done_is_said(
    song: Path, more: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(song, *more)[0] == 2
    assert reason in capsys.readouterr().err


def test_a_file_without_notes_is_refused(song: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_midi_notes(song, [], TIMING)
    assert run(song)[0] == 2
    assert "holds no notes" in capsys.readouterr().err
