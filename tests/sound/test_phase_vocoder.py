from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from chords import chords
from numpy.typing import NDArray
from streaming_contract import (
    assert_lookahead,
    assert_same_bits,
    assert_state_restores,
    assert_whole_equals_chunked,
    run,
)

from melnet_music.model.config import SoundConfig
from melnet_music.sound.mel import log_mel, mel_filterbank
from melnet_music.sound.vocoders.mel_inversion import MelInversion
from melnet_music.sound.vocoders.phase import FOURIERS, PhaseVocoder
from melnet_music.sound.vocoders.vocoder import Vocoder

Float32Array = NDArray[np.float32]

LIVE = SoundConfig()
FINE = SoundConfig(n_fft=1536, window_samples=1536, hop_samples=384, mel_bins=256)
PADDED = SoundConfig(n_fft=2048, window_samples=1536, hop_samples=256, mel_bins=128)
SOUNDS = pytest.mark.parametrize("sound", [LIVE, FINE, PADDED], ids=["live", "fine", "padded"])
DECIBELS_PER_NEPER = 20 / math.log(10)


def correlation(a: Float32Array, b: Float32Array) -> float:
    return float(np.dot(a, b) / np.sqrt(np.dot(a, a) * np.dot(b, b)))


def level_db(a: Float32Array) -> float:
    return float(10 * np.log10(np.mean(a.astype(np.float64) ** 2)))


def test_it_is_a_vocoder() -> None:
    vocoder: Vocoder = PhaseVocoder(LIVE)
    assert vocoder.next_frame == vocoder.next_sample == 0


@SOUNDS
def test_whole_equals_chunked(sound: SoundConfig) -> None:
    frames = log_mel(chords(0.7), sound)
    assert_whole_equals_chunked(lambda: PhaseVocoder(sound), frames, [(1,), (2,), (7,), (3, 1, 8, 0, 2)])


def test_whole_equals_chunked_between_known_sound() -> None:
    audio = chords(1.5)

    def render(size: int) -> Float32Array:
        vocoder = PhaseVocoder(LIVE, phase_lookahead_frames=6)
        vocoder.prime(audio[:12000], audio[20000:], 8000)
        wanted = vocoder.frames_wanted
        assert wanted is not None
        frames = log_mel(audio, LIVE)[vocoder.next_frame :][:wanted]
        return run(vocoder, [frames[at : at + size] for at in range(0, wanted, size)])

    whole = render(100)
    for size in (1, 2, 5):
        assert_same_bits(render(size), whole)


@SOUNDS
@pytest.mark.parametrize("phase_lookahead_frames", [0, 3])
def test_declared_lookahead_is_the_true_one(sound: SoundConfig, phase_lookahead_frames: int) -> None:
    def make() -> PhaseVocoder:
        return PhaseVocoder(sound, phase_lookahead_frames=phase_lookahead_frames)

    frames = log_mel(chords(0.7), sound)
    known = 10 + make().lookahead_frames + 1
    assert_lookahead(make, frames, known, settled=10 * sound.hop_samples, exact=True)


@SOUNDS
def test_both_transforms_make_the_same_sound(sound: SoundConfig) -> None:
    frames = log_mel(chords(0.7), sound)
    ours, numpys = (run(PhaseVocoder(sound, fourier=fourier), [frames]) for fourier in FOURIERS)
    assert np.abs(ours - numpys)[: sound.hop_samples].max() < 1e-4 * np.abs(numpys).max()
    # then phases of what is nearly silent begin to differ. Measured: 47, 48 and 46 dB below the sound
    assert level_db(ours - numpys) < level_db(numpys) - 40


def test_a_length_that_vectors_cannot_do_is_numpys() -> None:
    sound = SoundConfig(n_fft=2000, window_samples=2000, hop_samples=500, mel_bins=128)
    frames = log_mel(chords(0.3), sound)
    ours, numpys = (run(PhaseVocoder(sound, fourier=fourier), [frames]) for fourier in FOURIERS)
    assert_same_bits(ours, numpys)
    with pytest.raises(ValueError, match="fourier is 'fftw', expected one of vectors, numpy"):
        PhaseVocoder(sound, fourier="fftw")


def test_state_restores() -> None:
    audio = chords(0.8)

    def make() -> PhaseVocoder:
        vocoder = PhaseVocoder(LIVE)
        vocoder.prime(audio[:9000])
        return vocoder

    assert_state_restores(make, log_mel(audio, LIVE)[16:], cut=6)


def test_pushing_leaves_the_frames_alone() -> None:
    frames = log_mel(chords(0.3), LIVE)
    before = copy.deepcopy(frames)
    run(PhaseVocoder(LIVE), [frames])
    np.testing.assert_array_equal(frames, before)


@SOUNDS
def test_mel_inversion_fits_the_mel(sound: SoundConfig) -> None:
    inversion = MelInversion(sound)
    frames = log_mel(chords(0.7), sound)
    spectra = np.stack([inversion(frame) for frame in frames])
    assert (spectra >= 0).all()
    fitted = np.log(spectra @ mel_filterbank(sound).T + sound.magnitude_floor)
    # Measured: 0.16 dB live, 0.06 dB fine, 0.22 dB padded.
    assert np.abs(fitted - frames).mean() * DECIBELS_PER_NEPER < 0.4


def griffin_lim(magnitudes: Float32Array, sound: SoundConfig) -> Float32Array:
    """Of magnitudes [F, T] the whole sound at once, in 40 rounds (Griffin and Lim 1984; Perraudin et al. 2013)."""
    wanted = torch.from_numpy(magnitudes)
    cut = {
        "n_fft": sound.n_fft,
        "hop_length": sound.hop_samples,
        "win_length": sound.window_samples,
        "window": torch.hann_window(sound.window_samples),
    }
    turns = 2 * math.pi * torch.rand(wanted.shape, generator=torch.Generator().manual_seed(0))
    phases, before = torch.polar(torch.ones_like(wanted), turns), torch.zeros(())
    for _ in range(40):
        rebuilt = torch.stft(torch.istft(wanted * phases, **cut), **cut, return_complex=True)
        faster = rebuilt + 0.99 * (rebuilt - before)
        phases, before = faster / faster.abs().clamp(min=1e-16), rebuilt
    return torch.istft(wanted * phases, **cut).numpy()


@SOUNDS
def test_resynthesis_is_near_offline_griffin_lim(sound: SoundConfig) -> None:
    audio = chords(1.5)
    frames = log_mel(audio, sound)

    def error_db(made: Float32Array) -> float:
        inner = slice(4, len(audio) // sound.hop_samples - 4)
        return float(np.abs(log_mel(made, sound)[inner] - frames[inner]).mean() * DECIBELS_PER_NEPER)

    ours = run(PhaseVocoder(sound), [frames])
    assert len(ours) == len(frames) * sound.hop_samples
    inversion = MelInversion(sound)
    offline = griffin_lim(np.stack([inversion(frame) for frame in frames], axis=1), sound)
    # Measured, ours and offline, of three seconds in 60 rounds: live 1.21 and 1.20 dB, fine 0.82 and 0.81, padded
    # 0.95 and 0.97.
    assert error_db(ours) < 1.4
    assert error_db(ours) < 1.1 * error_db(offline)


@SOUNDS
@pytest.mark.parametrize("samples", [20000, 20001, 20479, 22050])
def test_it_goes_on_in_the_phase_of_real_sound(sound: SoundConfig, samples: int) -> None:
    audio = chords(2.0)
    vocoder = PhaseVocoder(sound)
    vocoder.prime(audio[:samples])
    frame, start = vocoder.next_frame, vocoder.next_sample
    right = sound.window_samples // 2
    assert (frame - 1) * sound.hop_samples + right <= samples < frame * sound.hop_samples + right
    assert sound.window_samples - sound.hop_samples <= samples - start <= sound.window_samples
    made = run(vocoder, [log_mel(audio, sound)[frame : frame + 30]])
    assert start + len(made) == (frame + 30) * sound.hop_samples
    np.testing.assert_allclose(made[:100], audio[start : start + 100], atol=2e-3)
    end = made[samples - start - 512 : samples - start]
    real = audio[samples - 512 : samples]
    # Measured: at least 0.996, at most 0.64 dB (with 128 mel bins; 0.24 dB with 192 or more).
    assert correlation(end, real) > 0.99
    assert abs(level_db(end) - level_db(real)) < 1.0


@pytest.mark.parametrize("samples", [0, 1, 511, 1023, 1024, 1025, 3000])
def test_any_length_of_real_sound_can_come_before(samples: int) -> None:
    audio = chords(0.5)
    vocoder = PhaseVocoder(LIVE)
    vocoder.prime(audio[:samples])
    frame, start = vocoder.next_frame, vocoder.next_sample
    made = run(vocoder, [log_mel(audio, LIVE)[frame : frame + 8]])
    assert start <= samples
    assert start + len(made) == (frame + 8) * LIVE.hop_samples


@SOUNDS
@pytest.mark.parametrize(("begin", "end"), [(20000, 30000), (20001, 24321), (15000, 15001), (300, 9000)])
def test_repainting_meets_the_future(sound: SoundConfig, begin: int, end: int) -> None:
    audio = chords(2.0)
    vocoder = PhaseVocoder(sound, phase_lookahead_frames=8, sweeps=8)
    vocoder.prime(audio[:begin], audio[end:], end - begin)
    frame, start, wanted = vocoder.next_frame, vocoder.next_sample, vocoder.frames_wanted
    assert wanted is not None
    last = (frame + wanted - 1) * sound.hop_samples
    assert last - sound.window_samples // 2 < end <= last + sound.hop_samples - sound.window_samples // 2
    made = run(vocoder, [log_mel(audio, sound)[frame : frame + wanted]])
    stop = start + len(made)
    assert sound.window_samples - sound.hop_samples <= stop - end <= sound.window_samples
    np.testing.assert_allclose(made[-100:], audio[stop - 100 : stop], atol=2e-3)
    entry = made[end - start : end - start + 512]
    real = audio[end : end + 512]
    # Measured: at least 0.994, at most 0.78 dB (with 128 mel bins; 0.23 dB with 192 or more).
    assert correlation(entry, real) > 0.99
    assert abs(level_db(entry) - level_db(real)) < 1.0


@SOUNDS
@pytest.mark.parametrize("seed", range(3))
def test_other_music_meets_the_future_without_a_tick(sound: SoundConfig, seed: int) -> None:
    """What is repainted is never what was there; and hiss has a phase that nothing else shares."""
    hiss = 0.01 * np.random.default_rng(seed).standard_normal((2, 44100)).astype(np.float32)
    audio, other = chords(2.0) + hiss[0], chords(2.0, seed=seed + 1) + hiss[1]
    begin, end = 15000, 27000 + 100 * seed
    vocoder = PhaseVocoder(sound, phase_lookahead_frames=8, sweeps=8)
    vocoder.prime(audio[:begin], audio[end:], end - begin)
    frame, start, wanted = vocoder.next_frame, vocoder.next_sample, vocoder.frames_wanted
    assert wanted is not None
    made = run(vocoder, [log_mel(other, sound)[frame : frame + wanted]])
    steps = np.abs(np.diff(made))[end - start - 800 : end - start + 800]
    # Measured: at most 5.1; 15 where the future begins at once.
    assert steps[795:805].max() < 6.5 * np.median(steps)


def test_silence_stays_silent() -> None:
    frames = log_mel(np.zeros(10000, np.float32), LIVE)
    assert np.abs(run(PhaseVocoder(LIVE), [frames])).max() < 1e-6


def test_errors() -> None:
    vocoder = PhaseVocoder(LIVE)
    with pytest.raises(ValueError, match=r"expected \[frames, 192\]"):
        vocoder.push(np.zeros((3, 80), np.float32))
    with pytest.raises(ValueError, match="not finite"):
        vocoder.push(np.full((3, 192), np.nan, np.float32))
    with pytest.raises(ValueError, match="expected mono"):
        vocoder.prime(np.zeros((3, 2), np.float32))
    with pytest.raises(ValueError, match="gap_samples"):
        vocoder.prime(np.zeros(3, np.float32), np.zeros(3, np.float32), -1)
    with pytest.raises(ValueError, match="hop_samples <= window_samples / 3"):
        PhaseVocoder(SoundConfig(hop_samples=1024))
    with pytest.raises(ValueError, match="sweeps"):
        PhaseVocoder(LIVE, sweeps=0)
    vocoder.prime(np.zeros(5000, np.float32), np.zeros(5000, np.float32), 5000)
    with pytest.raises(ValueError, match="missing"):
        vocoder.flush()
    with pytest.raises(ValueError, match="wants only"):
        vocoder.push(np.zeros((100, 192), np.float32))
