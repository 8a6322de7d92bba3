from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from melnet_music.audio_file import read_audio
from melnet_music.instrument import Instrument, Samples, TakeRequest
from melnet_music.level_hold import DELAY_CHUNKS, MOST_TILT, LevelHold, UsualLevel
from melnet_music.preset import PHRASE_FILE, find_preset
from melnet_music.sampling.cpu.engine import MOST_THREADS

FRAMES_PER_SECOND = 43.0
BINS = 16


def frames(powers: list[float]) -> Samples:
    """Log-mel frames of such powers."""
    return np.broadcast_to(0.5 * np.log(np.array(powers) / BINS)[:, None], (len(powers), BINS)).astype(np.float32)


@given(st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=40), st.integers(0, 40))
def test_how_the_heard_is_cut_makes_no_difference(powers: list[float], cut: int) -> None:
    whole, parts = (UsualLevel(1.0, 1e-6, FRAMES_PER_SECOND) for _ in range(2))
    whole.hear(frames(powers))
    for part in (frames(powers)[:cut], frames(powers)[cut:]):
        parts.hear(part)
    assert parts.power == whole.power
    assert whole.power == pytest.approx(np.mean(powers), rel=1e-3)


def test_pauses_leave_the_usual_level_alone() -> None:
    level = UsualLevel(1.0, 1e-6, FRAMES_PER_SECOND)
    level.hear(frames([4.0] * 100))
    level.hear(frames([1e-7] * 5000))
    assert level.power == pytest.approx(4.0, rel=1e-3)


def test_of_late_counts_more_than_long_ago() -> None:
    level = UsualLevel(1.0, 1e-6, FRAMES_PER_SECOND)
    level.hear(frames([100.0] * 2000))
    level.hear(frames([1.0] * 2000))
    assert level.power < 3.0


def led(power: float, chunks: int = 40) -> list[float]:
    """The tilts of a take that comes out with one power, where 1 is usual."""
    hold, tilts = LevelHold(1.0, 0.01, FRAMES_PER_SECOND), []
    for chunk in range(chunks):
        tilts.append(hold.tilt(chunk))
        hold.made(frames([power] * 8))
    return tilts


@given(st.floats(1e-8, 1e8).filter(lambda power: abs(math.log(power)) > 0.01))
def test_a_take_astray_is_led_back_the_harder_the_longer(power: float) -> None:
    tilts = np.array(led(power))
    assert (tilts[: DELAY_CHUNKS + 1] == 0).all()
    astray = tilts[DELAY_CHUNKS + 1 :]
    assert (np.sign(astray) == (1 if power < 1 else -1)).all()
    assert (np.diff(np.abs(astray)) >= 0).all()
    assert np.abs(astray).max() <= MOST_TILT


def test_a_take_at_its_level_is_left_alone() -> None:
    assert np.abs(led(1.0)).max() < 1e-6


def test_no_engine_works_on_more_chunks_at_once_than_the_hold_allows() -> None:
    assert DELAY_CHUNKS > MOST_THREADS + 1


@pytest.fixture(scope="module")
def phrase() -> Samples:
    return read_audio(find_preset("piano") / PHRASE_FILE).mono_at(22050)


@pytest.mark.parametrize(("heard_gain", "threads"), [(1.0, 1), (0.4, 4)])
def test_a_take_keeps_the_level_of_what_was_heard(phrase: Samples, heard_gain: float, threads: int) -> None:
    """Left alone, the shipped model strays from it by ten decibels and more."""
    instrument = Instrument.load("piano", threads=threads)
    instrument.hear(heard_gain * phrase)
    take = np.concatenate(list(instrument.continuation(TakeRequest(seconds=20, seed=1))))
    late = take[10 * instrument.sample_rate_hz :]
    assert abs(10 * np.log10((late**2).mean() / ((heard_gain * phrase) ** 2).mean())) < 8


def test_without_a_hold_nothing_is_tilted() -> None:
    free = LevelHold(1.0, 0.0, FRAMES_PER_SECOND)
    for chunk in range(3 * DELAY_CHUNKS):
        assert free.tilt(chunk) == 0.0
        free.made(frames([1e-9] * 8))
