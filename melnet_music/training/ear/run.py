"""One training of the ear."""

from __future__ import annotations

import copy
import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.optim import Adam, Optimizer

from melnet_music.notes.ear.config import EarConfig
from melnet_music.training.ear.clips import Batch, ClipMaker
from melnet_music.training.ear.network import EarNetwork
from melnet_music.training.ear.unpitched import unpitched_frames
from melnet_music.training.ear.works import EarWork
from melnet_music.training.optimizers import Muon

log = logging.getLogger(__name__)

_STATISTICS_CLIPS, _STATISTICS_FRAMES = 64, 64
_UNPITCHED_CLIPS, _UNPITCHED_SECONDS = 80, 6.0
_UNHEARD_FRAMES = 6
"""At the start of a clip, what sounds already is not told from what begins."""
_SOUNDING_SHARE, _VELOCITY_SHARE, _SHIFT_SHARE = 0.35, 2.0, 0.3
"""Of the loss, against that of the onsets."""
_VALID_CLIPS, _VALID_FRAMES = 16, 192
_AVERAGE_DECAY = 0.997
_GRADIENT_NORM = 2.0
_REPORT_STEPS = 200
_MATRIX_RATE = 2.0
"""Of the matrices, times that of all else."""
_WARM_UP_STEPS, _FINAL_RATE = 100, 0.03


@dataclass(frozen=True)
class EarPlan:
    """How long and how fast."""

    minutes: float
    """Of the clock."""
    seed: int = 1
    batch: int = 3
    clip_frames: int = 96
    rate: float = 3e-3
    steps: int | None = None
    """In place of the minutes."""


@dataclass(frozen=True)
class EarProgress:
    """What a run has come to."""

    step: int
    fraction: float
    train_loss: float
    valid_loss: float


def train_ear(
    config: EarConfig,
    works: Mapping[str, Sequence[EarWork]],
    valid: Mapping[str, Sequence[EarWork]],
    plan: EarPlan,
    start: Mapping[str, Tensor] | None = None,
    report: Callable[[EarProgress], None] = lambda progress: None,
    keep: Callable[[EarNetwork], None] = lambda network: None,
    keep_seconds: float = 240.0,
) -> EarNetwork:
    """A network trained on works by kind of music; the running average of its weights.

    Args:
        start: weights to go on from.
        keep: called with that average now and then.
    """
    rng = np.random.default_rng(plan.seed)
    torch.manual_seed(plan.seed)
    unpitched = unpitched_frames(config.sound, _UNPITCHED_CLIPS, _UNPITCHED_SECONDS, rng)
    clips = ClipMaker(works, unpitched, config.sound, config.network.lookahead_frames)
    held_out = ClipMaker(valid, (), config.sound, config.network.lookahead_frames)
    judged = held_out.draw(_VALID_CLIPS, _VALID_FRAMES, np.random.default_rng(0), plain=True)
    network = EarNetwork(config)
    if start is None:
        _normalise(network, clips.draw(_STATISTICS_CLIPS, _STATISTICS_FRAMES, rng).frames)
    else:
        network.load_state_dict(dict(start))
    average = copy.deepcopy(network)
    optimizers = _optimizers(network, plan.rate)
    begun = kept = time.monotonic()
    step, losses = 0, list[float]()
    while True:
        now = time.monotonic()
        fraction = step / plan.steps if plan.steps else (now - begun) / (60.0 * plan.minutes)
        if (step and step % _REPORT_STEPS == 0) or fraction >= 1.0:
            report(
                EarProgress(
                    step, min(fraction, 1.0), float(np.mean(losses[-_REPORT_STEPS:])), _held_out(average, judged)
                )
            )
        if now - kept > keep_seconds:
            keep(average)
            kept = now
        if fraction >= 1.0:
            return average
        loss = ear_loss(network, clips.draw(plan.batch, plan.clip_frames, rng))
        network.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), _GRADIENT_NORM)
        for optimizer, rate in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate * _rate_factor(step, fraction)
            optimizer.step()
        step += 1
        losses.append(float(loss.detach()))
        decay = min(_AVERAGE_DECAY, step / (step + 10))
        with torch.no_grad():
            for mean, value in zip(average.parameters(), network.parameters(), strict=True):
                mean.lerp_(value, 1.0 - decay)


def ear_loss(network: EarNetwork, batch: Batch) -> Tensor:
    """Of onsets, of what sounds, of velocities and times, summed over pitches: nats a frame."""
    logits = network(batch.frames)[:, _UNHEARD_FRAMES:]
    wanted = {name: target[:, _UNHEARD_FRAMES:] for name, target in batch.targets.items()}
    frames = logits.shape[0] * logits.shape[1]
    onset = F.binary_cross_entropy_with_logits(logits[..., 0], wanted["onset"], wanted["counts"], reduction="sum")
    sounding = F.binary_cross_entropy_with_logits(logits[..., 1], wanted["sounding"], reduction="sum")
    velocity = ((torch.sigmoid(logits[..., 2]) - wanted["velocity"]).square() * wanted["near"]).sum()
    shift = ((logits[..., 3] - wanted["shift"]).abs() * wanted["near"]).sum()
    total = onset + _SOUNDING_SHARE * sounding + _VELOCITY_SHARE * velocity + _SHIFT_SHARE * shift
    mean: Tensor = total / frames
    return mean


@torch.no_grad()
def _held_out(network: EarNetwork, batch: Batch) -> float:
    return float(ear_loss(network, batch))


def _normalise(network: EarNetwork, frames: Tensor) -> None:
    """By the mean of each bin, and by one deviation for all, so that partials keep their heights to each other."""
    network.mean.copy_(frames.mean((0, 1)))
    network.deviation.fill_(float((frames - network.mean).std()))


def _optimizers(network: EarNetwork, rate: float) -> list[tuple[Optimizer, float]]:
    """Each with its peak rate: Muon for the matrices inside."""
    inside = [
        p for name, p in network.named_parameters() if p.ndim == 2 and not name.startswith(("pitch", "told", "outlet"))
    ]
    taken = {id(parameter) for parameter in inside}
    others = [parameter for parameter in network.parameters() if id(parameter) not in taken]
    matrix_rate = _MATRIX_RATE * rate
    return [(Muon(inside, matrix_rate), matrix_rate), (Adam(others, rate, betas=(0.9, 0.99)), rate)]


def _rate_factor(step: int, fraction: float) -> float:
    warm = min(1.0, (step + 1) / _WARM_UP_STEPS)
    return warm * (_FINAL_RATE + (1.0 - _FINAL_RATE) * 0.5 * (1.0 + math.cos(math.pi * min(fraction, 1.0))))
