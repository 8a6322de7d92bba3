"""The engine for plain processors: the reference's numbers, tens of times sooner.

A chunk goes through the tiers one after the other. The first chunks of a take are in a hurry: all threads share each of
their tiers. After them the threads work on several chunks side by side (`pipeline`).
"""

from __future__ import annotations

import itertools
import os
import weakref
from collections import deque
from collections.abc import Generator, Iterable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from melnet_music.model.conditioning import NOTHING_KNOWN, Conditioning, known_channels
from melnet_music.model.preset import Preset
from melnet_music.model.tiers import assemble, decompose, tier_grids
from melnet_music.sampling.cpu.crew import Crew
from melnet_music.sampling.cpu.packed_tier import pack_tier
from melnet_music.sampling.cpu.packing import Float32Array
from melnet_music.sampling.cpu.pipeline import ChunkInWork, Pipeline, channels_of
from melnet_music.sampling.cpu.workspace import State, Workspace
from melnet_music.sampling.engine import Chunk, Generated, SamplerState, check_judged

MOST_THREADS = 4
"""There is work for hardly more: the finest tiers take most of the time, and each runs on one thread."""
_PATIENCE_SECONDS = 0.002
_HURRIED_CHUNKS = 2
"""Before a take's first sound: where what was heard ends late in a chunk, the vocoder looks ahead into the next."""


class CpuEngine:
    """Belongs to one thread, which does its share of the work. Takes one row at a time: B is 1."""

    most_takes = 1

    def __init__(self, preset: Preset, threads: int | None = None, *, bfloat16: bool = False) -> None:
        """``threads``: None for as many as there are processors, at most `MOST_THREADS`.

        Raises:
            ValueError: fewer than one thread.
        """
        if threads is not None and threads < 1:
            raise ValueError(f"threads is {threads}, want 1 or more")
        self.name = "cpu-bf16" if bfloat16 else "cpu"
        self.threads = threads or min(_processors(), MOST_THREADS)
        self._config, self._weights = preset.config.model, preset.weights
        self._mel_bins = preset.mel_bins
        self._grids = tier_grids(self._config, self._mel_bins)
        self._tiers = [
            pack_tier(preset.weights, self._config, g, grid.bins, bfloat16=bfloat16)
            for g, grid in enumerate(self._grids)
        ]
        self._crew = Crew(self.threads)
        self._spare: dict[bool, tuple[int, list[Workspace]]] = {}
        """Workspaces to use again, for priming and for drawing, with the frames they have room for."""
        weakref.finalize(self, self._crew.dismiss)
        self._workspaces(self._config.frames_per_group, priming=True)[0].compile()

    def close(self) -> None:
        """Let go of threads and memory."""
        self._crew.close()
        self._spare.clear()

    def init_state(self, batch: int = 1) -> SamplerState:
        _check_batch(batch)
        return tuple(
            _initial_state(self._weights, f"tiers.{g}.", shape.layers, grid.bins)
            for g, (shape, grid) in enumerate(zip(self._config.tiers, self._grids, strict=True))
        )

    def prime(
        self,
        state: SamplerState,
        frames: NDArray[Any],
        chunk_frames: int | None,
        known: Conditioning[NDArray[Any]] = NOTHING_KNOWN,
    ) -> SamplerState:
        _check_batch(len(frames))
        length, config = frames.shape[1], self._config
        step = chunk_frames or config.frames_per_group
        if length % step:
            raise ValueError(f"primed with {length} frames, want a multiple of {step}")
        if chunk_frames is None or not config.chunked_lookahead:
            step = max(length, config.frames_per_group)
        own = decompose(frames, config)
        channels = self._channels(own, known)
        workspaces = self._workspaces(step, priming=True)
        after: dict[int, State] = {}
        errors: list[BaseException] = []

        def prime_tier(g: int) -> None:
            workspace, size = workspaces[g], step // self._grids[g].stride_frames
            workspace.load(state[g])
            for first in range(0, own[g].shape[1], size):
                here = slice(first, first + size)
                workspace.give(channels[g][here], (own[g][0, here], np.True_))
                workspace.extract(size)
                workspace.advance(size)
                workspace.go_on(size)
            after[g] = workspace.state(0)

        def task(g: int) -> None:
            try:
                prime_tier(g)
            except BaseException as error:
                errors.append(error)

        for g in reversed(range(len(state))):  # the finest tiers take longest
            self._crew.submit(self, -1, partial(task, g))
        while len(after) + len(errors) < len(state):
            self._crew.work(_PATIENCE_SECONDS)
        self._spare[True] = step, workspaces
        if errors:
            raise errors[0]
        return tuple(after[g] for g in range(len(state)))

    def nats(self, state: SamplerState, frames: NDArray[Any], tiers: int) -> NDArray[np.float64]:
        _check_batch(len(frames))
        check_judged(frames, tiers, self._config)
        own = decompose(frames, self._config)[:tiers]
        channels = self._channels(own, NOTHING_KNOWN)
        workspaces = self._workspaces(frames.shape[1], priming=False)
        judged = []
        for g in range(tiers):
            workspace, size = workspaces[g], own[g].shape[1]
            workspace.load(state[g])
            workspace.give(channels[g], (own[g][0], np.True_))
            workspace.extract(size)
            floor, softplus = self._config.log_sigma_floor, self._config.sigma == "softplus"
            judged.append(float(workspace.judge(size, floor, softplus).mean()))
        self._spare[False] = frames.shape[1], workspaces
        return np.array(judged)

    def sampling(self, state: SamplerState, chunks: Iterable[Chunk]) -> Generator[Generated | None, None, None]:
        _check_batch(len(state[0].previous))
        source = self._numbered(chunks)
        first = next(source, None)
        if first is None:
            return
        workspaces = self._workspaces(first.frames, priming=False)
        for workspace, tier in zip(workspaces, state, strict=True):
            workspace.load(tier)
        pipeline = Pipeline(self._crew, workspaces)
        try:
            for hurried in itertools.chain([first], itertools.islice(source, _HURRIED_CHUNKS - 1)):
                yield from pipeline.share(hurried)
                yield hurried.generated()
            # one chunk more than threads keeps all of them busy; alone, nothing is gained by looking ahead
            at_once = self.threads + 1 if self.threads > 1 else 1
            waiting: deque[ChunkInWork] = deque()
            while True:
                while len(waiting) < at_once and (chunk := next(source, None)) is not None:
                    pipeline.begin(chunk)
                    waiting.append(chunk)
                if not waiting:
                    return
                while not waiting[0].done:
                    pipeline.work(_PATIENCE_SECONDS)
                    yield None
                yield waiting.popleft().generated()
        finally:
            if pipeline.stop() and all(
                work.frames * grid.stride_frames == first.frames
                for work, grid in zip(workspaces, self._grids, strict=True)
            ):
                self._spare[False] = first.frames, workspaces

    def _numbered(self, chunks: Iterable[Chunk]) -> Generator[ChunkInWork, None, None]:
        for number, chunk in enumerate(chunks):
            if chunk.frames % self._config.frames_per_group:
                raise ValueError(f"asked for {chunk.frames} frames, want a multiple of {self._config.frames_per_group}")
            if any(part.shape != (1, chunk.frames, self._mel_bins) for part in chunk.noise):
                shapes = " and ".join(str(part.shape) for part in chunk.noise)
                raise ValueError(f"noise of shape {shapes}, want {(1, chunk.frames, self._mel_bins)}")
            yield ChunkInWork(number, chunk, self._config, self._grids)

    def _workspaces(self, frames: int, *, priming: bool) -> list[Workspace]:
        """One a tier, for chunks of this many frames of the full grid."""
        room, spare = self._spare.pop(priming, (0, []))
        if room == frames:
            return spare
        return [
            Workspace(packed, frames // grid.stride_frames, priming=priming, threads=self.threads)
            for packed, grid in zip(self._tiers, self._grids, strict=True)
        ]

    def _channels(self, own: list[NDArray[Any]], known: Conditioning[NDArray[Any]]) -> list[Float32Array]:
        """Every tier's channels ``[T_g, F_g, C]`` when all bins are known."""
        coarse: list[Any] = [None, *(grid[0] for grid in assemble(own[:-1], self._config))] if own[1:] else [None]
        extra = known_channels(known, self._config)
        return [channels_of(coarse[g], extra, g, grid.shape[1:]) for g, grid in enumerate(own)]


def _initial_state(weights: dict[str, Float32Array], prefix: str, layers: int, bins: int) -> State:
    """The state before the first frame of a tier."""

    def start(name: str, *lead: int) -> Float32Array:
        vector = weights[f"{prefix}{name}.start"]
        return np.broadcast_to(
            vector.reshape(len(vector), *(1 for _ in lead), -1), (len(vector), *lead, vector.shape[1])
        )

    central = f"{prefix}centralized.time.0.start" in weights
    return State(
        previous=np.zeros((1, bins), np.float32),
        extractor=start("extractor.later", 1, bins) if f"{prefix}extractor.later.start" in weights else None,
        time_delayed=tuple(start(f"time_delayed.time.{layer}", 1, bins) for layer in range(layers)),
        centralized=tuple(start(f"centralized.time.{layer}", 1) for layer in range(layers)) if central else (),
    )


def _check_batch(batch: int) -> None:
    if batch != 1:
        raise ValueError(f"asked for {batch} takes at once: this engine makes one; make them one after the other")


def _processors() -> int:
    """Processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
