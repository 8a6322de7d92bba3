"""Long continuations: whether they stay inside what real music does, or drift out of it, and when."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from melnet_music.evaluation.measures.descriptors import Description, entropy_bits, frame_span, onset_count
from melnet_music.evaluation.places import NotMeasurableError, spread_places
from melnet_music.evaluation.sounds import PROMPT_SECONDS, DescribeJob, TakeSource, described, described_take
from melnet_music.evaluation.workers import NamedProgress, Workers, naming
from melnet_music.training.data.features import Work

Array = npt.NDArray[np.float64]

WINDOW_SECONDS = 5.0
SPREAD_PERCENTILES = (5.0, 95.0)
_REAL_FOR_EACH = 10
MEASURES = {
    "level": "dBFS",
    "onset_rate": "onsets a second",
    "brightness": "Hz, centre of gravity of the power spectrum",
    "pitch_class_entropy": "bits",
}


@dataclass(frozen=True)
class Excursions:
    """How many takes leave a spread, how soon, and for how much of them."""

    takes_that_leave: int
    takes_that_end_outside: int
    """In their last window."""
    first_window: list[int | None]
    """By take: the first window outside, counted from 0."""
    windows_outside: list[int]
    """By take."""
    share_of_windows: float


@dataclass(frozen=True)
class Drift:
    """One measure by windows."""

    unit: str
    spread: tuple[float, float]
    """5th and 95th percentile over windows of real music: one in ten of its own windows lies outside."""
    generated: Excursions
    real: Excursions
    """Of stretches of real music, up to as long as a take."""
    median_by_window: list[float]
    """Over the takes."""
    outside_by_window: list[float]
    """Share of the takes."""


@dataclass(frozen=True)
class LongTakes:
    """Long continuations by windows of 5 s."""

    takes: int
    seconds: float
    prompt_seconds: float
    window_seconds: float
    real_windows: int
    real_stretches: int
    measures: dict[str, Drift]


def measure_long_takes(
    source: TakeSource,
    held_out: list[Work],
    *,
    count: int,
    seconds: float,
    seed: int,
    workers: Workers,
    progress: NamedProgress,
) -> LongTakes:
    """``count`` continuations of so many seconds, against windows of the held-out recordings.

    Of these every stretch as long as a take counts, or `_REAL_FOR_EACH` a take, spread evenly, where there are more.
    """
    sound, random = source.sound, np.random.default_rng([seed, 2])
    rate = sound.sample_rate_hz
    spans = [
        (work, start, start + length)
        for work in held_out
        for start, length in _stretches(len(work.log_mel) / sound.frames_per_second, seconds)
    ]
    if not spans:
        raise NotMeasurableError(f"no held-out recording has {WINDOW_SECONDS:g} s; add longer ones")
    chosen = min(len(spans), _REAL_FOR_EACH * count)
    spans = [spans[number * len(spans) // chosen] for number in range(chosen)]
    stretches = [DescribeJob(work.read_audio(start, stop), rate) for work, start, stop in spans]
    real = workers.work_off(described, stretches, naming(progress, "real stretches"))
    places = spread_places(held_out, sound, PROMPT_SECONDS, count, random)
    jobs = [(source.continuation(place, seconds, seed + n), rate) for n, place in enumerate(places)]
    takes = workers.work_off(described_take, jobs, naming(progress, "long takes"))
    of_real, of_takes = ([windows(one) for one in descriptions] for descriptions in (real, takes))
    measures = {
        name: drift(unit, [rows[:, n] for rows in of_takes], [rows[:, n] for rows in of_real])
        for n, (name, unit) in enumerate(MEASURES.items())
    }
    return LongTakes(
        count, seconds, PROMPT_SECONDS, WINDOW_SECONDS, sum(len(rows) for rows in of_real), len(real), measures
    )


def windows(one: Description) -> Array:
    """The measures of every whole window, ``[windows, 4]``."""
    rows = []
    blocks = len(one.level_db) / one.seconds
    for window in range(int(one.seconds / WINDOW_SECONDS + 1e-6)):
        start, stop = window * WINDOW_SECONDS, (window + 1) * WINDOW_SECONDS
        frames = frame_span(start, stop)
        levels = one.level_db[round(start * blocks) : round(stop * blocks)]
        power = one.power[frames]
        rows.append(
            [
                10 * np.log10((10 ** (levels / 10)).mean()),
                onset_count(one, start, stop) / WINDOW_SECONDS,
                float((one.centroid_hz[frames] * power).sum() / max(power.sum(), 1e-12)),
                entropy_bits(one.chroma[frames].sum(0)),
            ]
        )
    return np.array(rows, np.float64)


def drift(unit: str, takes: list[Array], real: list[Array]) -> Drift:
    """One measure: the windows of each take, all of one length, against those of each real stretch."""
    low, high = (float(value) for value in np.percentile(np.concatenate(real), SPREAD_PERCENTILES))
    outside = np.array([(take < low) | (take > high) for take in takes])
    return Drift(
        unit,
        (low, high),
        excursions(takes, low, high),
        excursions(real, low, high),
        [float(value) for value in np.median(np.array(takes), 0)],
        [float(value) for value in outside.mean(0)],
    )


def excursions(takes: list[Array], low: float, high: float) -> Excursions:
    """How takes, each a sequence of windows, leave the spread."""
    outside = [(take < low) | (take > high) for take in takes]
    return Excursions(
        sum(bool(out.any()) for out in outside),
        sum(bool(out[-1]) for out in outside),
        [int(out.argmax()) if out.any() else None for out in outside],
        [int(out.sum()) for out in outside],
        float(np.concatenate(outside).mean()),
    )


def _stretches(work_seconds: float, seconds: float) -> list[tuple[float, float]]:
    """Start and length of stretches up to ``seconds`` that fill a recording, in whole windows."""
    found, at = [], 0.0
    while work_seconds - 0.25 - at >= WINDOW_SECONDS:
        length = min((work_seconds - 0.25 - at) // WINDOW_SECONDS, seconds // WINDOW_SECONDS) * WINDOW_SECONDS
        found.append((at, length))
        at += length
    return found
