"""Chunks of one take on their way through the tiers: a stream a tier, so that successive chunks go side by side.

On a card everything is queued at once, and the calling thread goes on; the streams wait for one another. Where there
are no streams (Triton's interpreter, on a CPU) every tier is done when it returns.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from melnet_music.model.conditioning import known_channels
from melnet_music.model.config import ModelConfig
from melnet_music.model.tiers import decompose, interleave
from melnet_music.sampling.cuda.draw_kernel import FramesToDraw
from melnet_music.sampling.cuda.tier import State, tensors_of
from melnet_music.sampling.engine import Chunk, Generated

Draw = Callable[[Tensor, FramesToDraw, State], tuple[Tensor, State]]
"""`Tier.draw`, captured or not."""


class Lane:
    """One tier's place of work: how it draws, and the stream that all of it goes to."""

    def __init__(self, draw: Draw, channels: int, device: torch.device) -> None:
        self.draw, self.channels, self.device = draw, channels, device
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]

    def on_stream(self) -> AbstractContextManager[object]:
        """What is queued inside goes to the tier's stream."""
        return nullcontext() if self._stream is None else torch.cuda.stream(self._stream)

    def wait_for(self, mark: torch.cuda.Event | None, *used: Tensor) -> None:
        """Let the stream wait until another has come to a mark; ``used``: what of the other's memory it will read."""
        if self._stream is None or mark is None:
            return
        self._stream.wait_event(mark)
        for tensor in used:
            tensor.record_stream(self._stream)

    def mark(self) -> torch.cuda.Event | None:
        """Where the stream has come to by then."""
        return None if self._stream is None else self._stream.record_event()


class ChunkInWork:
    """A chunk that is queued, or done."""

    def __init__(self, frames: Tensor, states: list[State], marks: list[torch.cuda.Event | None]) -> None:
        self._frames, self._states, self._marks = frames, states, marks

    @property
    def done(self) -> bool:
        return all(mark is None or mark.query() for mark in self._marks)  # type: ignore[no-untyped-call]

    def generated(self) -> Generated:
        """The result, once all is done."""
        return Generated(_copy(self._frames), tuple(state.map(_copy) for state in self._states))


class TakeInWork:
    """Belongs to one thread."""

    def __init__(self, lanes: list[Lane], config: ModelConfig, states: list[State]) -> None:
        """``states``: to go on from, on the card."""
        self._lanes, self._config, self._states = lanes, config, states

    def begin(self, chunk: Chunk) -> Generator[None, None, ChunkInWork]:
        """Queue a chunk after those before it; gives way after each tier."""
        config, device = self._config, self._lanes[0].device
        given = [_upload(grid, device) for grid in chunk.noise]
        noise = [decompose(grid, config) for grid in given]
        known = chunk.known.map(lambda grid: _upload(grid, device))
        extra = known_channels(known, config)
        masks, values = self._known(chunk)
        ready = torch.cuda.current_stream(device).record_event() if device.type == "cuda" else None
        given += [part for part in (known.future, known.future_mask, known.notes) if part is not None]
        coarse: Tensor | None = None
        made: torch.cuda.Event | None = None
        kept: list[State] = []
        marks: list[torch.cuda.Event | None] = []
        for g, lane in enumerate(self._lanes):
            lane.wait_for(
                ready, *given, *tensors_of(self._states[g]), *(grid for _, each in extra for grid in each or [])
            )
            if coarse is not None:
                lane.wait_for(made, coarse)
            with lane.on_stream():
                uniform, normal = (grids[g].contiguous() for grids in noise)
                channels = _channels(coarse, extra, g, (*uniform.shape, lane.channels), device)
                drawn_from = FramesToDraw(
                    uniform,
                    normal,
                    _upload(masks[g], device),
                    uniform if values is None else _upload(values[g], device).expand_as(uniform).contiguous(),
                    _upload(chunk.sharpness_rows(g), device),
                )
                own, self._states[g] = lane.draw(channels, drawn_from, self._states[g])
                coarse = own if coarse is None else interleave(coarse, own, config.splits[g - 1], config.split_keeps)
                made = lane.mark()
                kept.append(self._states[g].map(_download))
                if g == len(self._lanes) - 1:
                    coarse = _download(coarse)
                marks.append(lane.mark())
            yield None
        assert coarse is not None
        return ChunkInWork(coarse, kept, marks)

    def _known(self, chunk: Chunk) -> tuple[list[NDArray[np.int32]], list[NDArray[Any]] | None]:
        """By tier: which frames are known ``[T_g]``, and their values."""
        mask = np.zeros(chunk.frames, np.int32) if chunk.forced is None else chunk.forced.mask.astype(np.int32)
        rows = np.broadcast_to(mask[None, :, None], (1, *chunk.noise.uniform.shape[1:]))
        masks = [np.ascontiguousarray(grid[0, :, 0]) for grid in decompose(rows, self._config)]
        return masks, None if chunk.forced is None else decompose(chunk.forced.values, self._config)


def upload_state(state: Any, batch: int, device: torch.device) -> State:
    """A tier's state on the card; one of a single take becomes that of ``batch`` takes.

    Raises ValueError: it is of another number of takes.
    """
    takes = len(state.previous)
    if takes not in (1, batch):
        raise ValueError(f"a state of {takes} takes and noise for {batch}: want as many, or one state for all of them")
    parts: State = state.map(lambda part: _upload(part, device))
    if takes == batch:
        return parts

    def each(part: Tensor, axis: int) -> Tensor:
        return part.repeat_interleave(batch, axis)

    return State(
        each(parts.previous, 0),
        None if parts.extractor is None else each(parts.extractor, 1),
        tuple(each(layer, 1) for layer in parts.time_delayed),
        tuple(each(layer, 1) for layer in parts.centralized),
    )


def _channels(
    coarse: Tensor | None,
    extra: list[tuple[list[int], list[Tensor] | None]],
    tier: int,
    shape: tuple[int, ...],
    device: torch.device,
) -> Tensor:
    """What one tier's extractor sees, ``[B, T, F, C]``: `melnet_music.model.conditioning.tier_channels`."""
    channels = torch.zeros(shape, device=device)
    at = 0
    if coarse is not None:
        channels[..., 0] = coarse
        at = 1
    for counts, grids in extra:
        if grids is not None:
            channels[..., at : at + counts[tier]] = grids[tier]
        at += counts[tier]
    return channels


def _upload(array: NDArray[Any], device: torch.device) -> Tensor:
    if array.dtype != np.int32:
        array = np.asarray(array, np.float32)
    # a copy: the array may change, or be read-only, and the card may be late to read it
    return torch.tensor(array).to(device, non_blocking=True)


def _download(tensor: Tensor) -> Tensor:
    """On its way to memory that the card writes by itself."""
    if tensor.device.type == "cpu":
        return tensor
    host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    return host.copy_(tensor, non_blocking=True)


def _copy(tensor: Tensor) -> NDArray[Any]:
    array: NDArray[Any] = tensor.numpy().copy()
    return array
