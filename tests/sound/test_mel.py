from __future__ import annotations

import itertools

import librosa
import numpy as np
import pytest
from chords import chords
from hypothesis import given, settings
from hypothesis import strategies as st
from streaming_contract import (
    assert_lookahead,
    assert_same_bits,
    assert_state_restores,
    assert_whole_equals_chunked,
    run,
)

from melnet_music.model.config import SoundConfig, read_preset_config
from melnet_music.model.preset import CONFIG_FILE, list_presets
from melnet_music.sound.mel import LogMelStream, log_mel, mel_filterbank
from melnet_music.sound.mel_scale import mel_frequencies

LIVE = SoundConfig()
PAPER = SoundConfig(n_fft=1536, window_samples=1536, hop_samples=256, mel_bins=256)
PADDED = SoundConfig(n_fft=2048, window_samples=1024, hop_samples=256, mel_bins=80, fmax_hz=8000)
SOUNDS = pytest.mark.parametrize("sound", [LIVE, PAPER, PADDED], ids=["live", "paper", "padded"])


SCALES = [
    LIVE,
    PAPER,
    PADDED,
    SoundConfig(fmin_hz=0.0, mel_bins=40),
    SoundConfig(fmin_hz=1000.0, mel_bins=64),
    SoundConfig(fmin_hz=1500.0, mel_bins=64),
    SoundConfig(fmax_hz=900.0, mel_bins=24),
    SoundConfig(fmax_hz=1000.0, mel_bins=24),
    SoundConfig(sample_rate_hz=48000, fmax_hz=24000.0, mel_bins=128),
    *(read_preset_config(preset.path / CONFIG_FILE).sound for preset in list_presets()),
]


@pytest.mark.parametrize("sound", SCALES, ids=lambda s: f"{s.mel_bins}-{s.fmin_hz:g}-{s.fmax_hz:g}")
def test_the_filters_are_librosas(sound: SoundConfig) -> None:
    expected = librosa.filters.mel(
        sr=sound.sample_rate_hz, n_fft=sound.n_fft, n_mels=sound.mel_bins, fmin=sound.fmin_hz, fmax=sound.fmax_hz
    )
    assert_same_bits(mel_filterbank(sound), expected)
    corners = librosa.mel_frequencies(sound.mel_bins + 2, fmin=sound.fmin_hz, fmax=sound.fmax_hz)
    np.testing.assert_array_equal(mel_frequencies(sound), corners)


@SOUNDS
def test_frames_are_librosas(sound: SoundConfig) -> None:
    audio = chords(1.0)
    magnitude = librosa.feature.melspectrogram(
        y=audio,
        sr=sound.sample_rate_hz,
        n_fft=sound.n_fft,
        win_length=sound.window_samples,
        hop_length=sound.hop_samples,
        n_mels=sound.mel_bins,
        fmin=sound.fmin_hz,
        fmax=sound.fmax_hz,
        power=1.0,
        pad_mode="constant",
    )
    expected = np.log(magnitude.T + sound.magnitude_floor)
    # Measured: 2.4e-5, from the order of float32 sums.
    np.testing.assert_allclose(log_mel(audio, sound), expected, atol=1e-4, rtol=0)


@SOUNDS
def test_whole_equals_chunked(sound: SoundConfig) -> None:
    assert_whole_equals_chunked(lambda: LogMelStream(sound), chords(0.6))


@settings(max_examples=30, deadline=None)
@given(sizes=st.lists(st.integers(0, 3000), min_size=1, max_size=8))
def test_any_cut_gives_the_same_frames(sizes: list[int]) -> None:
    audio = chords(0.5)
    edges = np.minimum(np.cumsum([0, *sizes]), len(audio))
    pieces = [audio[a:b] for a, b in itertools.pairwise(edges)] + [audio[edges[-1] :]]
    assert_same_bits(run(LogMelStream(LIVE), pieces), log_mel(audio, LIVE))


@given(samples=st.integers(0, 5000))
@settings(max_examples=30, deadline=None)
def test_number_of_frames(samples: int) -> None:
    assert log_mel(np.zeros(samples, np.float32), LIVE).shape == (
        1 + samples // LIVE.hop_samples,
        LIVE.mel_bins,
    )


@SOUNDS
def test_declared_lookahead_is_the_true_one(sound: SoundConfig) -> None:
    known = 10 * sound.hop_samples + LogMelStream(sound).lookahead_samples
    assert_lookahead(lambda: LogMelStream(sound), chords(0.6), known, settled=11, exact=True)


def test_state_restores() -> None:
    assert_state_restores(lambda: LogMelStream(LIVE), chords(0.5), cut=5001)


def test_silence_is_the_floor() -> None:
    frames = log_mel(np.zeros(3000, np.float32), LIVE)
    np.testing.assert_array_equal(frames, np.float32(np.log(np.float32(LIVE.magnitude_floor))))


def test_stereo_is_refused() -> None:
    with pytest.raises(ValueError, match="expected mono"):
        LogMelStream(LIVE).push(np.zeros((100, 2), np.float32))
