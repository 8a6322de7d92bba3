"""Onset strength and its peaks: the numbers of librosa 0.11, written down: its own take half a minute to compile."""

from __future__ import annotations

import numpy as np
import pytest
from accelerating import HOP, RATE_HZ, accelerating
from numpy.testing import assert_allclose, assert_array_equal

from melnet_music.sound.onsets import onset_frames, onset_strength, power_spectra

FRAMES_PER_SECOND = RATE_HZ / HOP
PEAKS = [
    36, 83, 130, 176, 223, 269, 315, 360, 406, 451, 496, 541, 586, 631, 675, 719, 763, 807, 851, 894, 937, 980, 1023,
    1066, 1108, 1151, 1193, 1235, 1277, 1319, 1360, 1401, 1442, 1484, 1525, 1565,
]  # fmt: skip
CLEAR_BASS = [36, 360, 406, 451, 496, 541, 586, 894, 937, 980, 1023, 1066, 1108, 1442, 1483, 1524, 1565]


@pytest.mark.parametrize(
    ("bands", "highest_hz", "total", "largest", "centre", "peaks"),
    [(96, None, 1293.02661, 13.338677, 838.18991, PEAKS), (12, 250.0, 1965.42443, 26.758955, 868.87398, CLEAR_BASS)],
    ids=["all", "bass"],
)
def test_strength_and_peaks_are_librosas(
    bands: int, highest_hz: float | None, total: float, largest: float, centre: float, peaks: list[int]
) -> None:
    strength = onset_strength(accelerating(), RATE_HZ, HOP, bands, highest_hz)
    assert strength.shape == (1 + 20 * RATE_HZ // HOP,)
    assert strength.sum(dtype=float) == pytest.approx(total, rel=1e-5)
    assert strength.max() == pytest.approx(largest, rel=1e-5)
    assert strength.astype(float) @ np.arange(len(strength)) / strength.sum(dtype=float) == pytest.approx(centre)
    assert onset_frames(strength, FRAMES_PER_SECOND, 0.3).tolist() == peaks


def test_the_last_peak_before_another_and_what_hardly_stands_out_are_told_apart() -> None:
    found = onset_frames(onset_strength(accelerating(), RATE_HZ, HOP, 96), FRAMES_PER_SECOND)
    assert len(found) == 38  # a start of the noise and the last ending besides
    assert np.abs(np.array(PEAKS)[:, None] - found).min(1).max() <= 1


def test_silence_has_none() -> None:
    strength = onset_strength(np.zeros(RATE_HZ, np.float32), RATE_HZ, HOP, 96)
    assert not strength.any()
    assert_array_equal(onset_frames(strength, FRAMES_PER_SECOND), np.zeros(0))


def test_spectra_are_centred_on_their_samples() -> None:
    audio = accelerating()[: 3 * RATE_HZ]
    power = power_spectra(audio, 512)
    assert power.shape == (1 + len(audio) // 512, 1025)
    window = 0.5 - 0.5 * np.cos(np.arange(2048) * np.pi / 1024)
    for frame in (0, 40, len(power) - 1):
        around = np.pad(audio, 1024)[512 * frame : 512 * frame + 2048]
        assert_allclose(power[frame], np.abs(np.fft.rfft(around * window)) ** 2, rtol=1e-4, atol=1e-5 * power.max())
