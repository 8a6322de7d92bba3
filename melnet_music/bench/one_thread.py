"""CPU time of sampling on one thread: by the time played before, by tier, by stack, and what of it is the floor."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import partial
from itertools import cycle, islice
from typing import Any

from melnet_music.bench.floor import floor_jobs, floor_seconds
from melnet_music.bench.material import Material
from melnet_music.bench.peak import peak_per_second, spin
from melnet_music.bench.products import STACKS, Products, Stack, multiply_adds
from melnet_music.bench.stacks import TierAtWork
from melnet_music.bench.takes import ChunkStream
from melnet_music.bench.turns import Spent, in_turn, timed, timed_often
from melnet_music.sampling.cpu.target import TARGET
from melnet_music.sampling.engine import Engine, SamplerState

States = Mapping[int, SamplerState]
"""To go on from, by the number of frames primed before."""

_PEAK = "peak"
_NOISES = 8
"""Chunks whose noise is made before, to be used again and again."""


@dataclass(frozen=True)
class TierSpeed:
    """One tier's share."""

    tier: int
    """Counted from 1."""
    bins_per_second_of_sound: float
    microseconds_per_bin: float
    real_time_factor: float
    """If this tier were all there is."""
    microseconds_per_bin_by_stack: dict[Stack, float] | None = None
    floor_fraction: float | None = None
    floor_fraction_by_stack: dict[Stack, float] | None = None


@dataclass(frozen=True)
class FloorOfChunk:
    """Where the CPU time of one chunk goes."""

    sampling_ms: float
    kernels_ms: float
    """Each tier on its own. The rest is what Python does in between, and what caches lose from tier to tier."""
    kernels_ms_by_stack: dict[Stack, float]
    floor_ms: float
    """The kernels' matrix products alone, each in a loop of its own at its size."""
    floor_ms_by_stack: dict[Stack, float]
    million_multiply_adds: float
    billion_multiply_adds_per_second: float
    """Those over ``sampling_ms``."""
    peak_billion_multiply_adds_per_second: float
    """Of one core, in registers only."""
    peak_fraction: float
    target: str
    """What the kernels are compiled for."""

    @property
    def fraction(self) -> float:
        """1: nothing is left to gain but by other products."""
        return self.floor_ms / self.sampling_ms


@dataclass(frozen=True)
class OneThread:
    """Medians."""

    microseconds_per_bin: dict[str, float]
    """By the number of frames primed before."""
    tiers: list[TierSpeed]
    floor: FloorOfChunk | None = None


def measure_kernels(engine: Engine, material: Material, states: States, rounds: int, *, bfloat16: bool) -> OneThread:
    """Of the ``cpu`` engine on one thread: whole chunks, tiers, stacks, products and the core's peak, all in turn."""
    state = next(iter(states.values()))
    tiers = [TierAtWork(material, g, state[g], bfloat16=bfloat16) for g in range(len(material.grids))]
    sizes = {size for tier in tiers for stack in tier.products.values() for size in stack}
    jobs: dict[Any, Callable[[], Spent]] = {**floor_jobs(sizes, bfloat16=bfloat16), _PEAK: partial(timed, spin)}
    with ExitStack() as streams:
        for tier in tiers:
            jobs.update(tier.jobs)
        for primed, state in states.items():
            chunks = cycle(list(islice(material.take(), _NOISES)))
            stream = streams.enter_context(closing(ChunkStream(engine, state, chunks)))
            jobs[primed] = partial(timed_often, stream.next)
        spent = in_turn(jobs, rounds)
    chunk = next(iter(states))
    return OneThread(
        _microseconds_per_bin({primed: spent[primed] for primed in states}, material),
        [_tier_speed(tier, spent, material) for tier in tiers],
        _floor_of_chunk(tiers, spent, spent[chunk].cpu_s),
    )


def measure_steps(engine: Engine, material: Material, states: States, rounds: int) -> OneThread:
    """Of the reference, which yields after every frame of a tier."""
    tiers = range(len(material.grids))
    with ExitStack() as streams:
        jobs: dict[tuple[int, int], Callable[[], Spent]] = {}
        for primed, state in states.items():
            steps = streams.enter_context(closing(engine.sampling(state, material.take())))
            for g in tiers:
                # the chunk itself comes as one more step, behind the last tier's
                frames = material.chunk_frames // material.grids[g].stride_frames + (g == tiers[-1])
                jobs[primed, g] = partial(timed, partial(_steps, steps, frames))
        spent = in_turn(jobs, rounds)
    whole = {
        primed: Spent(*(sum(clock) for clock in zip(*(spent[primed, g] for g in tiers), strict=True)))
        for primed in states
    }
    first = next(iter(states))
    return OneThread(
        _microseconds_per_bin(whole, material),
        [_whole_tier_speed(g, spent[first, g].cpu_s, material) for g in tiers],
    )


def _steps(steps: Any, count: int) -> None:
    for _ in range(count):
        next(steps)


def _microseconds_per_bin(spent: Mapping[int, Spent], material: Material) -> dict[str, float]:
    return {str(primed): each.cpu_s / material.chunk_bins * 1e6 for primed, each in spent.items()}


def _whole_tier_speed(g: int, seconds: float, material: Material) -> TierSpeed:
    grid = material.grids[g]
    bins = material.chunk_frames // grid.stride_frames * grid.bins
    return TierSpeed(
        tier=g + 1,
        bins_per_second_of_sound=bins / material.chunk_s,
        microseconds_per_bin=seconds / bins * 1e6,
        real_time_factor=material.chunk_s / seconds,
    )


def _tier_speed(tier: TierAtWork, spent: Mapping[Any, Spent], material: Material) -> TierSpeed:
    stacks = tier.seconds(spent)
    floors = {stack: floor_seconds(tier.products[stack], spent) for stack in stacks}
    whole = _whole_tier_speed(tier.number, sum(stacks.values()), material)
    return replace(
        whole,
        microseconds_per_bin_by_stack={stack: s / tier.chunk_bins * 1e6 for stack, s in stacks.items()},
        floor_fraction=sum(floors.values()) / sum(stacks.values()),
        floor_fraction_by_stack={stack: floors[stack] / stacks[stack] for stack in stacks},
    )


def _floor_of_chunk(tiers: list[TierAtWork], spent: Mapping[Any, Spent], sampling_s: float) -> FloorOfChunk:
    kernels: Counter[Stack] = Counter()
    for tier in tiers:
        kernels.update(tier.seconds(spent))
    products: dict[Stack, Products] = {
        stack: sum((tier.products[stack] for tier in tiers), Products()) for stack in STACKS
    }
    floors = {stack: floor_seconds(products[stack], spent) for stack in STACKS}
    sums, peak = sum(map(multiply_adds, products.values())), peak_per_second(spent[_PEAK])
    return FloorOfChunk(
        sampling_ms=sampling_s * 1e3,
        kernels_ms=sum(kernels.values()) * 1e3,
        kernels_ms_by_stack={stack: kernels[stack] * 1e3 for stack in STACKS},
        floor_ms=sum(floors.values()) * 1e3,
        floor_ms_by_stack={stack: seconds * 1e3 for stack, seconds in floors.items()},
        million_multiply_adds=sums / 1e6,
        billion_multiply_adds_per_second=sums / sampling_s / 1e9,
        peak_billion_multiply_adds_per_second=peak / 1e9,
        peak_fraction=sums / sampling_s / peak,
        target=TARGET.name,
    )
