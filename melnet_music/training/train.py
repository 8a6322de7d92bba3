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
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from melnet_music.config import PresetConfig, TierTraining
from melnet_music.model import MelNet
from melnet_music.training.clips import Clips
from melnet_music.training.features import bin_statistics, load_works
from melnet_music.training.held_out import held_out_nats

log = logging.getLogger(__name__)


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
