"""Training a model: every tier on its own, side by side in processes, or each on all that torchrun started.

A tier never sees another tier's output in training, only the true coarser grid, so tiers can be trained in any
order, at any time, anywhere.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from melnet_music.model.config import PresetConfig
from melnet_music.training import world
from melnet_music.training.curve import Curve, TierProgress
from melnet_music.training.data.features import load_works
from melnet_music.training.device_errors import device_errors_told
from melnet_music.training.held_out import excerpt_frames
from melnet_music.training.material.composition import Composition
from melnet_music.training.material.device_works import AnyWorks, bytes_on_device, put_on_device
from melnet_music.training.memory import check_memory, free_bytes
from melnet_music.training.samples import draw_sample
from melnet_music.training.tier_run import RunPlan, TierRun, set_up_process
from melnet_music.training.world import World, choose_device

log = logging.getLogger(__name__)

_SHARE_OF_FREE = 0.5
"""Recordings may take so much of a device's free memory: the rest is for the training."""

Report = Callable[[TierProgress], None]
Rendered = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Material:
    """What a training learns from, and is measured on."""

    train: AnyWorks
    valid: AnyWorks
    composed: dict[str, Any] | None = None
    """Where it was composed: from what. Plain JSON."""


def train(
    config: PresetConfig,
    data: Path | Composition,
    out: Path,
    *,
    tiers: Sequence[int],
    plan: RunPlan,
    processes: int,
    devices: Sequence[str],
    start_from: dict[str, Tensor] | None = None,
    samples: bool = True,
    report: Report,
    rendered: Rendered | None = None,
) -> None:
    """Train tiers (counted from 0), longest first; runs that were stopped go on. See `train_tier`.

    Under torchrun every process calls this, and all of them train one tier after the other together.

    Args:
        data: a folder of recordings, or what is to be composed and rendered on the training device.
        processes: tiers trained side by side; 1: in this process, one after the other.
        devices: that the processes take in turn.
        samples: whether one tier puts samples of the whole model on its curve, as soon as all tiers have come so far:
            the last one in turn, or the first of those side by side.
        rendered: called with (composed works rendered, all).

    Raises:
        ValueError: no recordings or one-shots, no such device, too little memory, or another run's checkpoint in
            ``out``; a device that fails.
    """
    _check_name(out)
    queue = sorted(tiers, key=lambda tier: -config.training.tiers[tier].minutes)
    sampled = queue[-1] if processes == 1 or world.started_by_torchrun() else min(tiers)
    jobs = [(config, data, out, tier, plan, start_from, samples and tier == sampled) for tier in queue]
    if world.started_by_torchrun():
        here = world.join(devices[0])
        try:
            material = load_material(data, config, here.device, rendered=rendered)
            for job in jobs:
                train_tier(*job, material=material, here=here, report=report)
        finally:
            world.leave()
        return
    chosen = [choose_device(name) for name in devices]
    if processes == 1:
        if isinstance(data, Composition):
            _check_memory(config, queue[:1], plan, chosen)  # before minutes of rendering
        material = load_material(data, config, chosen[0], rendered=rendered)
        _check_memory(config, queue[:1], plan, chosen)
        for job in jobs:
            train_tier(*job, material=material, here=World(0, 1, chosen[0]), report=report)
        return
    if isinstance(data, Composition):
        raise ValueError(
            f"{processes} processes would each render all works: leave --processes out, tiers are trained in turn"
        )
    # fills the cache once, and fails here rather than in a process
    load_material(data, config, torch.device("cpu"), processes)
    processes = min(processes, len(jobs))
    _check_memory(config, queue[:processes], plan, chosen)
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager:
        lines, free = manager.Queue(), manager.Queue()
        for number in range(processes):
            free.put(str(chosen[number % len(chosen)]))
        with context.Pool(processes) as pool:
            running = [pool.apply_async(_train_in_process, (job, free, lines, os.getpid())) for job in jobs]
            pool.close()
            while not all(result.ready() for result in running) or not lines.empty():
                next((result for result in running if not result.ready()), running[0]).wait(0.2)
                while not lines.empty():
                    report(lines.get())
                for result in running:
                    if result.ready():
                        result.get()  # raises what the process raised, which ends the others


def load_material(
    data: Path | Composition,
    config: PresetConfig,
    device: torch.device,
    processes: int = 1,
    rendered: Rendered | None = None,
) -> Material:
    """Composed works, rendered on the device; or recordings: on it too where it is CUDA and they fit, else mapped.

    Args:
        processes: so many read recordings side by side.

    Raises:
        ValueError: there are too few recordings, or too short ones; no one-shots, or a device that fails.
    """
    if isinstance(data, Composition):
        from melnet_music.training.material.composed_works import render_works  # takes seconds

        with device_errors_told("rendering the works", "fewer works to --compose", device):
            works = render_works(data, config.sound, device, rendered)
            if device.type == "cuda":
                torch.cuda.empty_cache()  # what rendering took in between is free for the training
        return Material(works.train, works.valid, works.about)
    train, valid = (load_works(data, split, config.sound, processes=processes) for split in ("train", "valid"))
    excerpt_frames(valid)
    if device.type != "cuda":
        return Material(train, valid)
    free = free_bytes(device)
    if free is not None and bytes_on_device(train, config.sound) > _SHARE_OF_FREE * free:
        log.info("the recordings do not fit on %s: they are read from disk step by step", device)
        return Material(train, valid)
    with device_errors_told("putting the recordings on the device", "fewer recordings", device):
        return Material(put_on_device(train, config.sound, device), valid)


def _train_in_process(job: tuple[Any, ...], free: Any, lines: Any, parent: int) -> None:
    device = free.get()

    def report(line: TierProgress) -> None:
        lines.put(line)

    def orphaned() -> bool:
        return os.getppid() != parent

    train_tier(*job, here=World(0, 1, torch.device(device)), report=report, stop=orphaned)
    free.put(device)


def _check_name(out: Path) -> None:
    try:
        str(out.resolve()).encode()
    except UnicodeEncodeError:
        raise ValueError(f"no weights can be written to {out}, whose name is not UTF-8: give another folder") from None


def train_tier(
    config: PresetConfig,
    data: Path | Composition,
    out: Path,
    tier: int,
    plan: RunPlan,
    start_from: dict[str, Tensor] | None = None,
    samples: bool = False,
    *,
    material: Material | None = None,
    here: World | None = None,
    report: Report | None = None,
    stop: Callable[[], bool] | None = None,
) -> Path:
    """Train one tier (counted from 0); returns ``out/tier-N.safetensors`` (N from 1), see `TierRun.train`.

    Args:
        material: that of ``data``, where it is loaded already.
        stop: asked at every step; the run ends where it says yes, with no last checkpoint.

    Raises:
        ValueError: see `train`.
    """
    here = here or World(0, 1, torch.device("cpu"))
    with set_up_process(here.device):
        material = material or load_material(data, config, here.device)
        out.mkdir(parents=True, exist_ok=True)
        smaller = "a smaller --batch, or a smaller clip_frames in the preset"
        smaller = f"{'fewer --processes' if material.composed is None else 'fewer works to --compose'}, {smaller}"
        checkpoint = out / f"tier-{tier + 1}.checkpoint"
        with device_errors_told(f"tier {tier + 1}", smaller, here.device, checkpoint):
            run = TierRun(
                config, material.train, material.valid, out, tier, plan, here, start_from, composed=material.composed
            )

            def sample(step: int, curve: Curve) -> None:
                drawn = draw_sample(config, out, start_from, material.valid, plan.seed)
                if drawn:
                    curve.add_sample("continuation", step, *drawn, config.sound.sample_rate_hz)

            return run.train(report, sample if samples else None, stop)


def _check_memory(config: PresetConfig, tiers: Sequence[int], plan: RunPlan, devices: Sequence[torch.device]) -> None:
    for number, device in enumerate(devices):
        there = tiers[number :: len(devices)]
        batches = [plan.batch or config.training.tiers[tier].batch for tier in there]
        check_memory(config, there, batches, device, bfloat16=plan.mixed_precision)
