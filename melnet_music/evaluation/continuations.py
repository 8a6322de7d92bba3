"""Continuations against real music: what sounds, how much of it, and how far from the real thing it is as a whole.

Places are taken in pairs of halves: half of them from the first half of every recording, half from the second. Each
half's sounds are held against the *real* continuations of the other half, so that real music against itself (the
floor) and everything else are compared at the same number, and no sound with its own original. What is made of real
music for comparison costs time, and is made of the first half's places only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from melnet_music.evaluation.measures.descriptors import (
    LEVEL_SECONDS,
    Description,
    frame_span,
    melodic_steps,
    onset_count,
)
from melnet_music.evaluation.measures.detection import DetectionWorth, detection_worth, shifted
from melnet_music.evaluation.measures.distances import divergence_bits, frechet_distance, transport_distance
from melnet_music.evaluation.places import Place, distinct_seconds, spread_places
from melnet_music.evaluation.sounds import (
    PROMPT_SECONDS,
    DescribeJob,
    Remake,
    RemakeJob,
    TakeSource,
    described,
    described_remake,
    described_take,
)
from melnet_music.evaluation.workers import NamedProgress, Workers, naming
from melnet_music.training.data.features import Work

Array = npt.NDArray[np.float64]

WINDOW_SECONDS = 1.0
FRECHET_FEATURES = (
    "windows of 1 s: mean and deviation of the levels of 16 mel bands 50 Hz to 8 kHz, strength of the 12 pitch "
    "classes (sum 1), onsets, mean polyphony; each over its deviation in real music"
)
STEP_SEMITONES = 12
"""Larger melodic steps are left out."""
ENTRY_SECONDS = 2.0
REMAKES: tuple[Remake, ...] = ("vocoded", "shuffled_frames", "repeated_frame")


@dataclass(frozen=True)
class Comparison:
    """One measure. Distances are to real music, each the mean of the two halves' distances."""

    unit: str
    generated: float
    real: float
    """The floor: real music against other real music of the same works."""
    vocoded: float
    """Real music through log-mel frames and vocoder: what no model can do better than with this vocoder."""
    shuffled_frames: float
    repeated_frame: float
    """The prompt's last frame throughout."""
    by_half: dict[str, list[float]]
    """Each half's distance; only of the first half for what is made of real music."""


@dataclass(frozen=True)
class Summary:
    """Over the continuations: mean, deviation over them, 5th, 50th and 95th percentile."""

    mean: float
    deviation: float
    percentiles: list[float]


@dataclass(frozen=True)
class Continuations:
    """Generated continuations against real ones."""

    takes: int
    works: int
    prompt_seconds: float
    seconds: float
    distinct_seconds: float
    """Of real music among the real continuations: less than all of them together where places overlap."""
    frechet_features: str
    frechet_windows: int
    """Of one half."""
    distances: dict[str, Comparison]
    summaries: dict[str, dict[str, Summary]]
    """By measure, then by kind of sound."""
    histograms: dict[str, dict[str, list[float]]]
    """By what is counted, then by kind of sound; each sums to 1."""
    detection: DetectionWorth | None
    """What the detectors are worth on the real continuations; None: their notes are not known."""


def compare_continuations(
    source: TakeSource,
    held_out: list[Work],
    *,
    count: int,
    seconds: float,
    seed: int,
    workers: Workers,
    progress: NamedProgress,
) -> Continuations:
    """``count`` continuations (an even number is made of it) of so many seconds."""
    random, sound, half = np.random.default_rng([seed, 1]), source.sound, max(count // 2, 1)
    length = PROMPT_SECONDS + seconds
    places = [
        place
        for within in ((0.0, 0.5), (0.5, 1.0))
        for place in spread_places(held_out, sound, length, half, random, within)
    ]
    rate = sound.sample_rate_hz
    prompts = workers.work_off(
        described,
        [DescribeJob(place.audio(0, PROMPT_SECONDS, sound, rate), rate) for place in places],
        naming(progress, "prompts"),
    )
    sets = {
        "generated": workers.work_off(
            described_take,
            [(source.continuation(place, seconds, seed + n), rate) for n, place in enumerate(places)],
            naming(progress, "continuations"),
        ),
        "real": workers.work_off(
            described,
            [DescribeJob(place.audio(PROMPT_SECONDS, length, sound, rate), rate) for place in places],
            naming(progress, "real continuations"),
        ),
    }
    for remake in REMAKES:
        jobs = [
            RemakeJob(sound, place.audio(0, length, sound, rate), PROMPT_SECONDS, remake, seed + n)
            for n, place in enumerate(places[:half])
        ]
        sets[remake] = workers.work_off(described_remake, jobs, naming(progress, remake.replace("_", " ")))
    return _compared(sets, prompts, places, seconds)


def _compared(
    sets: dict[str, list[Description]], prompts: list[Description], places: list[Place], seconds: float
) -> Continuations:
    vectors = {kind: [frechet_vectors(one) for one in descriptions] for kind, descriptions in sets.items()}
    deviation = np.concatenate(vectors["real"]).std(0)
    scaled = {kind: [rows / np.where(deviation > 0, deviation, 1) for rows in each] for kind, each in vectors.items()}
    distances = {"frechet": _comparison("squared, features in deviations", scaled, _frechet)}
    numbers: dict[str, tuple[str, Callable[[Description], Array]]] = {
        "onset_rate": ("onsets a second", lambda one: np.array([len(one.onsets_s) / one.seconds])),
        "note_rate": ("detected notes a second", lambda one: np.array([len(one.notes) / one.seconds])),
        "polyphony": ("pitches at once", lambda one: one.polyphony.mean(keepdims=True)),
        "level": (f"dB, blocks of {LEVEL_SECONDS:g} s", lambda one: one.level_db),
    }
    measured = {
        name: {kind: [take(one) for one in descriptions] for kind, descriptions in sets.items()}
        for name, (_, take) in numbers.items()
    }
    for name, (unit, _) in numbers.items():
        distances[name] = _comparison(unit, measured[name], _transport)
    counts: dict[str, Callable[[Description], Array]] = {
        "pitch_classes": lambda one: one.chroma.sum(0) / max(one.chroma.sum(), 1e-12),
        "intervals": lambda one: one.intervals / max(one.intervals.sum(), 1),
        "melodic_steps": _step_counts,
    }
    counted = {
        name: {kind: [take(one) for one in descriptions] for kind, descriptions in sets.items()}
        for name, take in counts.items()
    }
    for name, by_kind in counted.items():
        distances[name] = _comparison("bits, Jensen-Shannon", by_kind, _divergence)
    # how far from its own prompt: in key, and in level
    measured["key_distance_to_prompt"] = {
        kind: [np.array([_key_distance(prompt, one)]) for prompt, one in zip(prompts, descriptions, strict=False)]
        for kind, descriptions in sets.items()
    }
    blocks = round(ENTRY_SECONDS / LEVEL_SECONDS)
    measured["entry_step_db"] = {
        kind: [
            np.array([_mean_level(one.level_db[:blocks]) - _mean_level(prompt.level_db[-blocks:])])
            for prompt, one in zip(prompts, descriptions, strict=False)
        ]
        for kind, descriptions in sets.items()
    }
    noted = [
        (one, shifted(place.work.notes_between(start, start + seconds), start))
        for one, place in zip(sets["real"], places, strict=True)
        if place.work.notes
        for start in [place.start_s + PROMPT_SECONDS]
    ]
    return Continuations(
        len(places),
        len({id(place.work) for place in places}),
        PROMPT_SECONDS,
        seconds,
        distinct_seconds(places, PROMPT_SECONDS, PROMPT_SECONDS + seconds),
        FRECHET_FEATURES,
        sum(len(rows) for rows in scaled["real"]) // 2,
        distances,
        {
            name: {kind: _summary(np.concatenate(values)) for kind, values in by_kind.items()}
            for name, by_kind in measured.items()
        },
        {
            name: {kind: _shares(np.sum(values, 0)) for kind, values in by_kind.items()}
            for name, by_kind in counted.items()
        },
        detection_worth(noted) if noted else None,
    )


def frechet_vectors(one: Description) -> Array:
    """The features of every whole window, ``[windows, 46]``: see `FRECHET_FEATURES`."""
    rows = []
    for window in range(int(one.seconds / WINDOW_SECONDS)):
        start, stop = window * WINDOW_SECONDS, (window + 1) * WINDOW_SECONDS
        frames = frame_span(start, stop)
        bands, chroma = one.bands_db[frames], one.chroma[frames].sum(0)
        rows.append(
            [
                *bands.mean(0),
                *bands.std(0),
                *(chroma / max(chroma.sum(), 1e-12)),
                onset_count(one, start, stop),
                one.polyphony[frames].mean(),
            ]
        )
    return np.array(rows, np.float64)


def _comparison(
    unit: str, sets: dict[str, list[Array]], distance: Callable[[Sequence[Array], Sequence[Array]], float]
) -> Comparison:
    half = len(sets["real"]) // 2
    first, second = sets["real"][:half], sets["real"][half:]
    by_half = {
        kind: [distance(mine, others) for mine, others in ((each[:half], second), (each[half:], first)) if mine]
        for kind, each in sets.items()
    }
    return Comparison(unit, **{kind: float(np.mean(pair)) for kind, pair in by_half.items()}, by_half=by_half)


def _frechet(one: Sequence[Array], other: Sequence[Array]) -> float:
    return frechet_distance(np.concatenate(one), np.concatenate(other))


def _transport(one: Sequence[Array], other: Sequence[Array]) -> float:
    return transport_distance(np.concatenate(one), np.concatenate(other))


def _divergence(one: Sequence[Array], other: Sequence[Array]) -> float:
    first, second = np.sum(one, 0), np.sum(other, 0)
    return divergence_bits(first, second) if first.sum() and second.sum() else 1.0


def _step_counts(one: Description) -> Array:
    steps = [step for step in melodic_steps(one.notes) if abs(step) <= STEP_SEMITONES]
    return np.bincount(np.array(steps, int) + STEP_SEMITONES, minlength=2 * STEP_SEMITONES + 1).astype(np.float64)


def _key_distance(prompt: Description, one: Description) -> float:
    return _divergence([prompt.chroma.sum(0)], [one.chroma.sum(0)])


def _mean_level(level_db: Array) -> float:
    """Of the power."""
    return float(10 * np.log10((10 ** (level_db / 10)).mean()))


def _summary(values: Array) -> Summary:
    percentiles = np.percentile(values, [5, 50, 95])
    return Summary(float(values.mean()), float(values.std()), [float(value) for value in percentiles])


def _shares(counts: Array) -> list[float]:
    return [float(value) for value in counts / max(counts.sum(), 1e-12)]
