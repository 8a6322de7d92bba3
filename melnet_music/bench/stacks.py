"""The ``cpu`` engine's kernels by tier and by stack, on one thread."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from melnet_music.bench.material import Material
from melnet_music.bench.products import STACKS, Products, Stack, products_of_chunk
from melnet_music.bench.turns import Spent, timed_beyond, timed_often
from melnet_music.sampling.cpu.packed_tier import pack_tier
from melnet_music.sampling.cpu.workspace import State, Workspace
from melnet_music.sampling.engine import Sharpness


class TierAtWork:
    """A tier, and what one chunk takes it; each chunk goes on from the one before."""

    def __init__(self, material: Material, number: int, state: State, *, bfloat16: bool) -> None:
        """``number`` counts from 0."""
        preset, grid = material.preset, material.grids[number]
        config = preset.config.model
        packed = pack_tier(preset.weights, config, number, grid.bins, bfloat16=bfloat16)
        self.number, self._frames = number, material.chunk_frames // grid.stride_frames
        self.chunk_bins = self._frames * grid.bins
        self.products: dict[Stack, Products] = products_of_chunk(packed, self._frames)
        self._sharpness = Sharpness.of(preset.config.sampling).tier(number)
        self._floor, self._softplus = config.log_sigma_floor, config.sigma == "softplus"
        # where every frame is known, nothing is drawn: what is left of drawing are the stacks over the past
        self._drawing, self._knowing = (Workspace(packed, self._frames, priming=False, threads=1) for _ in range(2))
        random = np.random.default_rng(number)
        channels = random.standard_normal((self._frames, grid.bins, packed.channels), np.float32)
        values = random.standard_normal((self._frames, grid.bins), np.float32)
        for workspace, known in ((self._drawing, None), (self._knowing, (values, np.True_))):
            workspace.load(state)
            workspace.give(channels, known)
            workspace.give_noise(random.random(values.shape, np.float32), values)

    @property
    def jobs(self) -> Mapping[Any, Callable[[], Spent]]:
        """To be done in turn."""
        jobs: dict[Any, Callable[[], Spent]] = {
            ("past", self.number): partial(timed_often, self._pass),
            ("frequency_delayed", self.number): partial(timed_beyond, self._draw, self._pass),
        }
        if not self.products["extractor"]:
            return jobs
        return {("extractor", self.number): partial(timed_often, self._extract), **jobs}

    def seconds(self, spent: Mapping[Any, Spent]) -> dict[Stack, float]:
        """CPU time of each stack there is for a chunk, when `jobs` took what they ``spent``."""
        return {stack: spent[stack, self.number].cpu_s for stack in STACKS if (stack, self.number) in spent}

    def _extract(self) -> None:
        self._drawing.extract(self._frames)

    def _pass(self) -> None:
        self._run(self._knowing)

    def _draw(self) -> None:
        self._run(self._drawing)

    def _run(self, workspace: Workspace) -> None:
        workspace.draw(0, self._frames, self._sharpness, self._floor, self._softplus)
        workspace.go_on(self._frames)
