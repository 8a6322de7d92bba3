"""How fast takes are made: sampling alone, with the vocoder, the first chunk, and priming."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

from numpy.typing import NDArray

from melnet_music.bench.material import Material, Samples
from melnet_music.bench.peak import spin
from melnet_music.bench.turns import Spent, in_turn, timed
from melnet_music.instrument.instrument import Instrument
from melnet_music.instrument.take_request import TakeRequest
from melnet_music.sampling.engine import Chunk, Engine, Generated, SamplerState

_CHUNKS, _AT_MOST_S, _FEWEST_CHUNKS = 40, 2.0, 3
"""Counted of a take: 40, or as many as there is time for, but three at least."""
_TRIALS, _TRIALS_AT_MOST_S, _FEWEST_TRIALS = 20, 8.0, 3
"""Of the first chunk, likewise."""


@dataclass(frozen=True)
class Rates:
    """Seconds of sound made in a second (wall time), and what that costs."""

    sampling: float
    with_vocoder: float
    priming: float
    cpu_s_per_s_of_sound: float
    """Of sampling."""
    cores_at_hand: float
    """How many of the machine's cores as many threads got, meanwhile, that only count: less when it has other work."""


@dataclass(frozen=True)
class FirstChunk:
    """Wall times of takes that go on from what was heard, wherever that ends in a chunk."""

    median_ms: float
    """From the trigger to the first sound."""
    worst_ms: float
    frames_median_ms: float
    """From the call of ``sampling`` to the first chunk of frames: the engine's share."""
    trials: int


class ChunkStream:
    """An engine at work on a take, chunk by chunk."""

    def __init__(self, engine: Engine, state: SamplerState, chunks: Iterable[Chunk]) -> None:
        self._making = engine.sampling(state, chunks)

    def next(self) -> Generated:
        """The next chunk, once it is made. Raises StopIteration when there are no more."""
        return next(made for made in self._making if made is not None)

    def close(self) -> None:
        """Stop the work."""
        self._making.close()


def measure_rates(
    engines: Mapping[int, Engine], material: Material, state: SamplerState, rounds: int
) -> dict[int, Rates]:
    """Of engines by their number of threads, in turn."""
    frames = material.heard_frames(_CHUNKS)
    jobs: dict[tuple[str, int], Callable[[], Spent]] = {}
    for threads, engine in engines.items():
        jobs["sampling", threads] = partial(seconds_per_chunk, engine, material, state)
        jobs["sounding", threads] = partial(_per_sounding_chunk, Instrument(material.preset, engine))
        jobs["priming", threads] = partial(_per_primed_chunk, engine, material, frames)
        jobs["spinning", threads] = partial(timed, partial(_spin_on, threads))
    spent = in_turn(jobs, rounds, warm_up=False)  # each warms up on its own

    def factor(what: str, threads: int) -> float:
        return material.chunk_s / spent[what, threads].wall_s

    return {
        threads: Rates(
            sampling=factor("sampling", threads),
            with_vocoder=factor("sounding", threads),
            priming=factor("priming", threads),
            cpu_s_per_s_of_sound=spent["sampling", threads].cpu_s / material.chunk_s,
            cores_at_hand=spent["spinning", threads].cpu_s / spent["spinning", threads].wall_s,
        )
        for threads in engines
    }


def measure_first_chunk(engine: Engine, material: Material, state: SamplerState) -> FirstChunk:
    """Trigger after trigger, each a frame later, so that they fall everywhere in a chunk; the first only warms up."""
    instrument = Instrument(material.preset, engine)
    hop = material.preset.config.sound.hop_samples
    before = max(len(material.heard) - (1 + _TRIALS) * hop, 0)
    instrument.hear(material.heard[:before])
    sounds, frames = [], []
    stop = time.perf_counter() + _TRIALS_AT_MOST_S
    for trial in range(1 + _TRIALS):
        if trial > _FEWEST_TRIALS and time.perf_counter() > stop:
            break
        instrument.hear(material.heard[before + trial * hop :][:hop])
        sounds.append(_to_first_sound(instrument, seed=trial))
        frames.append(_to_first_frames(engine, material, state, seed=trial))
    return FirstChunk(
        median_ms=statistics.median(sounds[1:]) * 1e3,
        worst_ms=max(sounds[1:]) * 1e3,
        frames_median_ms=statistics.median(frames[1:]) * 1e3,
        trials=len(sounds) - 1,
    )


def seconds_per_chunk(engine: Engine, material: Material, state: SamplerState, at_most_s: float = _AT_MOST_S) -> Spent:
    """In the middle of a take: an engine works ahead as far as it does before the first chunk that counts."""
    with closing(ChunkStream(engine, state, material.take())) as stream:
        for _ in range(getattr(engine, "threads", 0) + 2):
            stream.next()
        made, stop = 0, time.perf_counter() + at_most_s

        def make() -> None:
            nonlocal made
            while made < _CHUNKS and (made < _FEWEST_CHUNKS or time.perf_counter() < stop):
                stream.next()
                made += 1

        return timed(make).each(made)


def _per_sounding_chunk(instrument: Instrument) -> Spent:
    """The same with the vocoder, from a take's first sound on."""
    made, chunk_samples = 0, instrument.chunk_seconds * instrument.sample_rate_hz
    with _take(instrument.generation, TakeRequest(seconds=_CHUNKS * instrument.chunk_seconds, seed=0)) as blocks:
        _wait_for_sound(blocks)
        stop = time.perf_counter() + _AT_MOST_S

        def make() -> None:
            nonlocal made
            for block in blocks:
                made += len(block)
                if made >= _FEWEST_CHUNKS * chunk_samples and time.perf_counter() > stop:
                    return

        return timed(make).each(made / chunk_samples)


def _per_primed_chunk(engine: Engine, material: Material, frames: NDArray[Any]) -> Spent:
    material.primed(engine, frames[:, : material.chunk_frames])
    return timed(lambda: material.primed(engine, frames)).each(frames.shape[1] // material.chunk_frames)


def _spin_on(threads: int) -> None:
    """For some 50 ms, longer than a scheduler leaves a core to one of many."""

    def spin_on() -> None:
        for _ in range(6):
            spin()

    spinning = [threading.Thread(target=spin_on) for _ in range(threads)]
    for thread in spinning:
        thread.start()
    for thread in spinning:
        thread.join()


def _to_first_sound(instrument: Instrument, seed: int) -> float:
    request = TakeRequest(seconds=_FEWEST_CHUNKS * instrument.chunk_seconds, seed=seed)
    started = time.perf_counter()
    with _take(instrument.continuation, request) as blocks:
        _wait_for_sound(blocks)
        return time.perf_counter() - started


def _to_first_frames(engine: Engine, material: Material, state: SamplerState, seed: int) -> float:
    chunks = list(islice(material.take(seed), _FEWEST_CHUNKS))
    started = time.perf_counter()
    with closing(ChunkStream(engine, state, chunks)) as stream:
        stream.next()
        return time.perf_counter() - started


@contextmanager
def _take(begin: Callable[[TakeRequest], Iterator[Samples]], request: TakeRequest) -> Iterator[Iterator[Samples]]:
    """A take's blocks; when left, its work is stopped."""
    blocks = begin(request)
    try:
        yield blocks
    finally:
        if isinstance(blocks, Generator):
            blocks.close()


def _wait_for_sound(blocks: Iterator[Samples]) -> None:
    next(block for block in blocks if len(block))
