"""The ear that comes with the program: it hears notes, and none where there are none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from melnet_music.model.preset import bundled_presets, list_presets, load_preset
from melnet_music.notes.ear.ear import BUNDLED_EAR, WEIGHTS_FILE, Ear, bundled_ear, load_ear
from melnet_music.notes.ear.tracker import HeardNote
from melnet_music.sound.mel import log_mel

MOST_BYTES = 5_000_000
LATEST_SECONDS = 0.11
MELODY = (60, 64, 67, 72, 55, 62, 65, 71)
STEP_SECONDS = 0.3


@pytest.fixture(scope="module")
def ear() -> Ear:
    return load_ear()


def plucked(ear: Ear) -> NDArray[np.float32]:
    """A melody of tones with eight partials that decay, each struck 0.3 s after the one before."""
    rate_hz = ear.config.sound.sample_rate_hz
    audio = np.zeros(round((len(MELODY) + 3) * STEP_SECONDS * rate_hz))
    time_s = np.arange(round(0.8 * rate_hz)) / rate_hz
    for number, pitch in enumerate(MELODY):
        hz = 440.0 * 2.0 ** ((pitch - 69) / 12)
        tone = np.sum(
            [np.sin(2 * np.pi * k * hz * time_s) / k**1.3 * np.exp(-(2 + k) * time_s) for k in range(1, 9)], 0
        )
        start = round((number + 1) * STEP_SECONDS * rate_hz)
        audio[start : start + len(tone)] += 0.1 * tone[: len(audio) - start]
    return audio.astype(np.float32)


def test_it_is_small_and_no_preset() -> None:
    folder = bundled_ear()
    assert folder == bundled_presets() / BUNDLED_EAR
    assert folder is not None
    assert (folder / WEIGHTS_FILE).stat().st_size < MOST_BYTES
    assert (folder / "card.md").is_file()
    assert BUNDLED_EAR not in {preset.name for preset in list_presets()}


def test_it_hears_what_the_presets_hear(ear: Ear) -> None:
    for preset in ("piano", "music"):
        assert load_preset(preset).config.sound == ear.config.sound


def test_without_it_the_program_says_what_makes_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("melnet_music.notes.ear.ear.bundled_presets", lambda: tmp_path)
    assert bundled_ear() is None
    with pytest.raises(ValueError, match="train-ear"):
        load_ear()


def test_it_hears_a_melody_in_time(ear: Ear) -> None:
    sound, told_s, told, state = ear.config.sound, dict[int, float](), list[HeardNote](), ear.start()
    for number, frame in enumerate(log_mel(plucked(ear), sound)):
        now, state = ear.hear(state, frame[None])
        for note in now:
            told_s.setdefault(note.pitch, (number * sound.hop_samples + sound.window_samples // 2) / 44100)
        told += now
    heard = ear.believed([*told, *ear.finish(state)])
    hits = 0
    for number, pitch in enumerate(MELODY):
        onset_s = (number + 1) * STEP_SECONDS
        if any(note.pitch == pitch and abs(note.onset_s - onset_s) < 0.05 for note in heard):
            hits += 1
            assert told_s[pitch] - onset_s < LATEST_SECONDS
    assert hits >= len(MELODY) - 1
    assert len(heard) <= 1.5 * len(MELODY)


@pytest.mark.parametrize("level_db", [-80.0, -50.0, -30.0, -15.0])
def test_it_hears_no_notes_in_noise(ear: Ear, level_db: float) -> None:
    rng, sound = np.random.default_rng(3), ear.config.sound
    white = 10.0 ** (level_db / 20) * rng.standard_normal(6 * sound.sample_rate_hz)
    brown = np.convolve(white, np.exp(-np.arange(200) / 40.0), "same") / 6
    for audio in (white, brown):
        assert len(ear.hear_all(log_mel(audio.astype(np.float32), sound))) <= 1


def test_it_hears_no_notes_in_silence(ear: Ear) -> None:
    assert ear.hear_all(log_mel(np.zeros(5 * 44100, np.float32), ear.config.sound)) == []


def test_it_hears_hardly_a_note_in_babble(ear: Ear) -> None:
    """Voices that glide, which speech is too."""
    from melnet_music.training.ear.unpitched import unpitched_frames

    clips = unpitched_frames(ear.config.sound, 4, 5.0, np.random.default_rng(99))
    notes = [len(ear.hear_all(frames)) for frames in clips]
    assert sum(notes) <= 6
