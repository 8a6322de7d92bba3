"""All figures of one engine, with one preset, on this machine."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from typing import Any

from melnet_music.bench.against_reference import AgainstReference, compare
from melnet_music.bench.fresh_start import FreshStart, measure_start
from melnet_music.bench.material import Material
from melnet_music.bench.one_thread import OneThread, measure_kernels, measure_steps
from melnet_music.bench.takes import FirstChunk, Rates, measure_first_chunk, measure_rates
from melnet_music.model.preset import Preset
from melnet_music.sampling import ENGINES
from melnet_music.sampling.engine import Engine

PRIMED_FRAMES = (100, 2000)
"""Cost is measured after so many frames of the past, to see whether it grows; in whole chunks."""
REFERENCE = "reference"
_PRECISIONS = {"cpu": False, "cpu-bf16": True}
"""The engines of `melnet_music.sampling.cpu`: whether in bfloat16."""
STAGES = ("loading", "one thread", "takes", "first chunk", "fresh start", "reference")


@dataclass(frozen=True)
class Speed:
    """Medians. What hangs on a number of threads comes by that number."""

    preset: str
    digest: str
    engine: str
    threads: int
    processors: int
    load_average: float | None
    """Over the last minute before the measurement: what else the machine had to do."""
    chunk_frames: int
    chunk_ms: float
    """Of sound."""
    rates: dict[str, Rates]
    """By threads."""
    first_chunk: dict[str, FirstChunk]
    """By threads."""
    one_thread: OneThread
    warm_start: FreshStart
    cold_start: FreshStart | None
    """With nothing kept of what was compiled before."""
    against_reference: AgainstReference | None

    def as_json(self) -> dict[str, Any]:
        """Plain values, what is asked for most at the top; what was not measured is left out."""
        own, first, floor = self.one_thread, self.first_chunk[str(self.threads)], self.one_thread.floor
        costs = list(own.microseconds_per_bin.values())
        against, cold = self.against_reference, self.cold_start
        values = {
            "preset": self.preset,
            "digest": self.digest,
            "engine": self.engine,
            "threads": self.threads,
            "processors": self.processors,
            "load_average": self.load_average,
            "chunk_frames": self.chunk_frames,
            "chunk_ms": self.chunk_ms,
            "real_time_factor": {threads: rates.sampling for threads, rates in self.rates.items()},
            "real_time_factor_with_vocoder": {threads: rates.with_vocoder for threads, rates in self.rates.items()},
            "cpu_s_per_s_of_sound": {threads: rates.cpu_s_per_s_of_sound for threads, rates in self.rates.items()},
            "cores_at_hand": {threads: rates.cores_at_hand for threads, rates in self.rates.items()},
            "priming_factor": self.rates[str(self.threads)].priming,
            "priming_factor_by_threads": {threads: rates.priming for threads, rates in self.rates.items()},
            "first_chunk_ms": first.median_ms,
            "first_chunk_worst_ms": first.worst_ms,
            "first_chunk_by_threads": {threads: asdict(each) for threads, each in self.first_chunk.items()},
            "microseconds_per_bin": own.microseconds_per_bin,
            "growth": costs[-1] / costs[0],
            "tiers": [asdict(tier) for tier in own.tiers],
            "floor_fraction": floor and floor.fraction,
            "floor": floor and asdict(floor),
            "speedup_over_reference": against and against.speedup,
            "max_difference_from_reference": against and against.max_difference_of_frames,
            "against_reference": against and asdict(against),
            "peak_memory_mib": self.warm_start.peak_memory_mib,
            "warm_start_s": self.warm_start.sounded_s,
            "warm_start": asdict(self.warm_start),
            "cold_start_s": cold and cold.sounded_s,
            "cold_start": cold and asdict(cold),
        }
        measured: dict[str, Any] = _without_none(values)
        return measured


def measure_speed(
    preset: Preset,
    engine: str,
    threads: int | None = None,
    *,
    repeats: int = 15,
    cold: bool = False,
    begin: Callable[[str], object] = lambda stage: None,
) -> Speed:
    """Measure it all.

    Args:
        threads: the most to be measured; None: as many as the engine takes if it is left to choose, and two at least.
        repeats: rounds of what is measured in turn on one thread, from which the medians are; all else is repeated
            less in proportion.
        cold: start a process that has to compile everything, too.
        begin: called with the name of every one of `STAGES` when it begins.

    Raises:
        ValueError: no such engine, or a number is out of range.
    """
    if engine not in ENGINES:
        raise ValueError(f"no engine {engine!r}; there are: {', '.join(ENGINES)}")
    if repeats < 1:
        raise ValueError(f"repeats is {repeats}, want 1 or more")
    load_average = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    material, few = Material(preset), max(1, repeats // 5)
    compiled = engine in _PRECISIONS
    with ExitStack() as opened:

        def engine_on(count: int | None, name: str = engine) -> Engine:
            return opened.enter_context(closing(ENGINES[name](preset, count)))

        begin(STAGES[0])
        chosen = engine_on(threads)
        most: int = getattr(chosen, "threads", 1)
        engines = {most: chosen}
        for count in thread_counts(most if threads else max(most, 2)) if compiled else ():
            if count not in engines:
                engines[count] = engine_on(count)
        lengths = [-(-frames // material.chunk_frames) for frames in PRIMED_FRAMES]
        frames = material.heard_frames(max(lengths))
        states = {
            chunks * material.chunk_frames: material.primed(chosen, frames[:, : chunks * material.chunk_frames])
            for chunks in lengths
        }
        state = next(iter(states.values()))

        begin(STAGES[1])
        alone = engines[1]
        if compiled:
            one_thread = measure_kernels(alone, material, states, repeats, bfloat16=_PRECISIONS[engine])
        else:
            one_thread = measure_steps(alone, material, states, few)
        begin(STAGES[2])
        rates = measure_rates(engines, material, state, few if compiled else 1)
        begin(STAGES[3])
        first_chunk = {count: measure_first_chunk(each, material, state) for count, each in engines.items()}
        begin(STAGES[4])
        warm = [measure_start(str(preset.path), engine, threads, {}) for _ in range(few)]
        cold_start = _cold_start(str(preset.path), engine, threads) if cold else None
        begin(STAGES[5])
        against = compare(alone, engine_on(1, REFERENCE), material, few) if engine != REFERENCE else None
    return Speed(
        preset=preset.name,
        digest=preset.digest,
        engine=engine,
        threads=most,
        processors=os.cpu_count() or 1,
        load_average=load_average,
        chunk_frames=material.chunk_frames,
        chunk_ms=material.chunk_s * 1e3,
        rates={str(count): rates[count] for count in sorted(rates)},
        first_chunk={str(count): first_chunk[count] for count in sorted(first_chunk)},
        one_thread=one_thread,
        warm_start=sorted(warm, key=lambda start: start.sounded_s)[len(warm) // 2],
        cold_start=cold_start,
        against_reference=against,
    )


def thread_counts(most: int) -> list[int]:
    """1, 2, 4, ... and ``most``."""
    return sorted({most, *(1 << bit for bit in range(most.bit_length()))})


def _cold_start(preset: str, engine: str, threads: int | None) -> FreshStart:
    with tempfile.TemporaryDirectory() as nothing:
        return measure_start(preset, engine, threads, {"NUMBA_CACHE_DIR": nothing})


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(inside) for key, inside in value.items() if inside is not None}
    if isinstance(value, list):
        return [_without_none(inside) for inside in value]
    return value
