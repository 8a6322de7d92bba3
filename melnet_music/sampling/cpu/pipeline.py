"""The chunks of one take on their way through the tiers, several at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from melnet_music.model.conditioning import known_channels
from melnet_music.model.config import ModelConfig
from melnet_music.model.tiers import TierGrid, decompose, interleave
from melnet_music.sampling.cpu.crew import Crew
from melnet_music.sampling.cpu.packing import Float32Array
from melnet_music.sampling.cpu.workspace import State, Workspace
from melnet_music.sampling.engine import Chunk, Generated

Together = Callable[[Callable[[int, int], None]], None]
"""Runs a function of (part, parts) on one thread or more."""

_SLICE_SECONDS = 0.004
"""How long a thread is busy before it looks up, unless a single frame takes longer."""


class ChunkInWork:
    """One chunk; one tier of it is at work at a time, by one thread or by several that share it."""

    def __init__(self, number: int, chunk: Chunk, config: ModelConfig, grids: list[TierGrid]) -> None:
        self.number, self.tier = number, 0
        """The place in the take; the tier at work, counted from 0."""
        self._chunk, self._config, self._grids = chunk, config, grids
        self._extra = known_channels(chunk.known, config)
        self._noise = [decompose(grid, config) for grid in chunk.noise]
        self._values: list[NDArray[Any]] | None = None
        if chunk.forced:
            self._values = decompose(chunk.forced.values, config)
            mask = np.broadcast_to(chunk.forced.mask[None, :, None], chunk.noise.uniform.shape)
            self._mask = decompose(mask, config)
        self._coarse: NDArray[Any] | None = None
        """What the tiers so far made, ``[1, T, F]``."""
        self._after: list[State] = []
        self._extracted, self._drawn = False, 0

    @property
    def frames(self) -> int:
        """On the full grid."""
        return self._chunk.frames

    @property
    def done(self) -> bool:
        return self.tier == len(self._grids)

    @property
    def tier_frames(self) -> int:
        """Of the tier at work."""
        return self._chunk.frames // self._grids[self.tier].stride_frames

    def step(self, workspace: Workspace, together: Together) -> bool:
        """Work on the tier for a short while. Returns whether it is done; then ``tier`` is the next."""
        frames, config = self.tier_frames, self._config
        if not self._extracted:
            self._give(workspace, frames)
            together(lambda part, parts: workspace.extract(frames, part, parts))
            self._extracted = True
            return False
        first = self._drawn
        last = min(frames, first + max(1, int(_SLICE_SECONDS / workspace.frame_seconds)))
        sharpness, softplus = self._chunk.sharpness.tier(self.tier), config.sigma == "softplus"
        began = time.perf_counter()
        together(
            lambda part, parts: workspace.draw(first, last, sharpness, config.log_sigma_floor, softplus, part, parts)
        )
        workspace.frame_seconds = (time.perf_counter() - began) / (last - first)
        self._drawn = last
        if last < frames:
            return False
        own = workspace.drawn(frames)[None]
        self._after.append(workspace.state(frames))
        workspace.go_on(frames)
        if self._coarse is None:
            self._coarse = own
        else:
            self._coarse = interleave(self._coarse, own, config.splits[self.tier - 1], config.split_keeps)
        self._extracted, self._drawn = False, 0
        self.tier += 1
        return True

    def generated(self) -> Generated:
        """The result, once all is done."""
        assert self.done
        assert self._coarse is not None
        return Generated(self._coarse, tuple(self._after))

    def _give(self, workspace: Workspace, frames: int) -> None:
        g = self.tier
        known = None if self._values is None else (self._values[g][0], self._mask[g][0, :, 0])
        coarse = None if self._coarse is None else self._coarse[0]
        workspace.give(channels_of(coarse, self._extra, g, (frames, self._grids[g].bins)), known)
        workspace.give_noise(*(grids[g][0] for grids in self._noise))


class Pipeline:
    """A take in the making. A tier of a chunk may begin when its tier below and the chunk before it are through."""

    def __init__(self, crew: Crew, workspaces: list[Workspace]) -> None:
        """``workspaces``: one a tier, with the state to go on from."""
        self._crew, self.workspaces = crew, workspaces
        self._lock = threading.Lock()
        self._chunks: dict[int, ChunkInWork] = {}
        self._through = [0] * len(workspaces)
        """How many chunks are through each tier."""
        self._error: BaseException | None = None
        self._stopped = False

    def share(self, chunk: ChunkInWork) -> Generator[None, None, None]:
        """A chunk, now, on all threads that are idle; none before it is on its way."""
        while not chunk.done:
            chunk.step(self._workspace(chunk), self._crew.together)
            yield None
        self._through = [count + 1 for count in self._through]

    def begin(self, chunk: ChunkInWork) -> None:
        """Send a chunk after those before it."""
        with self._lock:
            self._chunks[chunk.number] = chunk
            self._offer(chunk.number, 0)

    def work(self, patience_seconds: float) -> None:
        """Do a little of it, or wait a little for others who do.

        Raises what went wrong on another thread.
        """
        if self._error is None:
            self._crew.work(patience_seconds)
        if self._error is not None:
            raise self._error

    def stop(self) -> bool:
        """Stop all work on the take, and wait for other threads; returns whether none is at it: see `Crew.drop`."""
        self._stopped = True
        return self._crew.drop(self)

    def _workspace(self, chunk: ChunkInWork) -> Workspace:
        """That of the chunk's tier, with room for the chunk."""
        if self.workspaces[chunk.tier].frames < chunk.tier_frames:
            self.workspaces[chunk.tier] = self.workspaces[chunk.tier].enlarged(chunk.tier_frames)
        return self.workspaces[chunk.tier]

    def _offer(self, number: int, tier: int) -> None:
        """Have a chunk's tier done, if this is the moment. The lock is held."""
        chunk = self._chunks.get(number)
        if chunk and tier < len(self._through) and chunk.tier == tier and self._through[tier] == number:
            self._submit(chunk)

    def _submit(self, chunk: ChunkInWork) -> None:
        self._crew.submit(self, chunk.number, lambda: self._work(chunk))

    def _work(self, chunk: ChunkInWork) -> None:
        tier = chunk.tier
        try:
            finished = self._stopped or chunk.step(self._workspace(chunk), _alone)
        except BaseException as error:  # for the thread that wants the result, not for this one
            self._error = error
            return
        if self._stopped:
            return
        if not finished:
            self._submit(chunk)
            return
        with self._lock:
            self._through[tier] += 1
            if chunk.done:
                del self._chunks[chunk.number]
            self._offer(chunk.number, tier + 1)
            self._offer(chunk.number + 1, tier)


def channels_of(
    coarse: NDArray[Any] | None,
    extra: list[tuple[list[int], list[NDArray[Any]] | None]],
    tier: int,
    shape: tuple[int, int],
) -> Float32Array:
    """What one tier's extractor sees, ``[T, F, C]``, as `tier_channels`.

    ``coarse [T, F]``: what the tiers below made, None in the first; ``extra``: from `known_channels`.
    """
    count = sum(counts[tier] for counts, _ in extra) + (coarse is not None)
    channels = np.zeros((*shape, count), np.float32)
    at = 0
    if coarse is not None:
        channels[..., 0] = coarse
        at = 1
    for counts, grids in extra:
        if grids is not None:
            channels[..., at : at + counts[tier]] = grids[tier][0]
        at += counts[tier]
    return channels


def _alone(work: Callable[[int, int], None]) -> None:
    work(0, 1)
