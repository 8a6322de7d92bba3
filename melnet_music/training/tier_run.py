"""Training one tier: draw clips, step, now and then report, measure and save."""

from __future__ import annotations

import copy
import logging
import math
import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from melnet_music.model.config import PresetConfig
from melnet_music.model.network import MelNet
from melnet_music.model.tier_state import TierState
from melnet_music.training.checkpoint import Place, RunState, load_checkpoint, save_checkpoint
from melnet_music.training.curve import Curve, TierProgress
from melnet_music.training.fused.fused_tier import TierPass, fused_pass, reset_rows
from melnet_music.training.held_out import held_out_nats
from melnet_music.training.likelihood import mean_nats
from melnet_music.training.material.bin_statistics import bin_statistics
from melnet_music.training.material.clips import ClipDrawer, Clips, make_example
from melnet_music.training.material.device_works import AnyWorks, DeviceWork
from melnet_music.training.material.rows import RowPlaces, rows_from_tensors, rows_to_tensors
from melnet_music.training.optimizers import clip_length, make_optimizers, rate_factor
from melnet_music.training.world import World

log = logging.getLogger(__name__)

REPORTS = 50
"""Lines of a whole run's curve."""
REPORTS_A_VALIDATION = 5
_SECONDS_BETWEEN_CHECKPOINTS = 60.0
_DRAWN_AHEAD = 4

Report = Callable[[TierProgress], None]
Sample = Callable[[int, Curve], None]
"""Puts a sample of the whole model's on a curve, at a step."""


@dataclass(frozen=True)
class RunPlan:
    """How to train, besides what the preset says."""

    seed: int
    steps: int | None = None
    """Length of the run; None: the preset's minutes."""
    length: float = 1.0
    """Scales the preset's minutes: of the processor's time on a CPU, of the clock's on a GPU."""
    batch: int | None = None
    """Clips of a step; None: the preset's."""
    rate: float = 1.0
    """Scales the preset's learning rates."""
    mixed_precision: bool = False
    """Products in bfloat16, sums and weights in float32."""
    loaders: int = 0
    """Threads that draw clips ahead."""


class TierRun:
    """A tier's network in training, where it left off if ``out`` holds a checkpoint of the same run."""

    def __init__(
        self,
        config: PresetConfig,
        train: AnyWorks,
        valid: AnyWorks,
        out: Path,
        tier: int,
        plan: RunPlan,
        world: World,
        start_from: dict[str, Tensor] | None = None,
        composed: dict[str, Any] | None = None,
    ) -> None:
        """``tier`` counts from 0; ``start_from``: weights of a whole model.

        ``composed``: what the works were composed from, where they were; a run goes on with no others. Plain JSON.

        Raises:
            ValueError: the checkpoint there is of another run, or rows are to carry their state where they cannot.
        """
        if config.training.carry_state and world.size > 1:
            raise ValueError(
                f"carry_state with {world.size} processes on one tier: rows are followed by one, "
                "start it without torchrun or set carry_state = false"
            )
        torch.manual_seed(plan.seed * 1000 + tier)
        self.config, self.tier, self.plan, self.world, self._valid = config, tier, plan, world, valid
        self._out, self._training = out, config.training.tiers[tier]
        self._batch = plan.batch or self._training.batch
        self._rows = world.rows(self._batch)
        self.model = MelNet(config.model, config.sound.mel_bins)
        if start_from is None:
            mean, deviation = bin_statistics(train, config.training.deviation_floor_nats)
            self.model.mean.copy_(torch.from_numpy(mean))
            self.model.deviation.copy_(torch.from_numpy(deviation))
            _spread_time_constants(self.model, tier, plan.seed)
        else:
            self.model.load_state_dict(start_from)
        self.model.to(world.device)
        average = self.model.tier(tier).requires_grad_(False)
        network = copy.deepcopy(average).requires_grad_(True)
        self.state = RunState(network, average, make_optimizers(network, config.training, self._training))
        self._network, self._average = network, average
        self._drawer = ClipDrawer(train, config, tier, plan.seed)
        # what lies on the device is cut in no time there, by one thread
        self._loaders = 0 if isinstance(train[0], DeviceWork) else plan.loaders
        self._log_deviation = float(self.model.deviation.log().mean())
        self._recipe = self._describe(train, start_from, composed)
        self._place, self._recent = Place(0, 0.0), []
        self._checkpoint = out / f"tier-{tier + 1}.checkpoint"
        if self._checkpoint.exists():
            self._place = load_checkpoint(self._checkpoint, self.state, self._recipe)
            self._recent = list(self._place.recent)
        self._run = self._pass()
        self._places: RowPlaces | None = None
        self._carried: TierState[Tensor] | None = None
        if config.training.carry_state:
            self._places = RowPlaces.none_yet(len(self._rows))
            if self.state.rows:
                self._places, self._carried = rows_from_tensors(self.state.rows, self._fresh_state())

    def _pass(self) -> TierPass | None:
        """What stands in for the network's own forward: of minGRU the fused pass, on a GPU or to carry a state."""
        on_cuda = self.world.device.type == "cuda"
        if not (on_cuda or self.config.training.carry_state) or self.config.model.cell != "mingru":
            return None
        return fused_pass(self._network, torch.bfloat16 if self.plan.mixed_precision else torch.float32)

    def _fresh_state(self) -> TierState[Tensor]:
        return self._network.initial_state(len(self._rows))

    def _describe(
        self, train: AnyWorks, start_from: dict[str, Tensor] | None, composed: dict[str, Any] | None
    ) -> dict[str, Any]:
        """What may not differ between a run and its going on; its length may."""
        raw = self.config.model_dump(mode="json")
        training = raw["training"]
        plan = {key: value for key, value in training.pop("tiers")[self.tier].items() if key != "minutes"}
        return {
            "sound": raw["sound"],
            "model": raw["model"],
            "training": training,
            "tier": plan,
            "seed": self.plan.seed,
            "batch": self._batch,
            "rate": self.plan.rate,
            "recordings": len(train),
            "frames": sum(len(work.log_mel) for work in train),
            "composed": composed,
            "start": None if start_from is None else float(sum(value.double().sum() for value in start_from.values())),
        }

    # --- the run ----------------------------------------------------------------------------------------

    def train(
        self, report: Report | None = None, sample: Sample | None = None, stop: Callable[[], bool] | None = None
    ) -> Path:
        """Train to the end; writes ``tier-N.safetensors`` (the averaged weights), ``tier-N.jsonl`` and checkpoints.

        ``stop`` is asked at every step; where it says yes nothing more is written.
        """
        curve = Curve(self._out, self.tier, self._place.step) if self.world.leads else None
        next_report = (int(self._fraction() * REPORTS) + 1) / REPORTS
        saved_s = time.monotonic()
        with self._clips() as clips:
            while self._fraction() < 1.0:
                if stop and stop():
                    return self._weights_path
                self._step(next(clips))
                fraction = self._fraction()
                if fraction >= next_report:
                    number = int(min(fraction, 1.0) * REPORTS)
                    next_report = (number + 1) / REPORTS
                    self._tell(curve, report, sample, validates=number % REPORTS_A_VALIDATION == 0 or fraction >= 1.0)
                if self.world.leads and time.monotonic() - saved_s > _SECONDS_BETWEEN_CHECKPOINTS:
                    self.save_checkpoint()
                    saved_s = time.monotonic()
        if curve:
            curve.close()
            self.save_checkpoint()
            self.save_weights()
        return self._weights_path

    def _fraction(self) -> float:
        return self._fraction_at(self._place.step)

    def _fraction_at(self, step: int) -> float:
        """How much of the run is over before a step: exact where its length is in steps."""
        if self.plan.steps:
            return step / self.plan.steps
        return self._place.minutes / (self.plan.length * self._training.minutes)

    def _clips(self) -> _ClipQueue:
        group = self.config.model.frames_per_group
        if self._places is None:

            def draw(step: int) -> Clips:
                frames = clip_length(self._training, self._fraction_at(step), group)
                return self._drawer.draw(step, self._rows, frames)

            return _ClipQueue(draw, self._place.step, self._loaders)
        places: RowPlaces | None = self._places

        def follow(step: int) -> Clips:
            nonlocal places
            clips = self._drawer.draw(step, self._rows, clip_length(self._training, 1.0, group), places)
            places = clips.places
            return clips

        # one thread at most: where a row goes on hangs on where it was
        return _ClipQueue(follow, self._place.step, min(self._loaders, 1))

    def _step(self, clips: Clips) -> None:
        started_s = self._clock_s()
        factor = self.plan.rate * rate_factor(self._place.step, self._fraction(), self.config.training)
        for optimizer in self.state.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group.setdefault("peak_lr", group["lr"]) * factor
            optimizer.zero_grad()
        example = make_example(clips, self.model, self.tier)
        weight = float(self.world.sum(example.weight.sum()).clamp(min=1))
        with self._autocast():
            loss, after = mean_nats(self._network, example, weight, run=self._run, state=self._state_before(clips))
        if self._places is not None:
            self._places, self._carried = clips.places, after
        loss.backward()  # type: ignore[no-untyped-call]
        parameters = list(self._network.parameters())
        self.world.sum_gradients(parameters)
        norm = torch.nn.utils.clip_grad_norm_(parameters, self.config.training.gradient_norm)
        total = float(self.world.sum(loss.detach()))
        if math.isfinite(float(norm)):
            for optimizer in self.state.optimizers:
                optimizer.step()
            self._recent.append(total + self._log_deviation)
            self._average_weights()
        else:
            log.warning("tier %d step %d: gradient norm %s, step left out", self.tier + 1, self._place.step, norm)
        spent_s = self._clock_s() - started_s
        minutes = self.world.first(self._place.minutes + spent_s / 60)
        self._place = Place(self._place.step + 1, minutes)

    def _state_before(self, clips: Clips) -> TierState[Tensor] | None:
        """What the rows carry into clips: trained initial states where they begin, and get gradients."""
        if clips.begins is None or self._carried is None:
            return None
        begins = torch.from_numpy(clips.begins).to(self.world.device)
        return reset_rows(self._carried, self._fresh_state(), begins)

    @torch.no_grad()
    def _average_weights(self) -> None:
        step = self._place.step
        decay = min(self.config.training.average_decay, (1 + step) / (10 + step))
        averaged: list[Tensor] = list(self._average.parameters())
        present: list[Tensor] = list(self._network.parameters())
        torch._foreach_lerp_(averaged, present, 1 - decay)

    def _autocast(self) -> AbstractContextManager[Any]:
        if not self.plan.mixed_precision or self._run:
            return nullcontext()
        return torch.autocast(self.world.device.type, torch.bfloat16)

    def _clock_s(self) -> float:
        return time.process_time() if self.world.device.type == "cpu" else time.monotonic()

    # --- telling and saving -----------------------------------------------------------------------------

    def _tell(self, curve: Curve | None, report: Report | None, sample: Sample | None, validates: bool) -> None:
        train_nats = float(np.mean(self._recent)) if self._recent else math.nan
        self._recent = []
        if curve is None:
            return
        valid_nats = valid_loud = None
        if validates:
            chunk = self.config.sampling.chunk_frames
            valid_nats, valid_loud = held_out_nats(self.model, self.tier, self._valid, chunk)
            self.save_weights()
        place = self._place
        fraction = min(self._fraction(), 1.0)
        line = TierProgress(self.tier + 1, place.step, place.minutes, fraction, train_nats, valid_nats, valid_loud)
        curve.add(line)
        if validates and sample:
            sample(place.step, curve)
        if report:
            report(line)

    @property
    def _weights_path(self) -> Path:
        return self._out / f"tier-{self.tier + 1}.safetensors"

    def save_weights(self) -> None:
        """Write the averaged weights: what is played from."""
        part = self._weights_path.with_suffix(".part")
        weights = {f"tiers.{self.tier}.{name}": value for name, value in self._average.state_dict().items()}
        weights |= {"mean": self.model.mean, "deviation": self.model.deviation}
        save_file({name: value.cpu().contiguous() for name, value in weights.items()}, part)
        part.replace(self._weights_path)

    def save_checkpoint(self) -> None:
        """Write all that the run needs to go on."""
        if self._places is not None:
            self.state.rows.update(rows_to_tensors(self._places, self._carried))
        place = Place(self._place.step, self._place.minutes, tuple(self._recent))
        save_checkpoint(self._checkpoint, self.state, place, self._recipe)


class _ClipQueue:
    """The clips of step after step, drawn by threads ahead of their turn if there are any."""

    def __init__(self, draw: Callable[[int], Clips], first_step: int, threads: int) -> None:
        self._draw, self._next = draw, first_step
        self._pool = ThreadPoolExecutor(threads) if threads else None
        self._waiting: deque[Future[Clips]] = deque()

    def __enter__(self) -> Iterator[Clips]:
        return self._drawn()

    def _drawn(self) -> Iterator[Clips]:
        while True:
            if self._pool is None:
                yield self._draw(self._next)
                self._next += 1
                continue
            while len(self._waiting) < _DRAWN_AHEAD:
                self._waiting.append(self._pool.submit(self._draw, self._next))
                self._next += 1
            yield self._waiting.popleft().result()

    def __exit__(self, *_: object) -> None:
        if self._pool:
            self._pool.shutdown(cancel_futures=True)


def _spread_time_constants(model: MelNet, tier: int, seed: int) -> None:
    longest = model.config.chrono_frames / (1 if tier == 0 else 3)
    if not longest:
        return
    network, generator = model.tier(tier), torch.Generator().manual_seed(seed)
    for stack in (network.time_delayed, network.centralized):
        for recurrence in stack.time if stack else ():
            recurrence.start_with_time_constants(longest, generator)  # type: ignore[operator]


@contextmanager
def set_up_process(device: torch.device) -> Iterator[None]:
    """One thread for this process's sums on a CPU, where tiers are trained side by side; TF32 on CUDA.

    Within, this thread takes subnormal numbers for zero: a CPU is slow with them, and no weight is as small.
    """
    torch.set_flush_denormal(True)
    try:
        if device.type == "cpu":
            torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
        else:
            torch.cuda.set_device(device)
            torch.set_float32_matmul_precision("high")
        yield
    finally:
        torch.set_flush_denormal(False)
