"""Takes drawn together are those drawn alone, and each of them can be gone on with by itself."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from sampled_takes import Grid, largest_difference, random, take
from tiny_models import tiny_config, tiny_preset

from melnet_music.model.conditioning import Conditioning
from melnet_music.sampling.batch import (
    Batch,
    DrawnAhead,
    DrawnTake,
    OtherTake,
    first_takes,
    repeated,
    takes_of,
    together,
)
from melnet_music.sampling.cpu.engine import CpuEngine
from melnet_music.sampling.engine import (
    Chunk,
    Engine,
    EngineFailedError,
    Forced,
    Generated,
    SamplerState,
    Sharpness,
    take_noise,
)
from melnet_music.sampling.failover import FailoverEngine
from melnet_music.sampling.reference import ReferenceEngine

MEL_BINS, LENGTHS = 4, (2, 2, 4, 2)
PRESET = tiny_preset(tiny_config(hidden=5, layers=1, centralized_hidden=3, splits=("time",)), MEL_BINS)
EACH = Sharpness(temperature=0.9, bias=0.2), Sharpness(temperature=0.7, upper_bias=0.1), Sharpness(tilt=0.5)
MOST_DIFFERENCE = 1e-6
"""Of a frame or a state, together and alone, by torch; 6e-8 was the largest seen."""


@pytest.fixture(scope="module")
def reference() -> ReferenceEngine:
    return ReferenceEngine(PRESET.model())


@pytest.fixture
def cpu() -> Iterator[CpuEngine]:
    engine = CpuEngine(PRESET, 1)
    yield engine
    engine.close()


def chunks_of(row: int) -> Iterator[Chunk]:
    """Of one take: its own seed, sharpness, notes and forced values."""
    at = 0
    for length in LENGTHS:
        notes = np.abs(random(1, length, MEL_BINS, 2, seed=20 + row)) if row else None
        forced = Forced(random(1, length, MEL_BINS, seed=30 + row), np.arange(length) < 1) if at == 0 else None
        yield Chunk(take_noise(row, at, length, MEL_BINS), EACH[row], Conditioning(notes=notes), forced)
        at += length


def alone(engine: Engine, state: SamplerState, row: int) -> tuple[Grid, SamplerState]:
    return take(engine, state, chunks_of(row))


def others() -> tuple[list[OtherTake], list[list[Grid]]]:
    """Two takes, and what they are told of."""
    told: list[list[Grid]] = [[], []]
    return [OtherTake(chunks_of(row), DrawnTake(), told[row - 1].append) for row in (1, 2)], told


def test_each_row_is_what_it_is_alone(reference: ReferenceEngine) -> None:
    past = reference.prime(reference.init_state(), random(1, 4, MEL_BINS), 2)
    beside, told = others()
    batch, first = Batch(beside), []
    for made in reference.sampling(batch.state(past), batch.chunks(chunks_of(0))):
        if made is not None:
            batch.keep(made, reference.name)
            first.append(made.frames[:1])
            assert [len(each) for each in told] == [len(first)] * 2
    assert np.abs(np.concatenate(first, 1) - alone(reference, past, 0)[0]).max() <= MOST_DIFFERENCE
    for row, other in enumerate(beside, 1):
        frames, state = alone(reference, past, row)
        assert other.drawn.state is not None
        assert np.abs(np.concatenate(other.drawn.frames, 1) - frames).max() <= MOST_DIFFERENCE
        assert largest_difference(other.drawn.state, state) <= MOST_DIFFERENCE
        assert other.drawn.engine == "reference"


def test_a_take_of_several_is_taken_out_again(reference: ReferenceEngine) -> None:
    states = [reference.prime(reference.init_state(), random(1, 4, MEL_BINS, seed=row), 2) for row in range(3)]
    many = reference.prime(
        reference.init_state(3), np.concatenate([random(1, 4, MEL_BINS, seed=r) for r in range(3)]), 2
    )
    for row, state in enumerate(states):
        assert largest_difference(takes_of(many, row, row + 1), state) <= MOST_DIFFERENCE
        assert largest_difference(takes_of(repeated(state, 3), row, row + 1), state) == 0
    chunk = together([next(chunks_of(row)) for row in range(3)])
    assert chunk.takes == 3
    np.testing.assert_array_equal(chunk.sharpness_rows(0), np.array([each.tier(0) for each in EACH], np.float32))
    one = first_takes(chunk, 1)
    assert (one.takes, one.others, one.sharpness) == (1, (), EACH[0])
    assert one.forced is not None
    np.testing.assert_array_equal(one.forced.values, next(chunks_of(0)).forced.values)  # type: ignore[union-attr]
    np.testing.assert_array_equal(first_takes(chunk, 2).sharpness_rows(1), chunk.sharpness_rows(1)[:2])


class Failing(ReferenceEngine):
    """Fails when so many chunks are made."""

    name = "failing"

    def __init__(self, after: int) -> None:
        super().__init__(PRESET.model())
        self._after = after

    def sampling(self, state: SamplerState, chunks: object) -> Iterator[Generated | None]:  # type: ignore[override]
        for number, made in enumerate(each for each in super().sampling(state, chunks) if each):  # type: ignore[arg-type]
            if number == self._after:
                raise EngineFailedError("the card failed: it was lost")
            yield made


@pytest.mark.parametrize("after", range(len(LENGTHS)))
def test_when_the_engine_fails_each_goes_on_from_its_last_chunk(
    cpu: CpuEngine, reference: ReferenceEngine, after: int
) -> None:
    engine = FailoverEngine(Failing(after), cpu)
    past = engine.prime(engine.init_state(), random(1, 4, MEL_BINS), 2)
    assert engine.most_takes > 1
    beside, _ = others()
    batch, first = Batch(beside), []
    for made in engine.sampling(batch.state(past), batch.chunks(chunks_of(0))):
        if made is not None:
            batch.keep(made, engine.name)
            first.append(made.frames)
    assert [len(frames) for frames in first] == [3] * after + [1] * (len(LENGTHS) - after)
    assert (engine.name, engine.most_takes) == ("cpu", 1)
    whole = np.concatenate([frames[:1] for frames in first], 1)
    assert np.abs(whole - alone(reference, past, 0)[0]).max() <= MOST_DIFFERENCE
    for row, other in enumerate(beside, 1):
        assert len(other.drawn.frames) == after
        drawn_before = list(other.drawn.frames)
        going_on = DrawnAhead(engine, other.drawn)
        assert going_on.name == ("failing" if after else "cpu")
        state = going_on.prime(past, random(1, 2, MEL_BINS), 2) if after else past  # which it knows already
        made_now = [each for each in going_on.sampling(state, chunks_of(row)) if each]
        assert going_on.name == "cpu"
        for kept, each in zip(drawn_before, made_now, strict=False):
            np.testing.assert_array_equal(each.frames, kept)
        frames, end = alone(reference, past, row)
        assert np.abs(np.concatenate([each.frames for each in made_now], 1) - frames).max() <= MOST_DIFFERENCE
        assert largest_difference(made_now[-1].state, end) <= MOST_DIFFERENCE


def test_what_is_drawn_is_given_chunk_by_chunk_in_calls_of_their_own(reference: ReferenceEngine) -> None:
    """As it is asked for where a take is made at leisure."""
    past, drawn = reference.init_state(), DrawnTake()
    for made in reference.sampling(past, list(chunks_of(1))[:2]):
        if made is not None:
            drawn.add(made.frames, made.state, reference.name)
    engine, state, frames = DrawnAhead(reference, drawn), past, []
    for chunk in chunks_of(1):
        (made,) = [each for each in engine.sampling(state, [chunk]) if each]
        frames.append(made.frames)
        state = made.state
    expected, end = alone(reference, past, 1)
    np.testing.assert_array_equal(np.concatenate(frames, 1), expected)
    assert largest_difference(state, end) == 0
    assert list(engine.sampling(state, [])) == []
