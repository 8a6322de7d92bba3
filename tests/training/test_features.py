"""Recordings as training examples: frames, notes, sound, what is kept on disk, and statistics."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import permutations
from pathlib import Path

import numpy as np
import platformdirs
import pytest
import soundfile
from numpy.typing import NDArray
from tiny_recordings import write_recordings

from melnet_music.model.config import SoundConfig
from melnet_music.notes.note_map import Note
from melnet_music.sound.mel import log_mel
from melnet_music.sound.resample import resample
from melnet_music.training.data.features import Work, load_works
from melnet_music.training.data.note_table import NoteTable
from melnet_music.training.data.recordings import CACHE_PREFIX
from melnet_music.training.material.bin_statistics import bin_statistics

SOUND = SoundConfig(sample_rate_hz=8000, n_fft=256, window_samples=256, hop_samples=128, mel_bins=8, fmax_hz=4000.0)


def noise(seconds: float, rate_hz: int = 8000, channels: int = 1, seed: int = 0) -> NDArray[np.float64]:
    return 0.1 * np.random.default_rng(seed).standard_normal((round(seconds * rate_hz), channels))


def work_of(frames: NDArray[np.float32]) -> Work:
    return Work("made", frames, [])


def packs(data: Path) -> set[Path]:
    return set(data.glob(f"{CACHE_PREFIX}*/*"))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_recordings(tmp_path / "data", {"train": 3, "valid": 1}, seconds=3.0)
    return tmp_path / "data"


# ---- works ----


def test_works_are_the_frames_of_the_recordings_and_their_notes(data: Path) -> None:
    works = load_works(data, "train", SOUND)
    assert [work.name for work in works] == ["train-0", "train-1", "train-2"]
    audio, _ = soundfile.read(data / "train" / "train-1.flac", dtype="float32")
    np.testing.assert_array_equal(works[1].log_mel, log_mel(audio, SOUND))
    notes = list(works[1].notes)
    assert len(notes) == 10
    assert notes == sorted(notes, key=lambda note: note.onset_s)
    assert works[1].notes_between(notes[4].onset_s, notes[5].onset_s) == [
        note for note in notes[:5] if note.end_s > notes[4].onset_s
    ]


def test_drums_and_unknown_notes_are_no_notes(data: Path) -> None:
    table = data / "train" / "train-0.notes.csv"
    header, first, second, *_ = table.read_text().splitlines()
    table.write_text("\n".join([header, first, second.replace(",0,0", ",9,0")]))
    (data / "train" / "train-1.notes.csv").unlink()
    works = load_works(data, "train", SOUND)
    assert [len(work.notes) for work in works] == [1, 0, 10]


@pytest.mark.parametrize("rate_hz", [8000, 22050, 44100])
def test_a_works_sound_is_the_files_mixed_resampled_and_cut(tmp_path: Path, rate_hz: int) -> None:
    (tmp_path / "train").mkdir()
    samples = noise(4.0, rate_hz, channels=3)
    soundfile.write(tmp_path / "train" / "a.wav", samples, rate_hz, subtype="FLOAT")
    [work] = load_works(tmp_path, "train", SOUND)
    whole = resample(samples.astype(np.float32).mean(1, dtype=np.float64).astype(np.float32), rate_hz, 8000)
    np.testing.assert_array_equal(work.log_mel, log_mel(whole, SOUND))
    for start_s, stop_s in [(0.0, 0.5), (1.2345, 2.75), (3.9, 4.0), (0.0, 9.0)]:
        part = work.read_audio(start_s, stop_s)
        assert part.dtype == np.float32
        expected = whole[round(start_s * 8000) : round(min(stop_s, 501 * 128 / 8000 / 2) * 8000)]
        assert abs(len(part) - len(expected)) <= 128  # the last frame is centred up to a hop before the end
        # Measured: 6e-8, resampling starts anew; the peak is 0.2.
        np.testing.assert_allclose(part[: len(expected)], expected[: len(part)], atol=1e-6)
    with pytest.raises(ValueError, match="has no sound from 5 to 6 s, expected a span in 0 to 4"):
        work.read_audio(5, 6)
    (tmp_path / "train" / "a.wav").write_bytes(b"")
    with pytest.raises(ValueError, match=r"a\.wav is empty"):
        work.read_audio(0, 1)
    with pytest.raises(ValueError, match="made has frames only"):
        work_of(np.zeros((4, 8), np.float32)).read_audio(0, 1)


def test_note_tables_look_up_what_a_loop_finds() -> None:
    random = np.random.default_rng(0)
    onsets = random.uniform(0, 20, 200)
    notes = [Note(onset, onset + random.exponential(), int(random.integers(21, 108)), 64) for onset in onsets]
    table = NoteTable.of(notes)
    ordered = sorted(notes, key=lambda note: note.onset_s)
    assert list(table) == ordered
    assert list(table[3:7]) == ordered[3:7]
    for start_s, stop_s in [(0, 20), (5, 5.1), (19, 40), (30, 31), (-5, 0)]:
        assert list(table.between(start_s, stop_s)) == [
            note for note in ordered if note.end_s > start_s and note.onset_s < stop_s
        ]
    assert table.earlier(2.0)[0].onset_s == pytest.approx(ordered[0].onset_s - 2)
    assert list(NoteTable.of([])) == []


# ---- what is kept on disk ----


def test_features_are_kept_by_the_sound_settings(data: Path) -> None:
    first = load_works(data, "train", SOUND)
    kept = packs(data)
    again = load_works(data, "train", SOUND)
    assert packs(data) == kept
    np.testing.assert_array_equal(first[2].log_mel, again[2].log_mel)
    assert list(first[2].notes) == list(again[2].notes)
    load_works(data, "train", SOUND.model_copy(update={"magnitude_floor": 1e-2}))
    assert len({pack.parent for pack in packs(data) - kept}) == 1


def test_a_changed_recording_is_read_again_and_no_other(data: Path) -> None:
    before = load_works(data, "train", SOUND)
    changed = data / "train" / "train-1.flac"
    soundfile.write(changed, noise(2.0), 8000)
    after = load_works(data, "train", SOUND)
    assert len(after[1].log_mel) == 1 + 16000 // 128
    np.testing.assert_array_equal(after[0].log_mel, before[0].log_mel)
    content, status = changed.read_bytes(), changed.stat()
    changed.write_bytes(content[:-1] + b"x")
    os.utime(changed, ns=(status.st_atime_ns, status.st_mtime_ns + 1_000_000))
    kept = packs(data)
    load_works(data, "train", SOUND)
    assert packs(data) - kept, "same size, another time: read again"


def test_what_nothing_needs_any_more_is_deleted(data: Path) -> None:
    load_works(data, "valid", SOUND)
    old = packs(data)
    soundfile.write(data / "valid" / "valid-0.flac", noise(2.0), 8000)
    load_works(data, "valid", SOUND)
    assert old
    assert not old & packs(data)


def test_notes_that_come_later_are_seen(data: Path) -> None:
    notes = data / "valid" / "valid-0.notes.csv"
    content = notes.read_text()
    notes.unlink()
    assert len(load_works(data, "valid", SOUND)[0].notes) == 0
    notes.write_text(content)
    assert len(load_works(data, "valid", SOUND)[0].notes) == 10


@pytest.mark.parametrize("damage", ["frames", "index"])
def test_a_damaged_cache_is_computed_again(data: Path, damage: str) -> None:
    before = [np.array(work.log_mel) for work in load_works(data, "train", SOUND)]
    for pack in packs(data):
        path = pack / {"frames": "frames.f32", "index": "index.json"}[damage]
        path.write_bytes(path.read_bytes()[:-100])
    after = load_works(data, "train", SOUND)
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old, new.log_mel)


def test_files_of_one_name_in_two_folders_are_two(tmp_path: Path) -> None:
    for folder, seconds in (("one", 2.0), ("two", 3.0)):
        (tmp_path / "train" / folder).mkdir(parents=True)
        soundfile.write(tmp_path / "train" / folder / "take.wav", noise(seconds), 8000)
    works = load_works(tmp_path, "train", SOUND)
    assert [(work.name, len(work.log_mel)) for work in works] == [("one/take", 126), ("two/take", 188)]


def test_where_the_data_cannot_be_written_the_users_cache_is(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "cache"
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda name: elsewhere / name)
    load_works(data, "valid", SOUND)
    [cache] = {pack.parent for pack in packs(data)}
    for pack in list(packs(data)):
        pack.rename(tmp_path / pack.name)
    cache.rmdir()
    cache.write_text("in the way")  # root may write anywhere, but not into a file
    assert len(load_works(data, "valid", SOUND)) == 1
    assert list(elsewhere.rglob("frames.f32"))
    elsewhere.rename(tmp_path / "gone")
    elsewhere.write_text("in the way")
    with pytest.raises(ValueError, match=r"nowhere to keep log-mel frames: cannot write .* or "):
        load_works(data, "valid", SOUND)


def test_processes_and_progress_change_nothing(data: Path) -> None:
    alone = load_works(data, "train", SOUND)
    for pack in packs(data):
        pack.rename(data.parent / pack.name)
    seen: list[tuple[int, int]] = []
    together = load_works(data, "train", SOUND, lambda done, total: seen.append((done, total)), processes=2)
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one.log_mel, other.log_mel)
    assert seen[0] == (0, 3)
    assert seen[-1] == (3, 3)
    assert seen == sorted(seen)


def test_recordings_are_read_without_torch() -> None:
    """Processes that compute features start with these imports; torch takes seconds."""
    slow = "{'torch', 'librosa', 'scipy.signal'}"
    code = f"import sys, melnet_music.training.data.features; print(*{slow} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert result.stdout.strip() == ""


# ---- statistics ----


def test_statistics_are_those_of_the_bins_with_a_floor() -> None:
    random = np.random.default_rng(0)
    frames = (random.standard_normal((5000, 3)) * [2, 1, 0.01] + [1, -5, 3]).astype(np.float32)
    mean, deviation = bin_statistics([work_of(frames[:2000]), work_of(frames[2000:])], 0.3)
    np.testing.assert_allclose(mean, frames[::5].mean(0), atol=1e-5)
    np.testing.assert_allclose(deviation, [frames[::5, 0].std(), frames[::5, 1].std(), 0.3], rtol=1e-5)


def test_statistics_are_the_same_bits_in_any_order() -> None:
    works = [work_of(np.full((5, 1), value, np.float32)) for value in (2.0**40, 1.0, -(2.0**40), 1e-5)]
    results = {tuple(array.tobytes() for array in bin_statistics(order, 1e-6)) for order in permutations(works)}
    assert len(results) == 1
