"""Training a model: every tier on its own, side by side in processes, or each on all that torchrun started.

A tier never sees another tier's output in training, only the true coarser grid, so tiers can be trained in any
order, at any time, anywhere.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from melnet_music.config import PresetConfig
from melnet_music.training import world
from melnet_music.training.curve import Curve, TierProgress
from melnet_music.training.features import Work, load_works
from melnet_music.training.held_out import excerpt_frames
from melnet_music.training.memory import check_memory
from melnet_music.training.recordings import Split
from melnet_music.training.samples import draw_sample
from melnet_music.training.tier_run import RunPlan, TierRun, set_up_process
from melnet_music.training.world import World, choose_device

Report = Callable[[TierProgress], None]
_SPLITS: tuple[Split, ...] = ("train", "valid")


def train(
    config: PresetConfig,
    data: Path,
    out: Path,
    *,
    tiers: Sequence[int],
    plan: RunPlan,
    processes: int,
    devices: Sequence[str],
    start_from: dict[str, Tensor] | None = None,
    samples: bool = True,
    report: Report,
) -> None:
    """Train tiers (counted from 0), longest first; runs that were stopped go on. See `train_tier`.

    Under torchrun every process calls this, and all of them train one tier after the other together.

    Args:
        processes: tiers trained side by side; 1: in this process, one after the other.
        devices: that the processes take in turn.
        samples: whether the first of the tiers puts samples of the whole model on its curve.

    Raises:
        ValueError: no recordings, no such device, too little memory, or another run's checkpoint in ``out``.
    """
    _check_name(out)
    queue = sorted(tiers, key=lambda tier: -config.training.tiers[tier].minutes)
    jobs = [(config, data, out, tier, plan, start_from, samples and tier == min(tiers)) for tier in queue]
    if world.started_by_torchrun():
        here = world.join(devices[0])
        try:
            for job in jobs:
                train_tier(*job, here=here, report=report)
        finally:
            world.leave()
        return
    chosen = [choose_device(name) for name in devices]
    # fills the cache once, and fails here rather than in a process
    works = _load(data, config, processes)
    _check_memory(config, queue[:processes], plan, chosen)
    if processes == 1:
        for job in jobs:
            train_tier(*job, works=works, here=World(0, 1, chosen[0]), report=report)
        return
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


def _load(data: Path, config: PresetConfig, processes: int = 1) -> dict[Split, list[Work]]:
    """
    Raises:
        ValueError: there are too few recordings, or too short ones.
    """
    works = {split: load_works(data, split, config.sound, processes=processes) for split in _SPLITS}
    excerpt_frames(works["valid"])
    return works


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
    data: Path,
    out: Path,
    tier: int,
    plan: RunPlan,
    start_from: dict[str, Tensor] | None = None,
    samples: bool = False,
    *,
    works: dict[Split, list[Work]] | None = None,
    here: World | None = None,
    report: Report | None = None,
    stop: Callable[[], bool] | None = None,
) -> Path:
    """Train one tier (counted from 0); returns ``out/tier-N.safetensors`` (N from 1), see `TierRun.train`.

    Args:
        works: of the splits ``train`` and ``valid``, where they are loaded already.
        stop: asked at every step; the run ends where it says yes, with no last checkpoint.
    """
    here = here or World(0, 1, torch.device("cpu"))
    set_up_process(here.device)
    works = works or _load(data, config)
    out.mkdir(parents=True, exist_ok=True)
    with _memory_errors_told(tier):
        run = TierRun(config, works["train"], works["valid"], out, tier, plan, here, start_from)

        def sample(step: int, curve: Curve) -> None:
            drawn = draw_sample(config, out, start_from, works["valid"], plan.seed)
            if drawn:
                curve.add_sample("continuation", step, *drawn, config.sound.sample_rate_hz)

        return run.train(report, sample if samples else None, stop)


def _check_memory(config: PresetConfig, tiers: Sequence[int], plan: RunPlan, devices: Sequence[torch.device]) -> None:
    for number, device in enumerate(devices):
        there = tiers[number :: len(devices)]
        check_memory(config, there, [plan.batch or config.training.tiers[tier].batch for tier in there], device)


@contextmanager
def _memory_errors_told(tier: int) -> Iterator[None]:
    try:
        yield
    except (MemoryError, torch.cuda.OutOfMemoryError) as error:
        raise ValueError(_too_large(tier)) from error
    except RuntimeError as error:
        if "can't allocate memory" not in str(error):
            raise
        raise ValueError(_too_large(tier)) from error


def _too_large(tier: int) -> str:
    return (
        f"tier {tier + 1} ran out of memory: give fewer --processes, a smaller --batch, "
        "or a smaller clip_frames in the preset; the same command goes on from the last checkpoint"
    )
