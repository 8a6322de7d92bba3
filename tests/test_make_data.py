"""The made training set: lawful music, labels that fit the audio, and the same set from the same seed."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from melnet_music.composing import render
from melnet_music.composing.compose import (
    HIGHEST_PITCH,
    LONGEST_SECONDS,
    LOWEST_PITCH,
    SHORTEST_SECONDS,
    STYLES,
    Work,
    compose,
)
from melnet_music.composing.harmony import MOVES, Cadence, Key, chord, voice, walk
from melnet_music.composing.make_data import Manifest, make_data, split_of
from melnet_music.composing.perform import PerformedNote, perform
from melnet_music.composing.render import SAMPLE_RATE_HZ, TAIL_SECONDS, Renderer, find_soundfont

TWO_WORKS_HOURS = 0.04
ONSET_TOLERANCE_SECONDS = 0.010
COLUMNS = ["onset_s", "release_s", "sounding_end_s", "pitch", "velocity", "channel", "program"]

works = st.builds(compose, st.integers(0, 2**32), st.integers(0, 10**6))
keys = st.builds(Key, st.integers(0, 11), st.booleans())


@settings(max_examples=25, deadline=None)
@given(works)
def test_scores_are_lawful(work: Work) -> None:
    sounding_until: defaultdict[int, float] = defaultdict(float)
    for note in work.notes:
        assert LOWEST_PITCH <= note.pitch <= HIGHEST_PITCH
        assert note.duration_beats > 0
        assert 0 <= note.onset_beat < note.onset_beat + note.duration_beats <= work.beats + 1e-6
        assert sounding_until[note.pitch] <= note.onset_beat + 1e-6
        sounding_until[note.pitch] = note.onset_beat + note.duration_beats
    assert SHORTEST_SECONDS <= work.beats * 60 / work.tempo_bpm <= LONGEST_SECONDS


@settings(max_examples=25, deadline=None)
@given(works)
def test_chords_and_sections_fill_every_bar(work: Work) -> None:
    end_beat = 0.0
    for sounding in work.chords:
        assert sounding.onset_beat == end_beat
        end_beat += sounding.duration_beats
    assert end_beat == work.beats == work.bars * work.bar_beats
    bar = work.sections[0].start_bar
    assert bar in (0, 2)
    for section in work.sections:
        assert section.start_bar == bar
        bar += section.bars
    assert bar + 1 == work.bars
    assert work.chords[-1].numeral == work.key.tonic_numeral


@settings(max_examples=25, deadline=None)
@given(works)
def test_every_key_goes_down_before_it_comes_up_and_up_before_it_goes_down(work: Work) -> None:
    performance = perform(work)
    silent_from: defaultdict[int, float] = defaultdict(float)
    for note in performance.notes:
        assert silent_from[note.pitch] <= note.onset_s < note.release_s <= note.sounding_end_s
        assert 1 <= note.velocity <= 127
        silent_from[note.pitch] = note.sounding_end_s
    assert len(performance.notes) >= 0.99 * len(work.notes)
    assert 30 <= performance.seconds <= 180


@given(keys, st.integers(5, 12), st.sampled_from(get_args(Cadence)), st.integers(0, 2**32))
def test_phrases_walk_legally_to_their_cadence(key: Key, slots: int, cadence: Cadence, seed: int) -> None:
    numerals = walk(np.random.default_rng(seed), key, slots, cadence)
    assert len(numerals) == slots
    assert numerals[0] == key.tonic_numeral
    tonic, last = key.tonic_numeral, numerals[-1]
    assert last == {"half": "V", "authentic": tonic, "plagal": tonic}.get(cadence, "VI" if key.minor else "vi")
    ending = 3 if cadence in ("authentic", "deceptive") else 2
    for before, after in pairwise(numerals[: slots - ending + 1]):
        assert after in MOVES[key.minor][before]


@given(keys)
def test_scales_keep_seven_degrees_and_hold_every_chord(key: Key) -> None:
    for numeral in MOVES[key.minor]:
        scale = chord(numeral, key, 0.0, 1.0).scale()
        assert len(set(scale)) == 7
        assert set(chord(numeral, key, 0.0, 1.0).pitch_classes) <= set(scale)


@settings(max_examples=20)
@given(keys, st.integers(0, 2**32))
def test_voicings_hold_the_chord_and_keep_their_order(key: Key, seed: int) -> None:
    numerals = walk(np.random.default_rng(seed), key, 12, "authentic")
    chords = [chord(numeral, key, float(beat), 1.0) for beat, numeral in enumerate(numerals)]
    for c, voicing in zip(chords, voice(chords), strict=True):
        assert voicing.bass % 12 == c.bass
        assert list(voicing.upper) == sorted(set(voicing.upper))
        sounding = {pitch % 12 for pitch in (voicing.bass, *voicing.upper)}
        assert {c.pitch_classes[0], c.pitch_classes[1], *c.pitch_classes[3:]} <= sounding <= set(c.pitch_classes)


def test_a_seed_and_a_number_name_one_work() -> None:
    assert compose(7, 3) == compose(7, 3)
    assert perform(compose(7, 3)) == perform(compose(7, 3))
    tunes = [tuple(n.pitch for n in compose(s, k).notes) for s in range(4) for k in range(4)]
    assert len(set(tunes)) == len(tunes)


def test_every_style_is_written() -> None:
    written = Counter(compose(1, number).style for number in range(60))
    assert set(written) == set(STYLES)
    assert max(written.values()) < 0.3 * written.total()


@pytest.fixture(scope="module")
def renderer() -> Iterator[Renderer]:
    piano = Renderer(find_soundfont())
    yield piano
    piano.close()


def test_notes_start_where_their_labels_say(renderer: Renderer) -> None:
    """Isolated notes over the keyboard, soft to loud: onset is where 1 ms of sound passes 3 % of the note's peak."""
    offsets = np.random.default_rng(0).uniform(0, 0.01, 57)
    notes = [
        PerformedNote(onset := round(0.5 + 0.8 * k + offset, 4), onset + 0.2, onset + 0.2, pitch, velocity)
        for k, (offset, pitch, velocity) in enumerate(
            zip(offsets, [*range(24, 100, 4)] * 3, [30] * 19 + [60] * 19 + [100] * 19, strict=True)
        )
    ]
    audio = renderer.render(notes)
    one_ms = np.ones(SAMPLE_RATE_HZ // 1000)
    energy = np.convolve(np.square(audio, dtype=np.float64), one_ms)[: len(audio)]
    before = round(0.05 * SAMPLE_RATE_HZ)
    errors_s = []
    for note in notes:
        label = round(note.onset_s * SAMPLE_RATE_HZ)
        around = energy[label - before : label + 5 * before]
        threshold = max(4 * around[: before // 2].max(), 0.03**2 * around.max())
        errors_s.append((int(np.argmax(around > threshold)) - before) / SAMPLE_RATE_HZ)
    assert np.abs(errors_s).max() < ONSET_TOLERANCE_SECONDS


def test_a_performance_sounds_the_same_whatever_was_rendered_before(renderer: Renderer) -> None:
    first, second = ([PerformedNote(0.1, 0.5, 0.9, pitch, 80)] for pitch in (60, 40))
    alone = renderer.render(first)
    renderer.render(second)
    np.testing.assert_array_equal(renderer.render(first), alone)


def test_works_are_equally_loud_and_never_clip(renderer: Renderer) -> None:
    for pitch, velocity in ((30, 20), (60, 120), (90, 60)):
        audio = renderer.render([PerformedNote(0.1, 2.0, 2.0, pitch, velocity)])
        level_db = 10 * np.log10(np.mean(np.square(audio, dtype=np.float64)))
        assert level_db <= -23.0 + 0.01
        assert np.abs(audio).max() <= 0.95 + 1e-6
        assert level_db > -23.1 or np.abs(audio).max() > 0.949


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Manifest]:
    folder = tmp_path_factory.mktemp("made")
    return folder, make_data(folder, hours=TWO_WORKS_HOURS, seed=3, processes=2)


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
    assert {path for path in folder.rglob("*") if path.is_file()} == expected


def test_one_process_interrupted_and_resumed_makes_what_two_processes_make(
    made: tuple[Path, Manifest], tmp_path: Path
) -> None:
    def interrupt(done: int, works: int) -> None:
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_data(tmp_path, hours=TWO_WORKS_HOURS, seed=3, processes=1, progress=interrupt)
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
        seed=3,
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
    lost = made[1].works[1]
    damaged = tmp_path / lost.split / f"{lost.name}.flac"
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[: len(whole) // 2])
    assert make_data(tmp_path, hours=TWO_WORKS_HOURS, seed=3, processes=1) == made[1]
    assert damaged.read_bytes() == whole


def test_a_folder_of_another_set_is_left_alone(made: tuple[Path, Manifest]) -> None:
    with pytest.raises(ValueError, match="holds another set: its seed differ"):
        make_data(made[0], hours=TWO_WORKS_HOURS, seed=4, processes=1)


def test_works_are_split_once_and_about_nine_to_one() -> None:
    share = Counter(split_of(f"piano-1-{number:06d}") for number in range(4000))
    assert 0.88 < share["train"] / 4000 < 0.92
    assert 0.04 < share["valid"] / 4000 < 0.06
    assert 0.04 < share["test"] / 4000 < 0.06


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"kind": "banjo"}, "'banjo': expected one of piano"),
        ({"hours": 0.0}, "hours must be a number above 0, got 0"),
        ({"hours": float("nan")}, "hours must be a number above 0, got nan"),
        ({"seed": -1}, "seed must be 0 or more, got -1"),
        ({"processes": 0}, "processes must be at least 1, got 0"),
        ({"soundfont": Path("missing.sf3")}, "no soundfont at missing.sf3"),
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


def test_a_file_that_is_no_soundfont_is_named(tmp_path: Path) -> None:
    (tmp_path / "piano.sf3").write_bytes(b"RIFF0000WAVE")
    with pytest.raises(ValueError, match="is not a soundfont"):
        find_soundfont(tmp_path / "piano.sf3")


def test_without_a_soundfont_the_error_says_where_it_looked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render, "_SOUNDFONT_FOLDERS", (str(tmp_path / "sf3"),))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    with pytest.raises(ValueError, match="musescore-general-soundfont-small") as error:
        find_soundfont()
    assert str(tmp_path / "sf3") in str(error.value)
    assert str(tmp_path / "home" / "soundfonts") in str(error.value)


def test_without_fluidsynth_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fluidsynth", None)
    with pytest.raises(ValueError, match=r"pip install 'melnet-music\[data\]'.*libfluidsynth3"):
        Renderer(find_soundfont())
