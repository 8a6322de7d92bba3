"""Training: every tier on its own, each in its own process.

A tier never sees another tier's output in training, only the true coarser grid, so tiers can be trained in any
order, side by side.
"""

from __future__ import annotations

import json
import logging
import math
import multiprocessing
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from melnet_music.conditioning import NOTHING_KNOWN, Conditioning
from melnet_music.config import PresetConfig, TierTraining
from melnet_music.model import MelNet
from melnet_music.notes import note_map
from melnet_music.tiers import decompose
from melnet_music.training.features import Work, bin_statistics, load_works

log = logging.getLogger(__name__)

LOUD_MAGNITUDE = 1e-2
"""Bins above this mel magnitude count as loud: most of the others are background."""
EXCERPT_FRAMES = 512
EXCERPTS = 24


@dataclass(frozen=True)
class TierProgress:
    """One line of a tier's training curve."""

    tier: int
    step: int
    minutes: float
    fraction: float
    train_nats: float
    """Mean over the steps since the last line, nats a bin of ln magnitude; not a number if all were left out."""
    valid_nats: float | None = None
    valid_loud_nats: float | None = None


@dataclass(frozen=True)
class Example:
    """A batch of clips for one tier."""

    own: Tensor
    """``[B, T_g, F_g]``, the bins to learn."""
    channels: Tensor
    """``[B, T_g, F_g, C]``."""
    weight: Tensor
    """``[B, T_g, F_g]``, 0 where the value was given away as a known future."""
    chunk: int | None
    """In the tier's own frames."""


class Clips:
    """Draws training clips: where from, how long, and what is known besides the past."""

    def __init__(self, works: list[Work], config: PresetConfig, model: MelNet, tier: int, seed: int) -> None:
        self.works, self.config, self.model, self.tier = works, config, model, tier
        self.random = np.random.default_rng([seed, tier])

    def draw(self, batch: int, frames: int) -> Example:
        """A batch of clips of ``frames`` full-grid frames, one chunk length and kind of conditioning for all."""
        training, random = self.config.training, self.random
        places = np.array([max(len(work.log_mel) - frames + 1, 0) for work in self.works], float)
        if not places.any():
            raise ValueError(f"every training recording is shorter than a clip of {frames} frames; set clip_frames")
        picks = random.choice(len(self.works), batch, p=places / places.sum())
        starts = [int(random.integers(len(self.works[pick].log_mel) - frames + 1)) for pick in picks]
        clips = [
            torch.from_numpy(self.works[p].log_mel[s : s + frames].copy()) for p, s in zip(picks, starts, strict=True)
        ]
        x = self.model.normalise(torch.stack(clips))
        chunk_frames = random.choice([*training.chunk_frames, 0]).item() or None
        mask = None
        if self.config.model.future_conditioning and random.random() < training.future_probability:
            mask = torch.zeros(batch, frames)
            mask[:, int(random.integers(frames // 4, frames)) :] = 1.0
            chunk_frames = None  # a gap is filled as one chunk, so that all of it sees the future
        notes = None
        if self.config.model.note_conditioning and random.random() < training.notes_probability:
            drawn = [self._notes(self.works[p], s, frames) for p, s in zip(picks, starts, strict=True)]
            notes = torch.from_numpy(np.stack(drawn))
        return self.example(x, Conditioning(None if mask is None else x, mask, notes), chunk_frames)

    def example(self, x: Tensor, known: Conditioning[Tensor], chunk_frames: int | None) -> Example:
        """What the tier learns from clips ``x [B, T, M]`` normalised."""
        own = decompose(x, self.config.model)
        channels = self.model.channels(own[: self.tier], known, *x.shape[:2])[-1]
        weight = torch.ones_like(own[self.tier])
        if known.future_mask is not None:
            weight = 1 - decompose(known.future_mask.unsqueeze(-1).expand_as(x), self.config.model)[self.tier]
        return Example(own[self.tier], channels, weight, self.model.tier_chunk(self.tier, chunk_frames))

    def _notes(self, work: Work, start: int, frames: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        sound = self.config.sound
        span = start / sound.frames_per_second, (start + frames) / sound.frames_per_second
        return note_map(work.notes_between(*span), start, frames, sound)

    def noise(self, example: Example, tier: TierTraining) -> tuple[Example, Tensor | None]:
        """Exposure noise: the example with noisy coarse values, and noise for the past, half of the time each."""
        channels, past = example.channels, None
        if self.tier and tier.coarse_noise and self.random.random() < 0.5:
            sigma = self.random.uniform(0, tier.coarse_noise)
            channels = channels.clone()
            channels[..., 0] += sigma * self._normal(example.own)
        if tier.past_noise and self.random.random() < 0.5:
            past = self.random.uniform(0, tier.past_noise) * self._normal(example.own)
        return Example(example.own, channels, example.weight, example.chunk), past

    def _normal(self, like: Tensor) -> Tensor:
        return torch.from_numpy(self.random.standard_normal(like.shape, dtype=np.float32))


def excerpts(works: list[Work], model: MelNet, count: int = EXCERPTS) -> Iterator[Tensor]:
    """Held-out clips ``[1, T, M]`` normalised, spread over all works: always the same ones.

    Raises:
        ValueError: no work is long enough.
    """
    spans = [
        (work, start) for work in works for start in range(0, len(work.log_mel) - EXCERPT_FRAMES + 1, EXCERPT_FRAMES)
    ]
    if not spans:
        raise ValueError(f"no held-out recording has {EXCERPT_FRAMES} frames; add a longer one")
    for work, start in spans[:: max(1, len(spans) // count)][:count]:
        yield model.normalise(torch.from_numpy(work.log_mel[start : start + EXCERPT_FRAMES].copy())).unsqueeze(0)


@torch.no_grad()
def held_out_nats(model: MelNet, tier: int, works: list[Work], chunk_frames: int | None) -> tuple[float, float]:
    """Negative log-likelihood of held-out excerpts, past known and nothing else.

    Returns:
        nats a bin in ln magnitude over all bins of the tier, and over its loud bins.
    """
    log_deviation = decompose(model.deviation.log().expand(1, EXCERPT_FRAMES, -1), model.config)[tier]
    totals = np.zeros(4)
    for x in excerpts(works, model):
        own = decompose(x, model.config)
        channels = model.channels(own[:tier], NOTHING_KNOWN, *x.shape[:2])[-1]
        mixed, _ = model.tier(tier)(own[tier], channels, chunk=model.tier_chunk(tier, chunk_frames))
        nats = log_deviation - mixed.log_prob(own[tier])
        loud = decompose(model.denormalise(x), model.config)[tier] > math.log(LOUD_MAGNITUDE)
        totals += [nats.sum().item(), nats.numel(), nats[loud].sum().item(), int(loud.sum())]
    return float(totals[0] / totals[1]), float(totals[2] / max(totals[3], 1))


def learning_rate(peak: float, step: int, fraction: float, warmup_steps: int, final_rate: float) -> float:
    """Linear warm-up in steps, cosine decay over the run's ``fraction`` 0..1 to ``final_rate`` of the peak."""
    warm = min(1.0, (step + 1) / max(warmup_steps, 1))
    decay = final_rate + (1 - final_rate) * 0.5 * (1 + math.cos(math.pi * min(fraction, 1.0)))
    return peak * warm * decay


def clip_length(tier: TierTraining, fraction: float, group: int) -> int:
    """Short clips first: more steps while there is most to learn. A multiple of ``group`` frames."""
    part = 4 if fraction < 0.15 else 2 if fraction < 0.4 else 1
    return max(group, tier.clip_frames // part // group * group)


def train_tier(
    config: PresetConfig,
    data: Path,
    out: Path,
    tier: int,
    *,
    seed: int,
    steps: int | None = None,
    start_from: dict[str, Tensor] | None = None,
    report: Callable[[TierProgress], None] | None = None,
) -> Path:
    """Train one tier and write ``out/tier-N.safetensors`` and its curve ``out/tier-N.jsonl`` (N from 1).

    Args:
        tier: counts from 0.
        steps: length of the run; None: the preset's minutes.
        start_from: weights of a whole model to go on from.
    """
    torch.manual_seed(seed * 1000 + tier)
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    plan = config.training.tiers[tier]
    model = MelNet(config.model, config.sound.mel_bins)
    train, valid = (load_works(data, split, config.sound) for split in ("train", "valid"))
    if start_from is None:
        mean, deviation = bin_statistics(train, config.training.deviation_floor_nats)
        model.mean.copy_(torch.from_numpy(mean))
        model.deviation.copy_(torch.from_numpy(deviation))
        _spread_time_constants(model, tier, seed)
    else:
        model.load_state_dict(start_from)
    network = model.tier(tier)
    optimizer = _optimizer(config, network, plan.learning_rate)
    clips = Clips(train, config, model, tier, seed)
    log_deviation = model.deviation.log().mean().item()
    group = config.model.frames_per_group
    out.mkdir(parents=True, exist_ok=True)
    curve = (out / f"tier-{tier + 1}.jsonl").open("w")
    started, step, fraction, recent, next_report, next_valid = time.monotonic(), 0, 0.0, [], 0.02, 0.1
    while fraction < 1.0:
        rate = learning_rate(
            plan.learning_rate, step, fraction, config.training.warmup_steps, config.training.final_rate
        )
        for parameters in optimizer.param_groups:
            parameters["lr"] = rate
        example, past_noise = clips.noise(clips.draw(plan.batch, clip_length(plan, fraction, group)), plan)
        optimizer.zero_grad()
        mixed, _ = network(example.own, example.channels, chunk=example.chunk, past_noise=past_noise)
        loss = -(mixed.log_prob(example.own) * example.weight).sum() / example.weight.sum().clamp(min=1)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(network.parameters(), config.training.gradient_norm)
        if torch.isfinite(norm):
            optimizer.step()
            recent.append(loss.item() + log_deviation)
        else:
            log.warning("tier %d step %d: gradient norm %s, step left out", tier + 1, step, norm.item())
        step += 1
        minutes = (time.monotonic() - started) / 60
        fraction = step / steps if steps else minutes / plan.minutes
        if fraction >= next_report or fraction >= 1.0:
            valid_nats = valid_loud = None
            if fraction >= next_valid or fraction >= 1.0:
                valid_nats, valid_loud = held_out_nats(model, tier, valid, config.sampling.chunk_frames)
                next_valid = fraction + 0.1
                _save_tier(model, tier, out)
            train_nats = float(np.mean(recent)) if recent else math.nan
            line = TierProgress(tier + 1, step, minutes, fraction, train_nats, valid_nats, valid_loud)
            curve.write(json.dumps(asdict(line)) + "\n")
            curve.flush()
            if report:
                report(line)
            recent, next_report = [], fraction + 0.02
    curve.close()
    return _save_tier(model, tier, out)


def _spread_time_constants(model: MelNet, tier: int, seed: int) -> None:
    longest = model.config.chrono_frames / (1 if tier == 0 else 3)
    if not longest:
        return
    network, generator = model.tier(tier), torch.Generator().manual_seed(seed)
    for stack in (network.time_delayed, network.centralized):
        for recurrence in stack.time if stack else ():
            recurrence.start_with_time_constants(longest, generator)  # type: ignore[operator]


def _optimizer(config: PresetConfig, network: torch.nn.Module, rate: float) -> torch.optim.Optimizer:
    if config.training.optimizer == "rmsprop":
        return torch.optim.RMSprop(network.parameters(), rate, momentum=0.9)
    return torch.optim.Adam(network.parameters(), rate, betas=(0.9, 0.99))


def _save_tier(model: MelNet, tier: int, out: Path) -> Path:
    path = out / f"tier-{tier + 1}.safetensors"
    part = path.with_suffix(".part")
    weights = {f"tiers.{tier}.{name}": value for name, value in model.tier(tier).state_dict().items()}
    save_file({**weights, "mean": model.mean, "deviation": model.deviation}, part)
    part.replace(path)
    return path


def collect_weights(out: Path, config: PresetConfig) -> dict[str, Tensor]:
    """The weights of all tiers that `train_tier` wrote to one folder. Raises ValueError when one is missing."""
    weights: dict[str, Tensor] = {}
    for tier in range(1, len(config.model.tiers) + 1):
        path = out / f"tier-{tier}.safetensors"
        if not path.exists():
            raise ValueError(f"tier {tier} is not trained yet: no {path}; train it with --tiers {tier}")
        weights.update(load_file(path))
    return weights


def train(
    config: PresetConfig,
    data: Path,
    out: Path,
    *,
    seed: int,
    tiers: list[int],
    processes: int,
    steps: int | None = None,
    start_from: dict[str, Tensor] | None = None,
    report: Callable[[TierProgress], None],
) -> None:
    """Train several tiers (counted from 0), longest first, over ``processes`` processes. See `train_tier`."""
    for split in ("train", "valid"):
        load_works(data, split, config.sound)  # fills the cache once, and fails here rather than in a process
    queue = sorted(tiers, key=lambda tier: -config.training.tiers[tier].minutes)
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager:
        lines = manager.Queue()
        jobs = [(config.model_dump(mode="json"), data, out, tier, seed, steps, start_from, lines) for tier in queue]
        with context.Pool(processes) as pool:
            done = pool.starmap_async(_train_in_process, jobs, chunksize=1)
            while not done.ready() or not lines.empty():
                done.wait(0.2)
                while not lines.empty():
                    report(lines.get())
            done.get()


def _train_in_process(raw, data, out, tier, seed, steps, start_from, lines) -> None:  # type: ignore[no-untyped-def]
    config = PresetConfig.model_validate(raw)
    train_tier(config, data, out, tier, seed=seed, steps=steps, start_from=start_from, report=lines.put)
