"""How likely a preset finds held-out music: tier by tier, against baselines and another preset, and given more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from operator import add
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from melnet_music.evaluation.baselines import BaselineJob, baseline_job_nats, frames_to_fit
from melnet_music.evaluation.workers import NamedProgress, Progress, Workers, naming
from melnet_music.instrument.prompt_state import FUTURE_SECONDS
from melnet_music.model.config import SoundConfig
from melnet_music.model.network import MelNet
from melnet_music.model.preset import Preset, load_preset
from melnet_music.notes.note_map import note_map
from melnet_music.training.data.features import Work
from melnet_music.training.held_out import EXCERPT_FRAMES, NatSums, excerpt_nats, excerpt_places, gap_nats

Array = npt.NDArray[np.float32]

WHOLE = "whole"
"""Stands for a chunk length: the extractor looks ahead to the excerpt's end."""
GAP_SECONDS = 1.5


@dataclass(frozen=True)
class PerBin:
    """Nats a bin in ln magnitude; less is better."""

    all: float
    loud: float
    """Over bins of a mel magnitude above 0.01."""


@dataclass(frozen=True)
class TierLikelihood:
    """One tier, the past known and nothing else."""

    tier: int
    """From 1, the coarsest."""
    share_of_bins: float
    """Of the full grid."""
    bins: int
    loud_bins: int
    model: dict[str, PerBin]
    """By chunk length in frames."""
    baselines: dict[str, PerBin]


@dataclass(frozen=True)
class Against:
    """Another preset on the same excerpts."""

    preset: str
    digest: str
    not_comparable: str | None
    """Why the numbers cannot be compared; then the rest is empty."""
    tiers: list[dict[str, PerBin]]
    """By tier of that preset, then by chunk length."""
    whole_grid: dict[str, PerBin]
    better_by: dict[str, float]
    """Nats a bin by which the evaluated preset is better, by chunk length that both have."""
    better_by_standard_error: dict[str, float]
    """Over the excerpts, pair by pair."""


@dataclass(frozen=True)
class Likelihood:
    """Held-out log-likelihood, past known and nothing else."""

    excerpts: int
    excerpt_frames: int
    works: int
    tiers: list[TierLikelihood]
    whole_grid: dict[str, PerBin]
    """All tiers together: nats per bin of the full grid, by chunk length and baseline."""
    standard_error: dict[str, float]
    """Of the whole grid's nats a bin over the excerpts, by chunk length."""
    against: Against | None


@dataclass(frozen=True)
class Knowing:
    """Likelihood with something given and withheld."""

    excerpts: int
    tiers: list[dict[str, PerBin]]
    """By tier, then by what was known."""
    whole_grid: dict[str, PerBin]
    gain: dict[str, float]
    """Nats a bin of the whole grid by which it is better than ``withheld``."""
    gain_standard_error: dict[str, float]
    """Over the excerpts, pair by pair."""


@dataclass(frozen=True)
class Conditioning:
    """What it helps to know the future of a gap, and the notes. Where something is missing, why."""

    gap_seconds: float
    future_seconds: float
    future: Knowing | None
    future_missing: str | None
    notes: Knowing | None
    notes_missing: str | None


@dataclass(frozen=True, eq=False)
class _TierJob:
    """Excerpts under one tier of a preset."""

    preset: Path
    tier: int
    clips: Array
    """``[E, T, M]`` log-mel."""
    chunk_frames: int | None
    notes: Array | None = None
    """``[E, T, M, 2]``."""
    gap: tuple[int, int] | None = None
    future_frames: int = 0


def _tier_sums(job: _TierJob) -> NatSums:
    model = _model(job.preset)
    clips = (model.normalise(torch.from_numpy(clip)).unsqueeze(0) for clip in job.clips)
    if job.gap is not None:
        return gap_nats(model, job.tier, clips, job.gap, job.future_frames, job.chunk_frames or job.gap[0])
    notes = None if job.notes is None else (torch.from_numpy(mapped).unsqueeze(0) for mapped in job.notes)
    return excerpt_nats(model, job.tier, clips, job.chunk_frames, notes)


@lru_cache(maxsize=1)
def _model(preset: Path) -> MelNet:
    return load_preset(preset).model()


def held_out_likelihood(
    preset: Preset,
    train: list[Work],
    held_out: list[Work],
    *,
    count: int,
    seed: int,
    against: Preset | None,
    workers: Workers,
    progress: NamedProgress,
) -> Likelihood:
    """The table of likelihoods on ``count`` excerpts; ``progress(what, done, total)``."""
    places = excerpt_places(held_out, count)
    clips = _clips(places)
    by_tier = _by_chunk(preset, clips, workers, naming(progress, "likelihood"))
    fitted = frames_to_fit(train, preset.config.model.frames_per_group)
    fits = [BaselineJob(preset.path, tier, fitted, clips, seed) for tier in range(len(by_tier))]
    baselines = [
        {name: PerBin(*pair) for name, pair in nats.items()}
        for nats in workers.work_off(baseline_job_nats, fits, naming(progress, "baselines"))
    ]
    bins = sum(sums[WHOLE].bins.sum() for sums in by_tier)
    tiers = [
        TierLikelihood(
            tier + 1,
            float(sums[WHOLE].bins.sum() / bins),
            int(sums[WHOLE].bins.sum()),
            int(sums[WHOLE].loud_bins.sum()),
            {name: _per_bin(one) for name, one in sums.items()},
            baselines[tier],
        )
        for tier, sums in enumerate(by_tier)
    ]
    together = _together(by_tier)
    whole_grid = {name: _per_bin(sums) for name, sums in together.items()}
    loud_bins = max(sum(tier.loud_bins for tier in tiers), 1)
    for name in baselines[0]:
        whole_grid[name] = PerBin(
            float(sum(tier.baselines[name].all * tier.bins for tier in tiers) / bins),
            sum(tier.baselines[name].loud * tier.loud_bins for tier in tiers) / loud_bins,
        )
    return Likelihood(
        len(places),
        EXCERPT_FRAMES,
        len({id(work) for work, _ in places}),
        tiers,
        whole_grid,
        {name: _standard_error(sums.nats / sums.bins) for name, sums in together.items()},
        None
        if against is None
        else _against(preset, against, together, clips, workers, naming(progress, against.name)),
    )


def conditioned_likelihood(
    preset: Preset, held_out: list[Work], *, count: int, workers: Workers, progress: Progress
) -> Conditioning:
    """What the future of a gap in the middle, and the notes, are worth on ``count`` excerpts."""
    sound, model, chunk = preset.config.sound, preset.config.model, preset.config.sampling.chunk_frames
    fps, tiers = sound.frames_per_second, range(len(model.tiers))
    gap_frames = max(min(round(GAP_SECONDS * fps), EXCERPT_FRAMES // 4) // chunk * chunk, chunk)
    start = (EXCERPT_FRAMES - gap_frames) // 2 // chunk * chunk
    gap = start, start + gap_frames
    future_frames = min(round(FUTURE_SECONDS * fps), EXCERPT_FRAMES - gap[1])
    future_frames = future_frames // model.frames_per_group * model.frames_per_group
    places = excerpt_places(held_out, count)
    clips = _clips(places)
    jobs: dict[tuple[str, str, int], _TierJob] = {}

    future_missing = None if model.future_conditioning else "the preset was built without future_conditioning"
    if not future_missing:
        for tier in tiers:
            for name, frames in (("given", future_frames), ("withheld", 0)):
                jobs["future", name, tier] = _TierJob(preset.path, tier, clips, chunk, None, gap, frames)

    noted = [number for number, (work, _) in enumerate(places) if work.notes]
    notes_missing = None if len(noted) >= 2 else "no notes beside the held-out recordings"
    if not model.note_conditioning:
        notes_missing = "the preset was built without note_conditioning"
    if not notes_missing:
        given = np.stack([_note_map(*places[number], sound, model.note_partials) for number in noted])
        # for the control every excerpt gets the notes of the one half way along: another work, or another place
        maps = {"given": given, "shuffled": np.roll(given, len(given) // 2, 0), "withheld": None}
        for tier in tiers:
            for name, mapped in maps.items():
                jobs["notes", name, tier] = _TierJob(preset.path, tier, clips[noted], chunk, mapped)

    done = dict(zip(jobs, workers.work_off(_tier_sums, list(jobs.values()), progress), strict=True))

    def knowing(what: str) -> Knowing:
        names = dict.fromkeys(name for kind, name, _ in jobs if kind == what)
        return _knowing([{name: done[what, name, tier] for name in names} for tier in tiers])

    return Conditioning(
        gap_frames / fps,
        future_frames / fps,
        None if future_missing else knowing("future"),
        future_missing,
        None if notes_missing else knowing("notes"),
        notes_missing,
    )


def _clips(places: Sequence[tuple[Work, int]]) -> Array:
    return np.stack([np.array(work.log_mel[start : start + EXCERPT_FRAMES], np.float32) for work, start in places])


def _note_map(work: Work, start: int, sound: SoundConfig, partials: int) -> Array:
    span = start / sound.frames_per_second, (start + EXCERPT_FRAMES) / sound.frames_per_second
    return note_map(work.notes_between(*span), start, EXCERPT_FRAMES, sound, partials)


def _chunks(preset: Preset) -> dict[str, int | None]:
    config = preset.config
    lengths = sorted({*config.training.chunk_frames, config.sampling.chunk_frames})
    return {**{str(length): length for length in lengths}, WHOLE: None}


def _by_chunk(preset: Preset, clips: Array, workers: Workers, progress: Progress) -> list[dict[str, NatSums]]:
    chunks, tiers = _chunks(preset), len(preset.config.model.tiers)
    jobs = [_TierJob(preset.path, tier, clips, chunk) for tier in range(tiers) for chunk in chunks.values()]
    done = iter(workers.work_off(_tier_sums, jobs, progress))
    return [{name: next(done) for name in chunks} for _ in range(tiers)]


def _together(by_tier: list[dict[str, NatSums]]) -> dict[str, NatSums]:
    return {name: reduce(add, (row[name] for row in by_tier)) for name in by_tier[0]}


def _against(
    preset: Preset, other: Preset, ours: dict[str, NatSums], clips: Array, workers: Workers, progress: Progress
) -> Against:
    if other.config.sound != preset.config.sound:
        why = "its sound settings are others: nats a bin of other bins cannot be compared"
        return Against(other.name, other.digest, why, [], {}, {}, {})
    by_tier = _by_chunk(other, clips, workers, progress)
    together = _together(by_tier)
    better = {name: (together[name].nats - ours[name].nats) / ours[name].bins for name in ours if name in together}
    return Against(
        other.name,
        other.digest,
        None,
        [{name: _per_bin(one) for name, one in sums.items()} for sums in by_tier],
        {name: _per_bin(sums) for name, sums in together.items()},
        {name: float(values.mean()) for name, values in better.items()},
        {name: _standard_error(values) for name, values in better.items()},
    )


def _knowing(by_tier: list[dict[str, NatSums]]) -> Knowing:
    together = _together(by_tier)
    withheld = together["withheld"]
    gains = {name: (withheld.nats - sums.nats) / sums.bins for name, sums in together.items() if name != "withheld"}
    return Knowing(
        len(withheld.nats),
        [{name: _per_bin(sums) for name, sums in row.items()} for row in by_tier],
        {name: _per_bin(sums) for name, sums in together.items()},
        {name: float(values.mean()) for name, values in gains.items()},
        {name: _standard_error(values) for name, values in gains.items()},
    )


def _per_bin(sums: NatSums) -> PerBin:
    return PerBin(sums.per_bin, sums.per_loud_bin)


def _standard_error(values: npt.NDArray[np.float64]) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")
