"""The engine for CUDA cards: the reference's numbers, for one take or for many at once.

The sums are in float32 (TF32 is left off). With bfloat16 weights, those are rounded that the card reads anew for every
bin; the stacks over what is known keep all their bits.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from melnet_music.model.conditioning import NOTHING_KNOWN, Conditioning
from melnet_music.model.preset import Preset
from melnet_music.model.tiers import decompose
from melnet_music.sampling.batch import MOST_TAKES
from melnet_music.sampling.cuda.graph import CapturedTier
from melnet_music.sampling.cuda.take import ChunkInWork, Lane, TakeInWork, upload_state
from melnet_music.sampling.cuda.tier import Tier
from melnet_music.sampling.engine import (
    Chunk,
    EngineFailedError,
    Generated,
    SamplerState,
    Sharpness,
    generate,
    take_noise,
)
from melnet_music.sampling.reference import ReferenceEngine

_LOG = logging.getLogger(__name__)
_PATIENCE_SECONDS = 0.0005
_REMEDY = "see that nvidia-smi works, or take --engine cpu-bf16"
_AT_ONCE = 3
"""Chunks that are queued: while one tier is at the first of them, others are at the next. `level_hold.DELAY_CHUNKS`
is more."""


class CudaEngine:
    """Belongs to one thread. Takes many takes at once: B rows of states and noise.

    A state of one take and noise for more are so many takes from that state.
    """

    most_takes = MOST_TAKES

    def __init__(
        self, preset: Preset, *, bfloat16: bool = False, capture: bool | None = None, kernels: bool | None = None
    ) -> None:
        """On a card, or, where Triton interprets, on the CPU.

        Args:
            capture: each tier's chunk as one CUDA graph; None: where there is a card.
            kernels: also the recurrences over known grids by a kernel of Triton's; None: where there is a card.
        """
        self.name = "cuda-bf16" if bfloat16 else "cuda"
        self.captures: bool
        """Whether each tier's chunk is one CUDA graph."""
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        card = self.device.type == "cuda"
        self._config, self._mel_bins = preset.config.model, preset.mel_bins
        with _failures_told(), torch.inference_mode():
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
            self._model = preset.model().to(self.device)
            self._judge = ReferenceEngine(self._model)
            kernels = card if kernels is None else kernels
            self.tiers = [
                Tier(self._model.tier(g), bfloat16=bfloat16, kernels=kernels) for g in range(len(self._model.grids))
            ]
            self.captures = card if capture is None else capture
            self._lanes = self._new_lanes()
        if card or self.captures:
            self._warm_up(preset.config.sampling.chunk_frames)

    def close(self) -> None:
        """Let go of what is kept on the card beside the weights."""
        self._lanes = []
        if self.device.type == "cuda":
            with _failures_told():
                torch.cuda.empty_cache()

    @torch.inference_mode()
    def init_state(self, batch: int = 1) -> SamplerState:
        return self._judge.init_state(batch)

    @torch.inference_mode()
    def prime(
        self,
        state: SamplerState,
        frames: NDArray[Any],
        chunk_frames: int | None,
        known: Conditioning[NDArray[Any]] = NOTHING_KNOWN,
    ) -> SamplerState:
        model, batch = self._model, len(frames)
        step = chunk_frames or model.config.frames_per_group
        if frames.shape[1] % step:
            raise ValueError(f"primed with {frames.shape[1]} frames, want a multiple of {step}")
        with _failures_told():

            def placed(array: NDArray[Any]) -> torch.Tensor:
                return torch.tensor(np.asarray(array, np.float32)).to(self.device)

            own = decompose(placed(frames), model.config)
            channels = model.channels(own[:-1], known.map(placed), *frames.shape[:2])
            after = []
            for g, tier in enumerate(self.tiers):
                before = upload_state(state[g], batch, self.device)
                after.append(tier.prime(own[g], channels[g], before, model.tier_chunk(g, chunk_frames)))
            return tuple(tier.map(lambda part: part.cpu().numpy().copy()) for tier in after)

    def nats(self, state: SamplerState, frames: NDArray[Any], tiers: int) -> NDArray[np.float64]:
        """With B rows, the mean over them. All is known here, and so the model's own modules do it."""
        with _failures_told():
            return self._judge.nats(state, frames, tiers)

    @torch.inference_mode()
    def sampling(self, state: SamplerState, chunks: Iterable[Chunk]) -> Generator[Generated | None, None, None]:
        """Raises also `EngineFailedError`: the card failed; what was yielded before holds."""
        source = self._checked(chunks)
        first = next(source, None)
        if first is None:
            return
        with _failures_told():
            batch = len(first.noise.uniform)
            states = [upload_state(tier, batch, self.device) for tier in state]
            take = TakeInWork(self._lanes, self._config, states)
        waiting: deque[ChunkInWork] = deque()
        more: Chunk | None = first
        while more is not None or waiting:
            if more is not None:
                begun = _told(take.begin(more))
                waiting.append((yield from begun))
                more = next(source, None) if len(waiting) < _AT_ONCE and self.device.type == "cuda" else None
                if more is not None:
                    continue
            while not self._done(waiting[0]):
                yield None
            with _failures_told():
                made = waiting.popleft().generated()
            yield made
            more = next(source, None)

    def _done(self, chunk: ChunkInWork) -> bool:
        with _failures_told():
            if chunk.done:
                return True
            time.sleep(_PATIENCE_SECONDS)
            return False

    def _checked(self, chunks: Iterable[Chunk]) -> Iterator[Chunk]:
        batch = 0
        for chunk in chunks:
            if chunk.frames % self._config.frames_per_group:
                raise ValueError(f"asked for {chunk.frames} frames, want a multiple of {self._config.frames_per_group}")
            batch = batch or len(chunk.noise.uniform)
            wanted = batch, chunk.frames, self._mel_bins
            if any(part.shape != wanted for part in chunk.noise):
                shapes = " and ".join(str(part.shape) for part in chunk.noise)
                raise ValueError(f"noise of shape {shapes}, want {wanted}")
            yield chunk

    def _new_lanes(self) -> list[Lane]:
        return [
            Lane(CapturedTier(tier).draw if self.captures else tier.draw, tier.network.channels, self.device)
            for tier in self.tiers
        ]

    def _warm_up(self, chunk_frames: int) -> None:
        """Have the kernels compiled, and a chunk captured, before the first take; what cannot be is not captured."""
        state = self.init_state()
        state = self.prime(state, np.zeros((1, chunk_frames, self._mel_bins), np.float32), chunk_frames)
        chunk = Chunk(take_noise(0, 0, chunk_frames, self._mel_bins), Sharpness())
        try:
            generate(self, state, chunk)
        except EngineFailedError as error:
            if not self.captures:
                raise
            _LOG.warning("no CUDA graphs, every kernel is launched by itself, which is slower: %s", error)
            self.captures = False
            self._lanes = self._new_lanes()
            generate(self, state, chunk)


def _told(steps: Generator[None, None, ChunkInWork]) -> Generator[None, None, ChunkInWork]:
    """The same steps; what the card does wrong in one of them is told as `EngineFailedError`."""
    while True:
        with _failures_told():
            try:
                next(steps)
            except StopIteration as end:
                done: ChunkInWork = end.value
                return done
        yield None


@contextmanager
def _failures_told() -> Iterator[None]:
    """What the card, its memory or its compiler does wrong becomes an `EngineFailedError`; other errors pass."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        raise EngineFailedError(f"the card failed: {_first_line(error)}; {_REMEDY}") from error
    except Exception as error:
        if type(error).__module__.partition(".")[0] != "triton":
            raise
        raise EngineFailedError(f"Triton failed: {_first_line(error)}; {_REMEDY}") from error


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__
