from __future__ import annotations

import math
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from melnet_music.instrument.instrument import Instrument
from melnet_music.instrument.joins import Samples
from melnet_music.instrument.take_request import TakeRequest
from melnet_music.model.config import read_preset_config
from melnet_music.model.preset import CONFIG_FILE, PHRASE_FILE, find_preset
from melnet_music.sampling.cpu.engine import MOST_THREADS
from melnet_music.sampling.engine import Chunk, Generated, SamplerState
from melnet_music.sound.audio_file import read_audio
from melnet_music.sound.level_hold import DELAY_CHUNKS, MOST_TILT, LevelHold, UsualLevel

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
    folder = find_preset("piano")
    return read_audio(folder / PHRASE_FILE).mono_at(read_preset_config(folder / CONFIG_FILE).sound.sample_rate_hz)


def test_music_that_fades_is_held() -> None:
    """Two decibels a second lost, and given back by a tilt of 0.1 a tenth of a second: as the shipped models fade."""
    hold, level_db, levels = LevelHold(1.0, 0.01, FRAMES_PER_SECOND), 0.0, []
    for chunk in range(300):
        level_db += -0.4 + 4.0 * hold.tilt(chunk)
        levels.append(level_db)
        hold.made(frames([10 ** (level_db / 10)] * 8))
    assert min(levels) > -15.0
    assert np.abs(np.array(levels[-60:]) + 7.0).max() < 2.0  # where tilt and loss are even


def spy(instrument: Instrument, monkeypatch: pytest.MonkeyPatch) -> tuple[list[Chunk], list[Samples]]:
    """What the engine will be asked for, and the log-mel frames that it will make."""
    asked: list[Chunk] = []
    made: list[Samples] = []

    def spied(state: SamplerState, chunks: Iterable[Chunk]) -> Generator[Generated | None, None, None]:
        def passing() -> Iterator[Chunk]:
            for chunk in chunks:
                asked.append(chunk)
                yield chunk

        for step in engine(state, passing()):
            if step is not None:
                made.append(instrument._sampler.log_mel(step.frames))
            yield step

    engine = instrument.engine.sampling
    monkeypatch.setattr(instrument.engine, "sampling", spied)
    return asked, made


@pytest.mark.parametrize("threads", [1, 4])
def test_every_chunk_of_a_take_is_led_by_those_before_it(
    phrase: Samples, narrow_piano: Path, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    instrument = Instrument.load(narrow_piano, threads=threads)
    sampling = instrument.preset.config.sampling
    asked, made = spy(instrument, monkeypatch)
    instrument.hear(phrase)
    for _ in instrument.continuation(TakeRequest(seconds=4, seed=1)):
        pass
    alone = LevelHold(instrument._prompt.usual.power, sampling.level_hold, instrument.sound.frames_per_second)
    tilts = []
    for number, block in enumerate(made):
        tilts.append(sampling.tilt + alone.tilt(number))
        alone.made(block)
    assert [chunk.sharpness.tilt for chunk in asked[: len(tilts)]] == tilts
    assert len(set(tilts)) > 10


@pytest.mark.parametrize("knows_what_follows", [True, False])
def test_a_part_whose_future_is_known_is_not_tilted(
    phrase: Samples, narrow_piano: Path, knows_what_follows: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What follows says how loud it is to be."""
    instrument = Instrument.load(narrow_piano)
    asked, _ = spy(instrument, monkeypatch)
    instrument.hear(phrase)
    stop = instrument.heard_seconds
    part = (2.0, 2.3) if knows_what_follows else (stop - 0.3, stop)
    for _ in instrument.inpainting(TakeRequest(seconds=1, seed=1), *part):
        pass
    usual = instrument.preset.config.sampling.tilt
    assert usual > 0
    assert [chunk.sharpness.tilt for chunk in asked] == [0.0 if knows_what_follows else usual]


def test_without_a_hold_nothing_is_tilted() -> None:
    free = LevelHold(1.0, 0.0, FRAMES_PER_SECOND)
    for chunk in range(3 * DELAY_CHUNKS):
        assert free.tilt(chunk) == 0.0
        free.made(frames([1e-9] * 8))
