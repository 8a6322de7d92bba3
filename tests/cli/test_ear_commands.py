"""The ear's commands, as they are typed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from tiny_ear import EAR_CONFIG, EAR_SOUND, random_ear_frames, random_ear_weights

from bridge.cli.main import main
from melnet_music.notes.ear.config import read_ear_config, write_ear_config
from melnet_music.notes.ear.ear import CONFIG_FILE, WEIGHTS_FILE
from melnet_music.notes.midi_file import read_midi_notes
from melnet_music.notes.note_map import Note
from melnet_music.training.data.note_table import NoteTable
from melnet_music.training.ear.works import Collection, EarWork


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An ear with weights at random."""
    from safetensors.numpy import save_file

    write_ear_config(tmp_path / CONFIG_FILE, EAR_CONFIG)
    save_file(random_ear_weights(0), tmp_path / WEIGHTS_FILE)
    return tmp_path


def test_hear_writes_and_prints_the_same_notes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recording, midi = folder / "in.wav", folder / "out.mid"
    time_s = np.arange(3 * 44100) / 44100
    soundfile.write(recording, 0.3 * np.sin(2 * np.pi * 300 * time_s * (1 + 0.2 * time_s)), 44100)
    assert main(["hear", str(recording), "--midi", str(midi), "--ear", str(folder)]) == 0
    written = read_midi_notes(midi)
    assert capsys.readouterr().out == f"{midi}: {len(written)} notes in 3.0 s of sound\n"
    assert main(["hear", str(recording), "--ear", str(folder)]) == 0
    heading, *lines = capsys.readouterr().out.splitlines()
    assert heading == "onset_s,end_s,pitch,velocity,confidence"
    assert len(lines) == len(written) > 0
    assert main(["hear", str(recording), "--ear", str(folder), "--sure", "0.9"]) == 0
    assert 0 < len(capsys.readouterr().out.splitlines()) < len(lines)


def test_hear_says_why_it_cannot(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["hear", str(folder / "none.wav"), "--ear", str(folder)]) == 2
    assert capsys.readouterr().err == f"melnet-music hear: no audio file at {folder / 'none.wav'}\n"
    assert main(["hear", "x.wav", "--sure", "7"]) == 2
    assert "--sure is 7, want 0 to 1" in capsys.readouterr().err


def test_train_ear_trains_and_measures(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On works that need not be rendered."""

    def works(self: Collection, kind: str, split: str, works: int, progress: object) -> list[EarWork]:
        assert self.folder == folder / "new" / "works"
        notes = [Note(0.3 * n, 0.3 * n + 0.2, 60 + n, 70) for n in range(4)]
        frames = random_ear_frames(150, len(kind) + len(split)).astype(np.float16)
        return [EarWork(f"{kind}-{split}", frames, NoteTable.of(notes))] * works

    monkeypatch.setattr(Collection, "works", works)
    monkeypatch.setattr("melnet_music.training.ear.run._UNPITCHED_CLIPS", 2)
    new = folder / "new"
    arguments = ["--works", "2", "--held-out", "1", "--minutes", "0.02", "--from", str(folder)]
    assert main(["train-ear", str(new), *arguments]) == 0
    out = capsys.readouterr().out
    assert f"{new}: ready" in out
    assert "piano: F1 " in out
    assert "music: F1 " in out
    trained = (new / WEIGHTS_FILE).read_bytes()
    assert read_ear_config(new / CONFIG_FILE).sound == EAR_SOUND
    assert main(["train-ear", str(new), "--measure", "--held-out", "1"]) == 0
    assert capsys.readouterr().out.count("F1 ") == 2
    assert (new / WEIGHTS_FILE).read_bytes() == trained
    assert main(["train-ear", str(new), "--minutes", "0"]) == 2
    assert "--minutes is 0, want more than 0" in capsys.readouterr().err
