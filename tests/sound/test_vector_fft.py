"""A frame is projected as numpy would in double precision, whatever the length."""

from __future__ import annotations

import numpy as np
import pytest

from melnet_music.sound.vocoders.vector_fft import fits, make_plan, project_frame, work_floats


@pytest.mark.parametrize(
    ("n_fft", "window_samples"), [(128, 128), (256, 100), (384, 384), (1024, 1024), (2048, 1536), (3072, 3072)]
)
def test_it_is_the_projection_of_double_precision(n_fft: int, window_samples: int) -> None:
    rng = np.random.default_rng(n_fft)
    sound, window, synthesis, wave, overlap = rng.standard_normal((5, window_samples)).astype(np.float32)
    magnitude = rng.random(n_fft // 2 + 1).astype(np.float32)
    spectrum = np.fft.rfft(sound.astype(np.float64) * window, n_fft)
    expected = np.fft.irfft(spectrum / np.abs(spectrum) * magnitude, n_fft)[:window_samples] * synthesis
    summed = overlap + expected - wave
    work = np.full(work_floats(n_fft), np.nan, np.float32)
    project_frame(make_plan(n_fft), work, sound, window, magnitude, synthesis, overlap, wave)
    np.testing.assert_allclose(wave, expected, atol=2e-7)
    np.testing.assert_allclose(overlap, summed, atol=2e-6)


def test_silence_gets_phase_zero() -> None:
    silence, ones = np.zeros(256, np.float32), np.ones(256, np.float32)
    magnitude = np.linspace(1, 2, 129, dtype=np.float32)
    wave, overlap = np.zeros(256, np.float32), np.zeros(256, np.float32)
    project_frame(make_plan(256), np.zeros(work_floats(256), np.float32), silence, ones, magnitude, ones, overlap, wave)
    np.testing.assert_allclose(wave, np.fft.irfft(magnitude), atol=1e-6)


@pytest.mark.parametrize("n_fft", [127, 130, 640, 64])
def test_other_lengths_are_refused(n_fft: int) -> None:
    assert not fits(n_fft)
    with pytest.raises(ValueError, match=f"n_fft is {n_fft}, want a multiple of 128 with no prime factors but 2 and 3"):
        make_plan(n_fft)
