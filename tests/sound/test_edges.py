"""The edges of a repainted part."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from melnet_music.model.config import SoundConfig
from melnet_music.sound.edges import entering_frames, leaving_frames, led_to
from melnet_music.sound.limiter import frame_powers
from melnet_music.sound.mel import log_mel

Samples = npt.NDArray[np.float32]

SOUND = SoundConfig(mel_bins=16)
HOP, WINDOW = SOUND.hop_samples, SOUND.window_samples
EDGES = [40 * HOP - 1, 40 * HOP, 40 * HOP + 1, 40 * HOP + HOP // 2]


def tone(samples: int) -> Samples:
    return (0.3 * np.sin(2 * np.pi * 440 / SOUND.sample_rate_hz * np.arange(samples))).astype(np.float32)


@pytest.mark.parametrize("edge", EDGES)
def test_frames_at_the_edges_are_those_of_the_kept_sound_mirrored(edge: int) -> None:
    audio = np.random.default_rng(0).standard_normal(80 * HOP).astype(np.float32)
    for_entering, for_leaving = audio.copy(), audio.copy()
    for_entering[edge : edge + WINDOW] = audio[edge - WINDOW : edge][::-1]
    for_leaving[edge - WINDOW : edge] = audio[edge : edge + WINDOW][::-1]

    first = (edge - WINDOW // 2) // HOP + 1  # the first whose window reaches over the edge
    entering = entering_frames(audio, edge, first, SOUND)
    np.testing.assert_array_equal(entering, log_mel(for_entering, SOUND)[first : edge // HOP + 1])

    centred, stop = -(-edge // HOP), -(-(edge + WINDOW // 2) // HOP)
    leaving, follows = leaving_frames(audio, edge, stop, SOUND)
    expected = log_mel(for_leaving, SOUND)[centred - 1 : stop]
    np.testing.assert_array_equal(np.concatenate([follows, leaving]), expected)


@pytest.mark.parametrize("edge", EDGES)
def test_what_is_replaced_is_not_looked_at(edge: int) -> None:
    audio = tone(80 * HOP)
    other_after, other_before = audio.copy(), audio.copy()
    other_after[edge:], other_before[:edge] = 0.5, 0.5
    first, stop = edge // HOP - 1, edge // HOP + 2
    np.testing.assert_array_equal(
        entering_frames(audio, edge, first, SOUND), entering_frames(other_after, edge, first, SOUND)
    )
    for one, other in zip(
        leaving_frames(audio, edge, stop, SOUND), leaving_frames(other_before, edge, stop, SOUND), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_too_little_kept_sound_tells_nothing() -> None:
    audio = tone(80 * HOP)
    assert len(entering_frames(audio, WINDOW - 1, 0, SOUND)) == 0
    assert [len(each) for each in leaving_frames(audio, len(audio) - WINDOW, 80, SOUND)] == [0, 0]


@given(st.floats(-60, 60))
def test_a_part_is_led_to_the_level_of_what_follows(missing_db: float) -> None:
    frames = np.random.default_rng(1).uniform(-4, 0, (9, SOUND.mel_bins)).astype(np.float32)
    follows = frames[-1:] + np.float32(missing_db * np.log(10) / 20)
    led = led_to(frames, follows)
    before_db, after_db = (10 * np.log10(frame_powers(each)) for each in (frames, led))
    added_db = after_db - before_db
    assert added_db[-1] == pytest.approx(min(max(missing_db, -9.0), 6.0), abs=1e-3)
    np.testing.assert_allclose(added_db, added_db[-1] * np.arange(1, 10) / 9, atol=1e-3)
