from __future__ import annotations

import numpy as np
import pytest
from chords import chords
from hypothesis import given, settings
from hypothesis import strategies as st
from streaming_contract import assert_lookahead, assert_same_bits, assert_whole_equals_chunked

from melnet_music.sound.resample import StreamResampler, resample

RATES = pytest.mark.parametrize(
    ("from_hz", "to_hz"),
    [(22050, 48000), (48000, 22050), (22050, 44100), (44100, 22050), (22050, 96000), (22050, 22050)],
)


@RATES
def test_whole_equals_chunked(from_hz: int, to_hz: int) -> None:
    assert_whole_equals_chunked(lambda: StreamResampler(from_hz, to_hz), chords(0.5, from_hz))


@RATES
def test_length(from_hz: int, to_hz: int) -> None:
    for count in (0, 1, 999, 12345):
        resampled = resample(np.zeros(count, np.float32), from_hz, to_hz)
        assert abs(len(resampled) - count * to_hz / from_hz) <= 0.5


@RATES
@pytest.mark.parametrize("known", [5000, 7777])
def test_declared_lookahead_holds(from_hz: int, to_hz: int, known: int) -> None:
    settled = int((known - StreamResampler(from_hz, to_hz).lookahead_samples) * to_hz / from_hz)
    assert settled > 0
    assert_lookahead(lambda: StreamResampler(from_hz, to_hz), chords(0.5, from_hz), known, settled, exact=False)


@settings(max_examples=20, deadline=None)
@given(known=st.integers(4000, 20000))
def test_no_more_than_the_lookahead_is_held_back(known: int) -> None:
    resampler = StreamResampler(22050, 48000)
    returned = sum(len(resampler.push(np.zeros(1, np.float32))) for _ in range(known))
    assert known - returned * 22050 / 48000 <= resampler.lookahead_samples


@RATES
def test_a_tone_keeps_its_phase_and_level(from_hz: int, to_hz: int) -> None:
    def tone(rate_hz: int) -> np.ndarray:
        return np.sin(2 * np.pi * 1000 * np.arange(rate_hz) / rate_hz).astype(np.float32)

    middle = slice(to_hz // 4, 3 * to_hz // 4)
    # Measured: 9e-7 at most.
    np.testing.assert_allclose(resample(tone(from_hz), from_hz, to_hz)[middle], tone(to_hz)[middle], atol=5e-6, rtol=0)


def test_equal_rates_pass_through() -> None:
    audio = chords(0.1)
    assert StreamResampler(22050, 22050).lookahead_samples == 0
    assert_same_bits(StreamResampler(22050, 22050).push(audio), audio)


def test_errors() -> None:
    with pytest.raises(ValueError, match="positive"):
        StreamResampler(22050, 0)
    with pytest.raises(ValueError, match="expected mono"):
        StreamResampler(22050, 48000).push(np.zeros((10, 2), np.float32))
