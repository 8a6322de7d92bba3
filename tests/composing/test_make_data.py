"""The made training set: files that fit their manifest, and the same set from the same seed."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from tiny_sounds import write_sounds

from melnet_music.composing.collection import play_work, split_of
from melnet_music.composing.make_data import Manifest, make_data, read_notes, write_notes
from melnet_music.composing.perform import perform
from melnet_music.composing.rendering.device_render import DeviceRenderer
from melnet_music.composing.rendering.one_shots import read_sounds
from melnet_music.composing.rendering.render import DEFAULT_SOUNDFONTS, SAMPLE_RATE_HZ, TAIL_SECONDS, find_soundfonts
from melnet_music.composing.score.compose import compose

SEED = 26
"""Its first two works are short: 48 and 70 s."""
TWO_WORKS_HOURS = 0.02
COLUMNS = ["onset_s", "release_s", "sounding_end_s", "pitch", "velocity", "channel", "program"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Manifest]:
    folder = tmp_path_factory.mktemp("made")
    return folder, make_data(folder, hours=TWO_WORKS_HOURS, seed=SEED, processes=2)


def test_the_manifest_describes_the_files(made: tuple[Path, Manifest]) -> None:
    folder, manifest = made
    assert json.loads((folder / "manifest.json").read_text())["digest"] == manifest.digest
    assert manifest.seconds >= TWO_WORKS_HOURS * 3600
    expected = {folder / "manifest.json"}
    for work in manifest.works:
        audio, notes = (folder / work.split / f"{work.name}{suffix}" for suffix in (".flac", ".notes.csv"))
        expected |= {audio, notes}
        samples, rate = soundfile.read(audio, dtype="int16")
        assert (rate, samples.ndim, soundfile.info(audio).subtype) == (SAMPLE_RATE_HZ, 1, "PCM_16")
        assert hashlib.sha256(samples.tobytes()).hexdigest() == work.samples_sha256
        rows = list(csv.DictReader(notes.read_text().splitlines()))
        assert list(rows[0]) == COLUMNS
        assert len(rows) == work.notes
        last_end_s = max(float(row["sounding_end_s"]) for row in rows)
        assert len(samples) / rate == pytest.approx(last_end_s + TAIL_SECONDS, abs=0.01)
        assert work.split == split_of(work.name)
        assert work.soundfont in DEFAULT_SOUNDFONTS
        assert {int(row["program"]) for row in rows} <= set(work.programs)
        assert read_notes(notes) == list(perform(compose(SEED, int(work.name[-6:]))).notes)
    assert {path for path in folder.rglob("*") if path.is_file()} == expected


def test_one_process_interrupted_and_resumed_makes_what_two_processes_make(
    made: tuple[Path, Manifest], tmp_path: Path
) -> None:
    def interrupt(done: int, works: int) -> None:
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_data(tmp_path, hours=TWO_WORKS_HOURS, seed=SEED, processes=1, progress=interrupt)
    assert not (tmp_path / "manifest.json").exists()
    (journal,) = tmp_path.glob("*.jsonl")
    with journal.open("a") as file:
        file.write('{"name": "a line that a power cut end')
    folder, manifest = made
    first = manifest.works[0]
    written_ns = (tmp_path / first.split / f"{first.name}.flac").stat().st_mtime_ns
    reports: list[tuple[int, int]] = []
    resumed = make_data(
        tmp_path,
        hours=TWO_WORKS_HOURS,
        seed=SEED,
        processes=1,
        progress=lambda done, works: reports.append((done, works)),
    )
    assert resumed == manifest
    assert reports == [(1, 2), (2, 2)]
    assert (tmp_path / first.split / f"{first.name}.flac").stat().st_mtime_ns == written_ns
    files = [path.relative_to(folder) for path in folder.rglob("*.*")]
    assert sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*.*")) == sorted(files)
    for file_name in files:
        assert (tmp_path / file_name).read_bytes() == (folder / file_name).read_bytes()


def test_a_damaged_file_is_made_again(made: tuple[Path, Manifest], tmp_path: Path) -> None:
    shutil.copytree(made[0], tmp_path, dirs_exist_ok=True)
    lost = made[1].works[0]
    damaged = tmp_path / lost.split / f"{lost.name}.flac"
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[: len(whole) // 2])
    assert make_data(tmp_path, hours=TWO_WORKS_HOURS, seed=SEED, processes=1) == made[1]
    assert damaged.read_bytes() == whole


def test_a_folder_of_another_set_is_left_alone(made: tuple[Path, Manifest]) -> None:
    with pytest.raises(ValueError, match="holds another set: its seed differ"):
        make_data(made[0], hours=TWO_WORKS_HOURS, seed=SEED + 1, processes=1)


def test_a_set_rendered_at_another_rate_is_left_alone(made: tuple[Path, Manifest], tmp_path: Path) -> None:
    """Sets of old say no rate: they have 22,050 Hz."""
    before = json.loads((made[0] / "manifest.json").read_text())
    del before["recipe"]["sample_rate_hz"]
    (tmp_path / "manifest.json").write_text(json.dumps(before))
    with pytest.raises(ValueError, match="holds another set: its sample_rate_hz differ"):
        make_data(tmp_path, hours=TWO_WORKS_HOURS, seed=SEED, processes=1)


def test_works_are_split_once_and_about_nine_to_one() -> None:
    share = Counter(split_of(f"piano-1-{number:06d}") for number in range(4000))
    assert 0.88 < share["train"] / 4000 < 0.92
    assert 0.04 < share["valid"] / 4000 < 0.06
    assert 0.04 < share["test"] / 4000 < 0.06


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"kind": "banjo"}, "'banjo': expected one of piano, music"),
        ({"hours": 0.0}, "hours must be a number above 0, got 0"),
        ({"hours": float("nan")}, "hours must be a number above 0, got nan"),
        ({"seed": -1}, "seed must be 0 or more, got -1"),
        ({"processes": 0}, "processes must be at least 1, got 0"),
        ({"soundfonts": [Path("missing.sf3")]}, "no soundfont at missing.sf3"),
    ],
)
def test_arguments_out_of_range_are_named(tmp_path: Path, wrong: dict[str, object], message: str) -> None:
    arguments: dict[str, object] = {"hours": TWO_WORKS_HOURS, "seed": 1, "processes": 1} | wrong
    with pytest.raises(ValueError, match=message):
        make_data(tmp_path, **arguments)  # type: ignore[arg-type]


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(ValueError, match=r"cannot write to .*file"):
        make_data(tmp_path / "file" / "set", hours=TWO_WORKS_HOURS, seed=1, processes=1)


def test_notes_come_back_as_they_were_written(tmp_path: Path) -> None:
    notes = list(perform(compose(2, 1)).notes)
    (tmp_path / "notes.csv").write_text(write_notes(notes))
    assert read_notes(tmp_path / "notes.csv") == notes


def test_a_set_of_ensembles_is_made_from_the_soundfont_that_is_given(tmp_path: Path) -> None:
    font = find_soundfonts()[1]
    manifest = make_data(tmp_path, kind="music", hours=0.001, seed=2, processes=1, soundfonts=[font])
    (work,) = manifest.works
    assert manifest.recipe.soundfonts.keys() == {font.name} == {work.soundfont}
    rows = read_notes(tmp_path / work.split / f"{work.name}.notes.csv")
    assert {note.program for note in rows} <= set(work.programs)
    samples, _ = soundfile.read(tmp_path / work.split / f"{work.name}.flac")
    assert np.sqrt(np.mean(np.square(samples))) == pytest.approx(10 ** (work.level_dbfs / 20), rel=0.3)
    assert manifest.leakage_8 == manifest.leakage_16 == 0.0


def test_a_set_is_rendered_from_one_shots_as_training_renders_it(tmp_path: Path) -> None:
    sounds, out = write_sounds(tmp_path / "sounds"), tmp_path / "set"
    made = make_data(out, hours=0.001, seed=SEED, processes=1, sounds=sounds)
    (work,) = made.works
    assert work.soundfont in {"bright", "dark"}
    samples, _ = soundfile.read(out / work.split / f"{work.name}.flac", dtype="int16")
    played = play_work("piano", SEED, 0, ("bright", "dark"))
    renderer = DeviceRenderer(read_sounds(sounds, "piano"), torch.device("cpu"))
    rendered = renderer.render(played.performance.notes, played.sound).numpy()
    assert np.array_equal(samples, np.round(rendered * 32767).astype(np.int16))
    assert made.onsets.percentile_95_ms < 10
    with pytest.raises(ValueError, match="holds another set: its soundfonts, versions differ"):
        make_data(out, hours=0.001, seed=SEED, processes=1)
    with pytest.raises(ValueError, match="both soundfonts and a folder of sounds are given: leave one of them out"):
        make_data(out, hours=1, seed=SEED, processes=1, sounds=sounds, soundfonts=find_soundfonts())
