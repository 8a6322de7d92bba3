"""How fast an engine is on this machine, and whether its cost grows with the time played."""

from __future__ import annotations

import statistics
import time
from dataclasses import asdict, dataclass
from typing import Any

from melnet_music.instrument import Instrument
from melnet_music.sampling.engine import Chunk, SamplerState, Sharpness, take_noise
from melnet_music.tiers import TierGrid, tier_grids

PRIMED_FRAMES = (100, 2000)


@dataclass(frozen=True)
class TierSpeed:
    """One tier's share."""

    tier: int
    bins_per_second_of_sound: float
    microseconds_per_bin: float
    real_time_factor: float
    """If this tier were all there is."""


@dataclass(frozen=True)
class Speed:
    """Medians of CPU time over all repeats, on one thread."""

    preset: str
    engine: str
    chunk_frames: int
    microseconds_per_bin: dict[str, float]
    """By the number of frames primed before."""
    growth: float
    """The last of these over the first."""
    tiers: list[TierSpeed]
    real_time_factor: float
    """Of sampling, all tiers one after the other."""
    real_time_factor_with_vocoder: float
    """Wall time, sampling and vocoder, as a take is made."""
    priming_factor: float
    """Seconds primed in a second."""

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def measure_speed(instrument: Instrument, repeats: int = 5) -> Speed:
    """Measure, with the two lengths of the past in turn, so that a change of the machine's speed hits both."""
    sound, chunk = instrument.sound, instrument.preset.config.sampling.chunk_frames
    grids = _grids(instrument)
    states, primed_s = {}, 0.0
    for frames in PRIMED_FRAMES:
        frames = -(-frames // chunk) * chunk
        started = time.process_time()
        states[frames] = _primed(instrument, frames, chunk)
        primed_s = time.process_time() - started
    totals: dict[int, list[float]] = {frames: [] for frames in states}
    by_tier: list[list[float]] = [[] for _ in grids]
    for repeat in range(repeats + 1):
        for frames, state in states.items():
            spent = _tier_seconds(instrument, state, chunk, seed=repeat)
            if repeat:  # the first round warms up
                totals[frames].append(sum(spent))
                for tier, seconds in enumerate(spent):
                    by_tier[tier].append(seconds)
    bins = chunk * sound.mel_bins
    chunk_s = chunk / sound.frames_per_second
    per_bin = {str(frames): statistics.median(times) / bins * 1e6 for frames, times in totals.items()}
    tiers = []
    for tier, (grid, times) in enumerate(zip(grids, by_tier, strict=True)):
        own_bins, median = chunk // grid.stride_frames * grid.bins, statistics.median(times)
        tiers.append(TierSpeed(tier + 1, own_bins / chunk_s, median / own_bins * 1e6, chunk_s / median))
    first, last = list(per_bin.values())
    return Speed(
        preset=instrument.preset_name,
        engine=instrument.engine_name,
        chunk_frames=chunk,
        microseconds_per_bin=per_bin,
        growth=last / first,
        tiers=tiers,
        real_time_factor=chunk_s / statistics.median([spent for times in totals.values() for spent in times]),
        real_time_factor_with_vocoder=instrument.measure_real_time_factor(),
        priming_factor=max(states) / sound.frames_per_second / primed_s,
    )


def _primed(instrument: Instrument, frames: int, chunk: int) -> SamplerState:
    """The state after frames of noise: as costly to prime as music."""
    engine, state = instrument.engine, instrument.engine.init_state()
    past = take_noise(0, 0, frames, instrument.sound.mel_bins).normal
    for first in range(0, frames, chunk):
        state = engine.prime(state, past[:, first : first + chunk], chunk)
    return state


def _tier_seconds(instrument: Instrument, state: SamplerState, chunk: int, seed: int) -> list[float]:
    """CPU seconds that each tier took for one chunk: an engine yields after every frame of a tier."""
    noise = take_noise(seed, 0, chunk, instrument.sound.mel_bins)
    steps = instrument.engine.sampling(state, [Chunk(noise, Sharpness())])
    seconds = []
    for grid in _grids(instrument):
        started = time.process_time()
        for _ in range(chunk // grid.stride_frames):
            next(steps)
        seconds.append(time.process_time() - started)
    return seconds


def _grids(instrument: Instrument) -> list[TierGrid]:
    return tier_grids(instrument.preset.config.model, instrument.sound.mel_bins)
