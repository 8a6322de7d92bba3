"""An engine that fails in the middle of a take, and the one that goes on."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sampled_takes import Grid, random, take
from test_cpu_engine import assert_same_bits, chunks_of
from tiny_models import tiny_config, tiny_preset

from melnet_music.instrument.instrument import Instrument
from melnet_music.model.preset import load_preset
from melnet_music.sampling.cpu.engine import CpuEngine
from melnet_music.sampling.engine import Chunk, Engine, EngineFailedError, Generated, SamplerState
from melnet_music.sampling.failover import FailoverEngine
from melnet_music.sampling.reference import ReferenceEngine

PRESET = tiny_preset(tiny_config(hidden=5, layers=1, splits=("time",)), 4)
LENGTHS = [2, 4, 2, 2, 4]


class Failing(ReferenceEngine):
    """Takes chunks ahead as a card does, and fails when so many are made."""

    name = "failing"

    def __init__(self, after: int, ahead: int = 2) -> None:
        super().__init__(PRESET.model())
        self._after, self._ahead, self.closed = after, ahead, 0

    def sampling(self, state: SamplerState, chunks: Iterable[Chunk]) -> Generator[Generated | None, None, None]:
        source = iter(chunks)
        waiting = list(itertools.islice(source, self._ahead))
        for made in itertools.count():
            yield None
            if made == self._after:
                raise EngineFailedError("the card failed: out of memory")
            if not waiting:
                return
            whole = [each for each in super().sampling(state, waiting[:1]) if each is not None]
            waiting = [*waiting[1:], *itertools.islice(source, 1)]
            state = whole[0].state
            yield whole[0]

    def prime(self, *given: Any) -> SamplerState:
        if self._after == 0:
            raise EngineFailedError("the card failed: it was lost")
        return super().prime(*given)

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def cpu() -> Iterator[CpuEngine]:
    engine = CpuEngine(PRESET, 2)
    yield engine
    engine.close()


def made_by(engine: Engine, state: SamplerState) -> list[Generated]:
    return [each for each in engine.sampling(state, chunks_of(LENGTHS, 4)) if each is not None]


@pytest.mark.parametrize("after", range(len(LENGTHS) + 2))
def test_a_take_goes_on_from_its_last_whole_chunk(after: int, cpu: CpuEngine, caplog: pytest.LogCaptureFixture) -> None:
    first, told = Failing(after), list[str]()
    engine = FailoverEngine(first, cpu)
    engine.on_failure = told.append
    state, reference = first.init_state(), ReferenceEngine(PRESET.model())
    with caplog.at_level(logging.WARNING):
        made = made_by(engine, state)
    assert [each.frames.shape[1] for each in made] == LENGTHS  # none missing, none twice
    expected = made_by(reference, state)
    for ours, theirs in zip(made[:after], expected, strict=False):
        np.testing.assert_array_equal(ours.frames, theirs.frames)
    failed = after <= len(LENGTHS)
    if after < len(LENGTHS):
        before = made[after - 1].state if after else state
        rest = list(chunks_of(LENGTHS, 4))[after:]
        frames, end = take(cpu, before, iter(rest))
        np.testing.assert_array_equal(np.concatenate([each.frames for each in made[after:]], 1), frames)
        assert_same_bits(made[-1].state, end)
    message = "engine failing failed (the card failed: out of memory); cpu goes on"
    assert told == [record.getMessage() for record in caplog.records] == ([message] if failed else [])
    assert engine.name == ("cpu" if failed else "failing")
    assert first.closed == failed


def test_who_fails_while_priming_primes_on_the_other(cpu: CpuEngine) -> None:
    engine, past = FailoverEngine(Failing(0), cpu), random(1, 4, 4)
    told: list[str] = []
    engine.on_failure = told.append
    state = engine.prime(engine.init_state(), past, 2)
    assert_same_bits(state, cpu.prime(cpu.init_state(), past, 2))
    assert told == ["engine failing failed (the card failed: it was lost); cpu goes on"]
    np.testing.assert_array_equal(engine.nats(state, past, 2), cpu.nats(state, past, 2))
    frames: Grid = take(engine, state, chunks_of([2, 2], 4))[0]
    np.testing.assert_array_equal(frames, take(cpu, state, chunks_of([2, 2], 4))[0])
    assert len(told) == 1


def test_of_two_takes_side_by_side_one_finds_out_and_both_go_on(cpu: CpuEngine) -> None:
    engine, told = FailoverEngine(Failing(1), cpu), list[str]()
    engine.on_failure = told.append
    start = engine.init_state()
    runs = [engine.sampling(start, chunks_of([2, 2, 2], 4, seed=seed)) for seed in (1, 2)]
    counts = [0, 0]
    for pair in itertools.zip_longest(*runs):
        counts = [count + isinstance(each, Generated) for count, each in zip(counts, pair, strict=True)]
    assert counts == [3, 3]
    assert len(told) == 1


def test_what_is_wrong_with_a_chunk_is_no_failure(cpu: CpuEngine) -> None:
    first = Failing(9)
    engine = FailoverEngine(first, cpu)
    with pytest.raises(ValueError, match="asked for 3 frames"):
        list(engine.sampling(engine.init_state(), chunks_of([2, 3], 4)))
    assert engine.name == "failing"
    engine.close()
    assert first.closed == 1


def test_an_instrument_tells_that_its_engine_failed(cpu: CpuEngine, narrow_piano: Path) -> None:
    preset, told = load_preset(narrow_piano), list[str]()
    second = CpuEngine(preset, 1)
    engine = FailoverEngine(Failing(0), second)
    instrument = Instrument(preset, engine)
    instrument.on_engine_failure(told.append)
    assert instrument.engine_name == "failing"
    engine.prime(second.init_state(), random(1, 8, preset.mel_bins), 8)
    assert told == ["engine failing failed (the card failed: it was lost); cpu goes on"]
    assert instrument.engine_name == "cpu"
    engine.close()
    Instrument(preset, cpu).on_engine_failure(told.append)  # which never fails
