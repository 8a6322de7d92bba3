from __future__ import annotations

import numpy as np
import pytest
from chords import chords
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from streaming_contract import assert_same_bits

from melnet_music.model.config import SoundConfig
from melnet_music.sound.crossfade import crossfade, fade_in, fade_out, splice_after, splice_between
from melnet_music.sound.mel import log_mel
from melnet_music.sound.resample import resample
from melnet_music.sound.vocoders.phase import PhaseVocoder

Float32Array = NDArray[np.float32]

SOUND = SoundConfig()
OVERLAP_SAMPLES = 551


def noise(*shape: int, seed: int = 0) -> Float32Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def level_db(a: Float32Array) -> float:
    return float(10 * np.log10(np.mean(a.astype(np.float64) ** 2)))


def largest_step(audio: Float32Array) -> float:
    return float(np.abs(np.diff(audio, axis=0)).max())


@settings(max_examples=30, deadline=None)
@given(wanted=st.floats(0, 1), seed=st.integers(0, 2**32 - 1))
def test_power_is_constant_whatever_the_correlation(wanted: float, seed: int) -> None:
    shared, own = noise(2, 200_000, seed=seed)
    mixed = crossfade(shared, wanted * shared + np.sqrt(1 - wanted**2) * own)
    for part in np.split(mixed, 8):
        # 25,000 samples of noise: one standard deviation of their level is 0.04 dB.
        assert abs(level_db(part)) < 0.25


def test_a_signal_crossfaded_with_itself_is_itself() -> None:
    audio = noise(1000)
    np.testing.assert_allclose(crossfade(audio, audio), audio, atol=1e-6)


def test_crossfade_begins_and_ends_with_its_signals() -> None:
    mixed = crossfade(np.ones((1000, 2)), -np.ones((1000, 2)))
    np.testing.assert_allclose(mixed[[0, -1]], [[1, 1], [-1, -1]], atol=2e-3)


def test_crossfade_of_silence_is_finite() -> None:
    silence = np.zeros(100, np.float32)
    np.testing.assert_array_equal(crossfade(silence, silence), silence)
    assert crossfade(silence[:0], silence[:0]).shape == (0,)


@pytest.mark.parametrize("shape", [(1000,), (1000, 2)])
def test_fades(shape: tuple[int, ...]) -> None:
    audio = np.ones(shape, np.float32)
    risen, sunk = fade_in(audio, 300), fade_out(audio, 300)
    np.testing.assert_array_equal(risen, sunk[::-1])
    assert_same_bits(risen[300:], audio[300:])
    assert (np.diff(risen[:300], axis=0) > 0).all()
    assert risen[0].max() < 1e-4
    np.testing.assert_array_equal(audio, 1)
    assert fade_in(audio, 5000).shape == shape


@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_splice_after_keeps_the_original(channels: int, dtype: type) -> None:
    original = noise(5000, channels).astype(dtype)
    joined = splice_after(original, noise(3000, seed=1), 4000, 600)
    assert joined.dtype == dtype
    assert joined.shape == (7000, channels)
    np.testing.assert_array_equal(joined[:4400], original[:4400])


@pytest.mark.parametrize(("start", "stop"), [(4000, 6000), (0, 3000), (7000, 10000), (0, 10000), (5000, 5001)])
def test_splice_between_keeps_the_rest(start: int, stop: int) -> None:
    original = noise(10000, 2)
    generated = noise(10000, seed=1)
    joined = splice_between(original, generated, 0, start, stop, 500)
    assert joined.shape == original.shape
    assert_same_bits(joined[: max(start - 500, 0)], original[: max(start - 500, 0)])
    assert_same_bits(joined[stop + 500 :], original[stop + 500 :])
    assert not (joined[start:stop] == original[start:stop]).any()


def test_mono_gets_the_generated_sound_untouched() -> None:
    original, generated = noise(5000, 1), noise(4000, seed=1)
    assert_same_bits(splice_after(original, generated, 4000, 600)[5000:, 0], generated[1000:])
    joined = splice_between(original, generated, 1000, 2000, 4000, 500)
    assert_same_bits(joined[2000:4000, 0], generated[1000:3000])


def test_every_channel_keeps_its_level() -> None:
    music = chords(2.0)
    pan = np.array([1.5, 0.5, 0.0], np.float32)
    original = (music[:, None] * pan).astype(np.float32)
    joined = splice_after(original[:30000], original.mean(axis=1), 0, OVERLAP_SAMPLES)
    np.testing.assert_allclose(joined, original, atol=1e-5)
    repainted = splice_between(original, original.mean(axis=1), 0, 20000, 30000, OVERLAP_SAMPLES)
    np.testing.assert_allclose(repainted, original, atol=1e-5)


@pytest.mark.parametrize("rate_hz", [22050, 44100, 48000])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_neither_click_nor_level_step_where_the_vocoder_goes_on(rate_hz: int, seed: int) -> None:
    file = chords(3.0, rate_hz, seed)
    music = resample(file, rate_hz, SOUND.sample_rate_hz)
    heard = 25000 + 777 * seed
    vocoder = PhaseVocoder(SOUND)
    vocoder.prime(music[:heard])
    frame, start = vocoder.next_frame, vocoder.next_sample
    made = np.concatenate([vocoder.push(log_mel(music, SOUND)[frame : frame + 40]), vocoder.flush()])
    timeline = resample(np.concatenate([music[:start], made]), SOUND.sample_rate_hz, rate_hz)
    original = file[: heard * rate_hz // SOUND.sample_rate_hz, None]
    overlap = OVERLAP_SAMPLES * rate_hz // SOUND.sample_rate_hz
    joined = splice_after(original, timeline, 0, overlap)[:, 0]

    near = rate_hz // 50
    join = slice(len(original) - overlap - near, len(original) + near)
    assert largest_step(joined[join]) <= largest_step(file)
    spans = range(join.start - 5 * near, join.stop, near)
    # Measured against the music itself, 20 ms by 20 ms: at most 1.87 dB.
    assert max(abs(level_db(joined[at : at + near]) - level_db(file[at : at + near])) for at in spans) < 2.5


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_neither_click_nor_level_step_on_either_side_of_a_repainted_part(seed: int) -> None:
    music, other = chords(3.0, seed=seed), chords(3.0, seed=seed + 10)
    begin, end = 22050 + 500 * seed, 44100
    vocoder = PhaseVocoder(SOUND, phase_lookahead_frames=8, sweeps=8)
    vocoder.prime(music[:begin], music[end:], end - begin)
    frame, start, wanted = vocoder.next_frame, vocoder.next_sample, vocoder.frames_wanted
    assert wanted is not None
    made = np.concatenate([vocoder.push(log_mel(other, SOUND)[frame : frame + wanted]), vocoder.flush()])
    joined = splice_between(music[:, None], made, start, begin, end, OVERLAP_SAMPLES)[:, 0]
    for edge in (begin, end):
        near = slice(edge - OVERLAP_SAMPLES - 441, edge + OVERLAP_SAMPLES + 441)
        assert largest_step(joined[near]) <= max(largest_step(music), largest_step(other))


def test_errors() -> None:
    original, generated = noise(5000, 1), noise(3000)
    with pytest.raises(ValueError, match="cannot crossfade"):
        crossfade(noise(10), noise(11))
    with pytest.raises(ValueError, match=r"expected original \[samples, channels\]"):
        splice_after(original[:, 0], generated, 4000, 100)
    with pytest.raises(ValueError, match="the join needs 4400 to 5000"):
        splice_after(original, generated, 4500, 600)
    with pytest.raises(ValueError, match="does not fit"):
        splice_after(original, generated, 4000, 6000)
    with pytest.raises(ValueError, match="the join needs 900 to 4100"):
        splice_between(original, generated, 900, 1000, 4000, 100)
    with pytest.raises(ValueError, match="cannot replace"):
        splice_between(original, generated, 900, 4000, 6000, 100)
