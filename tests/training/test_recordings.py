"""Folders as people have them: which files are recordings, what each split gets, and what is wrong with some."""

from __future__ import annotations

import csv
import logging
import math
import os
import re
from pathlib import Path

import mido
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from melnet_music.model.config import SoundConfig
from melnet_music.sound.mel import log_mel
from melnet_music.training.data.features import load_works
from melnet_music.training.data.recordings import SPLITS, find_recordings, splits_by_hash, splits_in_time

RATE_HZ = 8000
SOUND = SoundConfig(sample_rate_hz=RATE_HZ, n_fft=256, window_samples=256, hop_samples=128, mel_bins=8, fmax_hz=4000.0)


def tone(seconds: float, rate_hz: int = RATE_HZ) -> NDArray[np.float32]:
    time_s = np.arange(round(seconds * rate_hz)) / rate_hz
    noise = np.random.default_rng(0).standard_normal(len(time_s))
    return (0.3 * np.sin(2 * np.pi * 440 * time_s) + 0.05 * noise).astype(np.float32)


def write(path: Path, seconds: float = 2.0, **options: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, tone(seconds), RATE_HZ, format=path.suffix[1:].upper(), **options)
    return path


def write_midi(path: Path, *onsets_s: float) -> None:
    track = mido.MidiTrack()
    for onset_s, previous_s in zip(onsets_s, (0.0, *(onset_s + 0.1 for onset_s in onsets_s)), strict=False):
        track.append(mido.Message("note_on", note=69, time=round((onset_s - previous_s) * 1000)))
        track.append(mido.Message("note_off", note=69, time=100))
    midi = mido.MidiFile(ticks_per_beat=500)
    midi.tracks.append(track)
    midi.save(path)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


# ---- layouts ----


def test_any_folder_of_audio_is_found(tmp_path: Path) -> None:
    for name in ("a.WAV", "b.flac", "deep/er/c.Ogg", "deep/d.mp3", "e.aiff"):
        write(tmp_path / name)
    for name in (".hidden/h.wav", "._a.wav", "log-mel-0/x.wav"):
        write(tmp_path / name)
    (tmp_path / "liner notes.txt").write_text("no audio")
    write_midi(tmp_path / "b.MID", 0.5)
    write_midi(tmp_path / "deep" / "d.midi", 0.5)
    write_midi(tmp_path / "e.mid", 0.5)
    (tmp_path / "e.notes.csv").write_text("onset_s,sounding_end_s,pitch,velocity\n")
    (tmp_path / "deep" / "loop").symlink_to(tmp_path, target_is_directory=True)
    found = find_recordings(tmp_path).recordings
    assert [each.name for each in found] == ["a", "b", "deep/d", "deep/er/c", "e"]
    assert [each.notes and each.notes.name for each in found] == [None, "b.MID", "d.midi", None, "e.notes.csv"]
    assert {each.split for each in found} == {None}


def test_a_linked_folder_is_followed(tmp_path: Path) -> None:
    write(tmp_path / "elsewhere" / "a.wav")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "linked").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    assert [each.name for each in find_recordings(tmp_path / "data").recordings] == ["linked/a"]


def test_folders_name_the_splits(tmp_path: Path) -> None:
    for name in ("Train/a.wav", "Train/more/b.wav", "validation/c.wav", "test/d.wav", "other/e.wav"):
        write(tmp_path / name)
    names = {split: [work.name for work in load_works(tmp_path, split, SOUND)] for split in SPLITS}
    assert names == {"train": ["a", "more/b"], "valid": ["c"], "test": ["d"]}


@pytest.mark.parametrize("splits", [True, False], ids=["splits", "any folder"])
def test_names_need_not_be_utf8(tmp_path: Path, splits: bool) -> None:
    data, odd = tmp_path / os.fsdecode(b"na\xefve"), os.fsdecode(b"caf\xe9")
    for number, split in enumerate(SPLITS):
        path = write(tmp_path / f"{split}.wav")
        write_midi(tmp_path / f"{split}.mid", 0.5)
        folder = data / split if splits else data
        folder.mkdir(parents=True, exist_ok=True)
        path.rename(folder / f"{odd}{number}.wav")
        (tmp_path / f"{split}.mid").rename(folder / f"{odd}{number}.mid")
    for _ in range(2):  # read, and out of the cache
        works = [work for split in SPLITS for work in load_works(data, split, SOUND)]
        assert sorted(work.name for work in works) == [f"{odd}{number}" for number in range(3)]
        assert all(len(work.notes) == 1 and len(work.read_audio(0.0, 1.0)) == RATE_HZ for work in works)


def write_maestro(root: Path, rows: list[tuple[str, str]]) -> None:
    """MAESTRO's table; ``rows`` are split and stem."""
    fields = ["canonical_composer", "canonical_title", "split", "year", "midi_filename", "audio_filename", "duration"]
    with (root / "maestro-v3.0.0.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(fields)
        for split, stem in rows:
            table.writerow(["Frédéric Chopin", 'Étude "a, b"', split, "2018", f"{stem}.midi", f"{stem}.wav", "2.0"])


def test_maestro_has_its_own_splits_and_notes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    stems = [
        ("train", "2018/a"),
        ("validation", "2018/b"),
        ("test", "2004/c"),
        ("train", "2004/d"),
        ("train", "2004/e"),
    ]
    write_maestro(tmp_path, stems)
    for stem in ("2018/a", "2018/b", "2004/c"):
        write(tmp_path / f"{stem}.wav")
        write_midi(tmp_path / f"{stem}.midi", 0.25, 1.0)
    write(tmp_path / "2004" / "e.flac")  # converted
    write(tmp_path / "2004" / "not in the table.wav")
    names = {split: [work.name for work in load_works(tmp_path, split, SOUND)] for split in SPLITS}
    assert names == {"train": ["2004/e", "2018/a"], "valid": ["2018/b"], "test": ["2004/c"]}
    notes = load_works(tmp_path, "test", SOUND)[0].notes
    assert [(note.onset_s, note.pitch) for note in notes] == [(0.25, 69), (1.0, 69)]
    assert "1 of the 5 recordings" in warnings(caplog)[0]


def test_what_is_wrong_with_maestro_is_said(tmp_path: Path) -> None:
    write_maestro(tmp_path, [("train", "2018/a")])
    with pytest.raises(ValueError, match=r"no recordings for 'train': looked for the 1 audio files.*download MAESTRO"):
        load_works(tmp_path, "train", SOUND)
    write_maestro(tmp_path, [("dev", "2018/a")])
    with pytest.raises(ValueError, match="names a split 'dev'"):
        load_works(tmp_path, "train", SOUND)
    (tmp_path / "maestro-v3.0.0.csv").write_text("split,audio\ntrain,a.wav\n")
    with pytest.raises(ValueError, match="has no column audio_filename, midi_filename"):
        load_works(tmp_path, "train", SOUND)
    (tmp_path / "maestro-v3.0.0.csv").write_bytes(b"split,\xff\xfe\n")
    with pytest.raises(ValueError, match=r"maestro-v3.0.0.csv cannot be read"):
        load_works(tmp_path, "train", SOUND)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ([], r"no recordings for 'valid': looked for \.wav, .* in .*; give the folder .*make-data"),
        (["train/a.wav"], r"no recordings for 'valid': looked for .* under train; put some into its folder"),
    ],
)
def test_no_recordings_are_answered_with_where_they_were_looked_for(
    tmp_path: Path, made: list[str], message: str
) -> None:
    for name in made:
        write(tmp_path / name)
    with pytest.raises(ValueError, match=message):
        load_works(tmp_path, "valid", SOUND)


def test_what_is_no_folder_or_no_split_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no folder at .*nowhere: give"):
        load_works(tmp_path / "nowhere", "train", SOUND)
    with pytest.raises(ValueError, match=r"a\.wav is a file, expected a folder"):
        load_works(write(tmp_path / "a.wav"), "train", SOUND)
    with pytest.raises(ValueError, match="no split 'validation', expected one of train, valid, test"):
        load_works(tmp_path, "validation", SOUND)  # type: ignore[arg-type]


# ---- splits ----


@settings(max_examples=100, deadline=None)
@given(names=st.sets(st.text(max_size=8), min_size=3, max_size=40))
def test_every_split_has_some_and_no_name_is_in_two(names: set[str]) -> None:
    chosen = splits_by_hash(names)
    assert chosen.keys() == names
    assert set(chosen.values()) == set(SPLITS)
    assert splits_by_hash(sorted(names, reverse=True)) == chosen


def test_splits_by_hash_are_about_90_5_5_and_stay_when_names_are_added() -> None:
    names = [f"take {number}" for number in range(4000)]
    chosen = splits_by_hash(names)
    shares = [list(chosen.values()).count(split) / 4000 for split in SPLITS]
    np.testing.assert_allclose(shares, [0.9, 0.05, 0.05], atol=0.01)
    assert splits_by_hash(names[:2000]) == {name: chosen[name] for name in names[:2000]}


def test_three_recordings_are_split_whole(tmp_path: Path) -> None:
    for name in ("a.wav", "b.wav", "c.wav", "c.flac"):
        write(tmp_path / name)
    names = [{work.name for work in load_works(tmp_path, split, SOUND)} for split in SPLITS]
    assert sorted(name for split in names for name in split) == ["a", "b", "c"]  # both exports of c in one split


def test_one_recording_is_split_in_time(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    seconds = 60.0
    path = write(tmp_path / "long.flac", seconds)
    onsets = np.arange(0.5, seconds - 0.5, 0.5)
    write_midi(tmp_path / "long.mid", *onsets)
    with caplog.at_level(logging.INFO):
        [train], [valid], [test] = (load_works(tmp_path, split, SOUND) for split in SPLITS)
    assert "1 recording(s), each is split in time: 80 % train, 10 % valid, 10 % test" in caplog.text
    rate = SOUND.frames_per_second
    whole = log_mel(soundfile.read(path, dtype="float32")[0], SOUND)
    seconds = len(whole) / rate
    assert len(train.log_mel) == math.floor(0.8 * seconds * rate)
    # six seconds each, without the gap of a hundredth of the recording
    assert [len(work.log_mel) / rate for work in (valid, test)] == [pytest.approx(5.4, abs=2 / rate)] * 2
    for work, start_s in ((train, 0.0), (valid, 0.81 * seconds), (test, 0.91 * seconds)):
        first = math.ceil(start_s * rate)
        np.testing.assert_array_equal(work.log_mel, whole[first : first + len(work.log_mel)])
        sound = soundfile.read(path, dtype="float32", start=first * 128, frames=4000)[0]
        np.testing.assert_array_equal(work.read_audio(0, 0.5), sound)
        expected = [onset - first / rate for onset in onsets if start_s <= onset < start_s + len(work.log_mel) / rate]
        np.testing.assert_allclose([note.onset_s for note in work.notes], expected, atol=1e-6)


@given(seconds=st.floats(0.1, 1e5), window_s=st.floats(0.001, 0.2))
def test_splits_in_time_share_no_window(seconds: float, window_s: float) -> None:
    spans = splits_in_time(seconds, window_s)
    assert spans["train"][0] == 0
    assert spans["test"][1] == seconds
    for before, after in (("train", "valid"), ("valid", "test")):
        assert spans[after][0] - spans[before][1] >= window_s * (1 - 1e-9) - 1e-9


def test_too_short_to_be_split_in_time(tmp_path: Path) -> None:
    write(tmp_path / "short.wav", 5.0)
    assert len(load_works(tmp_path, "train", SOUND)) == 1
    with pytest.raises(ValueError, match=r"no recordings for 'valid': .*short\.wav is too short for that"):
        load_works(tmp_path, "valid", SOUND)


# ---- what cannot be used, or not all of it ----


def cut(path: Path, fraction: float) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: round(len(content) * fraction)])
    return path


def test_what_cannot_be_used_is_named_and_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "train"
    write(folder / "good.flac")
    (folder / "empty.wav").write_bytes(b"")
    (folder / "text.wav").write_text("no samples\n" * 100)
    (folder / "readme.txt").write_text("no audio, and no word about it")
    (folder / "broken.wav").symlink_to(folder / "nowhere.wav")
    cut(write(folder / "header.mp3"), 0.002)
    write(folder / "short.wav", 0.9)
    soundfile.write(folder / "none.wav", np.zeros(0), RATE_HZ)
    soundfile.write(folder / "silent.wav", 3e-4 * tone(2.0), RATE_HZ)
    soundfile.write(folder / "canceled.wav", np.stack([tone(2), -tone(2)], 1), RATE_HZ)
    holed = tone(2.0)
    holed[9000] = np.nan
    soundfile.write(folder / "nan.wav", holed, RATE_HZ, subtype="FLOAT")
    soundfile.write(folder / "integers.wav", 32767 * tone(2.0), RATE_HZ, subtype="FLOAT")
    soundfile.write(folder / "endless.wav", np.full(16000, 3e38, np.float32), RATE_HZ, subtype="FLOAT")
    reasons = {
        "broken.wav": "cannot be read as audio",
        "canceled.wav": "is silent",
        "empty.wav": "is empty",
        "endless.wav": "times full scale",
        "header.mp3": "cannot be read as audio",
        "integers.wav": "reaches 1.",
        "nan.wav": "has samples that are NaN or infinite, the first at 1.125 s",
        "none.wav": "is too short: 0.00 s",
        "short.wav": "is too short: 0.90 s",
        "silent.wav": "is silent: its peak is -7",
        "text.wav": "cannot be read as audio",
    }
    for _ in range(2):  # read, and out of the cache
        caplog.clear()
        assert [work.name for work in load_works(tmp_path, "train", SOUND)] == ["good"]
        assert len(warnings(caplog)) == len(reasons)
        for line, (name, reason) in zip(sorted(warnings(caplog)), reasons.items(), strict=True):
            assert f"{name} " in line
            assert reason in line
    kept = sum(path.stat().st_size for path in tmp_path.rglob("frames.f32"))
    assert kept == (1 + 2 * RATE_HZ // 128) * 8 * 4, "frames of the good one only"
    (folder / "good.flac").unlink()
    with pytest.raises(ValueError, match=r"no recordings for 'train': none of the 11 in .* can be used"):
        load_works(tmp_path, "train", SOUND)


@pytest.mark.parametrize("suffix", ["wav", "aiff", "flac", "ogg", "mp3"])
def test_of_a_file_that_is_cut_short_all_is_used_that_is_there(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, suffix: str
) -> None:
    whole = write(tmp_path / "train" / f"whole.{suffix}", 20.0)
    cut(write(tmp_path / "train" / f"cut.{suffix}", 20.0), 0.6)
    short, long = load_works(tmp_path, "train", SOUND)
    seconds = (len(short.log_mel) - 1) / SOUND.frames_per_second
    assert 8.0 < seconds < 13.0
    [line] = warnings(caplog)
    said = re.search(rf"cut\.{suffix} is damaged or cut short: (\S+) s", line)
    assert said
    assert float(said[1]) == pytest.approx(seconds, abs=0.07)
    certain = len(short.log_mel) - 3  # the last windows reach past the cut
    np.testing.assert_allclose(short.log_mel[:certain], long.log_mel[:certain], atol=1e-4)
    original = soundfile.read(whole, dtype="float32")[0]
    np.testing.assert_allclose(short.read_audio(3.0, 4.0), original[24000:32000], atol=1e-6)
    assert len(short.read_audio(0, seconds)) == pytest.approx(seconds * RATE_HZ, abs=128)


def test_the_mp3_decoder_keeps_quiet(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    cut(write(tmp_path / "train" / "cut.mp3", 20.0), 0.6)
    load_works(tmp_path, "train", SOUND)[0].read_audio(0, 20)
    assert capfd.readouterr().err == ""
    os.write(2, b"heard again")
    assert capfd.readouterr().err == "heard again"


def test_damage_inside_a_flac_ends_it_there(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path / "train" / "a.flac", 20.0)
    content = bytearray(path.read_bytes())
    content[len(content) // 2 :][:3000] = content[len(content) // 2 : len(content) // 2 + 3000] = bytes(3000)
    path.write_bytes(content)
    [work] = load_works(tmp_path, "train", SOUND)
    assert 7.0 < len(work.log_mel) / SOUND.frames_per_second < 10.5
    assert "of 20.0 s can be read" in warnings(caplog)[0]


def test_a_recording_with_bad_notes_is_used_without(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("a.wav", "b.wav", "c.wav"):
        write(tmp_path / "train" / name)
    (tmp_path / "train" / "a.mid").write_bytes(b"MThd")
    (tmp_path / "train" / "b.notes.csv").write_text("onset,pitch\n1,60\n")
    (tmp_path / "train" / "c.notes.csv").write_text("onset_s,sounding_end_s,pitch,velocity\n1,2,sixty,80\n")
    assert [len(work.notes) for work in load_works(tmp_path, "train", SOUND)] == [0, 0, 0]
    assert [line.split(" is used")[0][-5:] for line in warnings(caplog)] == ["a.wav", "b.wav", "c.wav"]
    assert "cut short" in warnings(caplog)[0]
    assert "expected columns onset_s" in warnings(caplog)[1]


def test_a_mixed_folder_trains_on_what_is_good(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A text file, an empty WAV, an MP3 cut short and one good FLAC."""
    (tmp_path / "notes.txt").write_text("recorded on Sunday")
    (tmp_path / "empty.wav").write_bytes(b"")
    write(tmp_path / "good.flac", 40.0)
    cut(write(tmp_path / "phone.mp3", 40.0), 0.5)
    names = {split: [work.name for work in load_works(tmp_path, split, SOUND)] for split in SPLITS}
    assert names == {"train": ["good", "phone"], "valid": ["good", "phone"], "test": ["good", "phone"]}
    said = warnings(caplog)
    assert len(said) == 2, "one line a file, with the first split"
    assert said[0].endswith("empty.wav is empty (0 bytes); left out")
    assert "phone.mp3 is damaged or cut short: " in said[1]
    assert "s of 40.0 s can be read" in said[1]
