"""Training the score model: one run, in this process; stopped, it goes on where it was."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.optim import AdamW

from melnet_music.model.preset import WEIGHTS_FILE, write_weights
from melnet_music.training.checkpoint import Place, RunState, load_checkpoint, save_checkpoint
from melnet_music.training.score.material import ScoreMaterial, held_out_rows, read_score_files
from melnet_music.training.score.network import ScoreNetwork, ScoreShape, tensors_of
from melnet_music.training.score.sequences import Rows

log = logging.getLogger(__name__)

CHECKPOINT_FILE, CURVE_FILE = "score.checkpoint", "curve.jsonl"
_RENEW_STEPS = 4
"""A work more is composed whenever so many steps were done."""
_WARM_UP_STEPS = 100
_LAST_RATE = 0.04
"""Of the highest, at the end."""
_AVERAGE_STEPS = 300
_CLIP = 1.0
_WEIGHT_DECAY = 0.02


@dataclass(frozen=True)
class ScorePlan:
    """How to train."""

    minutes: float = 60.0
    steps: int | None = None
    """In place of the minutes."""
    sequences: int = 3
    tokens: int = 320
    """Of a sequence."""
    rate: float = 2e-3
    seed: int = 1
    report_minutes: float = 4.0
    first_works: int = 24
    """Of each kind, composed before the first step."""
    measured_works: int = 12
    """Held-out works of each kind."""
    shape: ScoreShape = field(default_factory=ScoreShape)


@dataclass(frozen=True)
class ScoreProgress:
    """Where a run is."""

    step: int
    minutes: float
    fraction: float
    train_nats: float
    """A note, since the last report."""
    held_out: dict[str, dict[str, float]]
    """Nats a note by kind of music, then by part of a note."""


def train_score(
    out: Path, scores: Sequence[Path], plan: ScorePlan, report: Callable[[ScoreProgress], None] | None = None
) -> Path:
    """Train; returns the file of the averaged weights, which is also written at every report.

    Raises:
        ValueError: a score file that is none, or a checkpoint of another run in ``out``.
    """
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(plan.seed)
    network = ScoreNetwork(plan.shape)
    average = deepcopy(network).requires_grad_(False)
    optimizer = AdamW(network.parameters(), plan.rate, (0.9, 0.98), weight_decay=_WEIGHT_DECAY, fused=True)
    state = RunState(network, average, [optimizer])
    recipe = asdict(plan) | {"scores": [path.name for path in scores]}
    step, before_minutes = 0, 0.0
    checkpoint = out / CHECKPOINT_FILE
    if checkpoint.exists():
        place = load_checkpoint(checkpoint, state, recipe)
        step, before_minutes = place.step, place.minutes
        log.info("going on from step %d", step)
    files = read_score_files(scores)
    held_out = held_out_rows(files, plan.seed, plan.tokens, plan.measured_works)
    material = ScoreMaterial(files, plan.seed, np.random.default_rng((plan.seed, step)), plan.first_works)
    log.info("%d scores of files, %d weights", sum(map(len, files.train)), sum(p.numel() for p in network.parameters()))
    started = reported = time.monotonic()
    nats, notes = 0.0, 0

    def minutes() -> float:
        return before_minutes + (time.monotonic() - started) / 60

    def fraction() -> float:
        return min(step / plan.steps if plan.steps else minutes() / plan.minutes, 1.0)

    while fraction() < 1.0:
        for group in optimizer.param_groups:
            group["lr"] = plan.rate * _rate(step, fraction())
        if step % _RENEW_STEPS == 0:
            material.renew()
        losses = network.losses(tensors_of(material.batch(plan.sequences, plan.tokens)))
        optimizer.zero_grad()
        (losses.total / max(losses.notes, 1)).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), _CLIP)
        optimizer.step()
        step += 1
        _follow(average, network, min(1 / _AVERAGE_STEPS, 1.0) if step > _AVERAGE_STEPS else 1 / step)
        nats, notes = nats + losses.total.item(), notes + losses.notes
        if time.monotonic() - reported > 60 * plan.report_minutes or fraction() >= 1.0:
            line = ScoreProgress(step, minutes(), fraction(), nats / max(notes, 1), measure(average, held_out))
            save_checkpoint(checkpoint, state, Place(step, minutes()), recipe)
            write_weights(out / WEIGHTS_FILE, average.state_dict())
            with (out / CURVE_FILE).open("a") as curve:
                curve.write(json.dumps(asdict(line)) + "\n")
            if report is not None:
                report(line)
            reported, nats, notes = time.monotonic(), 0.0, 0
    return out / WEIGHTS_FILE


def measure(network: ScoreNetwork, held_out: dict[str, Rows]) -> dict[str, dict[str, float]]:
    """Nats a note on held-out music, by kind, then by part of a note."""
    network.eval()
    table: dict[str, dict[str, float]] = {}
    with torch.no_grad():
        for kind, rows in held_out.items():
            losses = network.losses(tensors_of(rows))
            parts: dict[str, Any] = {
                name: getattr(losses, name).item() / losses.notes
                for name in ("time", "pitch", "length", "velocity", "total")
            }
            table[kind] = {name: round(value, 4) for name, value in parts.items()}
    network.train()
    return table


def _rate(step: int, fraction: float) -> float:
    """Of the highest: rises, then falls along half a cosine."""
    fall = 0.5 * (1 + math.cos(math.pi * fraction))
    return min(1.0, (step + 1) / _WARM_UP_STEPS) * (_LAST_RATE + (1 - _LAST_RATE) * fall)


def _follow(average: ScoreNetwork, network: ScoreNetwork, share: float) -> None:
    with torch.no_grad():
        for mean, new in zip(average.parameters(), network.parameters(), strict=True):
            mean.lerp_(new, share)
