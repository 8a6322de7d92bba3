"""One tier at work: its arena, with the state it is in."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from melnet_music.model.tier_state import TierState
from melnet_music.sampling.cpu.barrier import SYNC_WORDS
from melnet_music.sampling.cpu.packed_tier import PackedTier, aligned_zeros
from melnet_music.sampling.cpu.packing import Float32Array
from melnet_music.sampling.cpu.recurrence import scratch_floats
from melnet_music.sampling.cpu.target import PANEL_COLUMNS
from melnet_music.sampling.cpu.tier_kernels import ADVANCE, DRAW, EXTRACT, JUDGE, run_tier
from melnet_music.sampling.engine import TierSharpness

State = TierState[NDArray[Any]]

_AS_LEARNT = TierSharpness()

_FRAME_SECONDS = 0.01
"""Before anything was measured."""


class Workspace:
    """Room for a chunk of up to ``frames`` of the tier's frames. Used by one chunk at a time."""

    def __init__(self, packed: PackedTier, frames: int, *, priming: bool, threads: int) -> None:
        """``priming``: the stacks over the past take all frames at once, and nothing is drawn."""
        self.packed, self.frames, self.threads, self._priming = packed, frames, threads, priming
        self._arena, self._p = _lay_out(packed, frames, frames if priming else 1, threads)
        self._sync = np.zeros(SYNC_WORDS, np.int64)
        self.frame_seconds = _FRAME_SECONDS
        """How long a frame took to draw when last measured."""

    # --- state ------------------------------------------------------------------------------------------

    def load(self, state: State) -> None:
        """Go on from a state, B = 1."""
        p, packed = self._p, self.packed
        self._grid(p.own, p.bins)[:] = state.previous[0]
        if state.extractor is not None:
            self._fill_state(p.extractor_state, state.extractor[:, 0], p.hidden)
        size = self.packed.parts * p.bins * p.hidden
        for layer, part in enumerate(state.time_delayed):
            self._fill_state(p.time_state + layer * size, part[:, 0], p.hidden)
        for layer, part in enumerate(state.centralized):
            self._fill_state(p.central_state + layer * self.packed.parts * p.central_hidden, part, p.central_hidden)
        assert packed.central_hidden or not state.centralized

    def state(self, frames: int) -> State:
        """A copy of the state after ``frames`` frames."""
        p, packed = self._p, self.packed
        size, parts = self.packed.parts * p.bins * p.hidden, self.packed.parts
        return TierState(
            previous=self._grid(p.own + frames * p.bins, 1, p.bins).copy(),
            extractor=self._read_state(p.extractor_state, p.bins, p.hidden, packed.hidden) if packed.channels else None,
            time_delayed=tuple(
                self._read_state(p.time_state + layer * size, p.bins, p.hidden, packed.hidden)
                for layer in range(p.layers)
            ),
            centralized=tuple(
                self._read_state(p.central_state + layer * parts * p.central_hidden, 1, p.central_hidden,
                                 packed.central_hidden)[:, 0]
                for layer in range(p.layers if packed.central_hidden else 0)
            ),
        )  # fmt: skip

    def enlarged(self, frames: int) -> Workspace:
        """A workspace with room for more frames, in the same state."""
        larger = Workspace(self.packed, frames, priming=self._priming, threads=self.threads)
        larger.load(self.state(0))
        return larger

    def go_on(self, frames: int) -> None:
        """The last of ``frames`` frames becomes the one before the first."""
        p = self._p
        self._grid(p.own, p.bins)[:] = self._grid(p.own + frames * p.bins, p.bins)

    # --- a chunk ----------------------------------------------------------------------------------------

    def give(self, channels: Float32Array, known: tuple[Float32Array, Any] | None = None) -> None:
        """What is known of a chunk: channels ``[T, F, C]``; values ``[T, F]`` and where they count, ``[T]``."""
        p, frames = self._p, len(channels)
        if self.packed.channels:
            self._grid(p.channels, *channels.shape)[:] = channels
        self._grid(p.known, frames)[:] = 0.0
        if known is not None:
            self._grid(p.own + p.bins, frames, p.bins)[:], self._grid(p.known, frames)[:] = known

    def give_noise(self, uniform: Float32Array, normal: Float32Array) -> None:
        """``[T, F]`` each."""
        p = self._p
        self._grid(p.uniform, *uniform.shape)[:] = uniform
        self._grid(p.normal, *normal.shape)[:] = normal

    def drawn(self, frames: int) -> Float32Array:
        """The frames of the chunk, ``[T, F]``, a copy."""
        p = self._p
        return self._grid(p.own + p.bins, frames, p.bins).copy()

    def compile(self) -> None:
        """Have the kernels compiled for this kind of weights, or fetched from where they are kept."""
        self._run(EXTRACT, 0, 0)

    # --- work, by as many threads as call with their part -------------------------------------------------

    def extract(self, frames: int, part: int = 0, parts: int = 1) -> None:
        """The conditioning of the chunk's frames."""
        if self.packed.channels:
            self._run(EXTRACT, 0, frames, part=part, parts=parts)

    def advance(self, frames: int, part: int = 0, parts: int = 1) -> None:
        """The states after the chunk's frames, all known (a workspace for priming)."""
        self._run(ADVANCE, 0, frames, part=part, parts=parts)

    def draw(
        self, first: int, last: int, sharpness: TierSharpness, floor: float, softplus: bool, part: int = 0,
        parts: int = 1,
    ) -> None:  # fmt: skip
        """Frames ``first`` to ``last`` of the chunk; as boldly as ``sharpness`` says."""
        self._run(DRAW, first, last, sharpness, floor, softplus, part, parts)

    def judge(self, frames: int, floor: float, softplus: bool, part: int = 0, parts: int = 1) -> Float32Array:
        """The states after the chunk's frames, all known; returns ``[T]``, how unlikely each was, in nats a bin."""
        self._run(JUDGE, 0, frames, _AS_LEARNT, floor, softplus, part, parts)
        return self._grid(self._p.nats, frames).copy()

    def _run(
        self, job: int, first: int, last: int, sharpness: TierSharpness = _AS_LEARNT, floor: float = 0.0,
        softplus: bool = True, part: int = 0, parts: int = 1,
    ) -> None:  # fmt: skip
        packed = self.packed
        run_tier(
            self._p, packed.rnns, packed.fine, packed.weights, self._arena, self._sync, job, first, last, *sharpness,
            floor, softplus, part, parts,
        )  # fmt: skip

    def _grid(self, place: int, *shape: int) -> Float32Array:
        return self._arena[place : place + math.prod(shape)].reshape(shape)

    def _fill_state(self, place: int, state: NDArray[Any], width: int) -> None:
        """``state [P, rows, H]``."""
        parts, rows, hidden = state.shape
        self._grid(place, parts, rows, width)[:, :, :hidden] = state

    def _read_state(self, place: int, rows: int, width: int, hidden: int) -> NDArray[Any]:
        return self._grid(place, self.packed.parts, rows, width)[:, None, :, :hidden].copy()


def _lay_out(packed: PackedTier, frames: int, frames_at_once: int, threads: int) -> tuple[Float32Array, Any]:
    """An arena, and where everything is in it."""
    p, room = packed.places, _Room(len(packed.constants))
    parts, bins, hidden, width = packed.parts, p.bins, p.hidden, p.gates * p.hidden
    grid, at_once = frames * bins * hidden, frames_at_once * bins * hidden
    widest = max(hidden, p.central_hidden)
    step = scratch_floats(widest, p.gates)
    extracted = bool(packed.channels)
    placed = p._replace(
        own=room.take((1 + frames) * bins),
        extractor_state=room.take(parts * bins * hidden),
        time_state=room.take(p.layers * parts * bins * hidden),
        central_state=room.take(p.layers * parts * p.central_hidden),
        channels=room.take(frames * bins * packed.channels),
        uniform=room.take(frames * bins),
        normal=room.take(frames * bins),
        known=room.take(frames),
        nats=room.take(frames),
        base=room.take(grid) if extracted else p.cell_constant,
        base_step=bins * hidden if extracted else 0,
        joined=room.take(max(4 * grid if extracted else 0, 3 * at_once)),
        delayed_inlet=room.take(at_once),
        delayed=room.take(p.layers * at_once),
        delayed_step=at_once,
        central_h=room.take(frames_at_once * p.central_hidden),
        central_out=room.take(frames_at_once * p.central_hidden),
        central=room.take(p.layers * frames_at_once * hidden),
        central_step=frames_at_once * hidden,
        mixed=room.take(bins * hidden),
        upward_gates=room.take(p.layers * bins * width),
        head_rows=room.take(bins * p.theta),
        vector=room.take(PANEL_COLUMNS + 2 * hidden + PANEL_COLUMNS),
        upward_state=room.take(p.layers * hidden),
        upward_memory=room.take(p.layers * hidden),
        upward_now=room.take(2 * width),
        theta_now=room.take(2 * p.theta),
        scratch=room.take(threads * step),
        scratch_step=step,
    )
    arena = aligned_zeros(room.size, np.float32)
    arena[: len(packed.constants)] = packed.constants
    return arena, placed


class _Room:
    """Hands out places, each on a cache line of its own."""

    def __init__(self, size: int) -> None:
        self.size = size

    def take(self, count: int) -> int:
        place = self.size
        self.size += -(-count // PANEL_COLUMNS) * PANEL_COLUMNS
        return place
