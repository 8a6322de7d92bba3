"""The reference sampler: the torch modules stepped naively, bin by bin. The oracle of every faster engine."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from melnet_music.model.conditioning import NOTHING_KNOWN, Conditioning
from melnet_music.model.network import MelNet, TierNetwork
from melnet_music.model.tier_state import TierState
from melnet_music.model.tiers import assemble, decompose
from melnet_music.sampling.batch import MOST_TAKES
from melnet_music.sampling.engine import Chunk, Forced, Generated, SamplerState, check_judged

TierStates = tuple[TierState[Tensor], ...]


class ReferenceEngine:
    """Samples on whatever device the model is on. Cost a bin does not depend on the time already played."""

    name = "reference"
    most_takes = MOST_TAKES

    def __init__(self, model: MelNet) -> None:
        self._model = model.eval()

    @torch.inference_mode()
    def init_state(self, batch: int = 1) -> SamplerState:
        return _to_arrays(tuple(self._model.tier(g).initial_state(batch) for g in range(len(self._model.grids))))

    @torch.inference_mode()
    def prime(
        self,
        state: SamplerState,
        frames: NDArray[Any],
        chunk_frames: int | None,
        known: Conditioning[NDArray[Any]] = NOTHING_KNOWN,
    ) -> SamplerState:
        model = self._model
        step = chunk_frames or model.config.frames_per_group
        if frames.shape[1] % step:
            raise ValueError(f"primed with {frames.shape[1]} frames, want a multiple of {step}")
        own = decompose(self._tensor(frames), model.config)
        channels = model.channels(own[:-1], known.map(self._tensor), *frames.shape[:2])
        tiers = enumerate(self._to_tensors(state))
        return _to_arrays(
            tuple(
                model.tier(g).advance(own[g], channels[g], tier, model.tier_chunk(g, chunk_frames)) for g, tier in tiers
            )
        )

    @torch.inference_mode()
    def nats(self, state: SamplerState, frames: NDArray[Any], tiers: int) -> NDArray[np.float64]:
        model = self._model
        check_judged(frames, tiers, model.config)
        own = decompose(self._tensor(frames), model.config)
        channels = model.channels(own[:-1], Conditioning[Tensor](), *frames.shape[:2])
        judged = []
        for g, tier in enumerate(self._to_tensors(state)[:tiers]):
            mixture, _ = model.tier(g).forward(own[g], channels[g], tier, model.tier_chunk(g, frames.shape[1]))
            judged.append(-float(mixture.log_prob(own[g]).mean()))
        return np.array(judged)

    @torch.inference_mode()
    def sampling(self, state: SamplerState, chunks: Iterable[Chunk]) -> Generator[Generated | None, None, None]:
        """Yields None after every frame of a tier."""
        tiers = self._to_tensors(state)
        for chunk in chunks:
            frames, tiers = yield from self._chunk(tiers, chunk)
            yield Generated(_to_array(frames), _to_arrays(tiers))

    def close(self) -> None:
        """There is nothing to let go of."""

    def _chunk(self, state: TierStates, chunk: Chunk) -> Generator[None, None, tuple[Tensor, TierStates]]:
        """All tiers, one after the other: the frames ``[B, T, M]``, and the state after them."""
        model = self._model
        batch, frames, _ = chunk.noise.uniform.shape
        if frames % model.config.frames_per_group:
            raise ValueError(f"asked for {frames} frames, want a multiple of {model.config.frames_per_group}")
        uniform, normal = (decompose(self._tensor(grid), model.config) for grid in chunk.noise)
        known, taken = chunk.known.map(self._tensor), self._taken(chunk.forced)
        own: list[Tensor] = []
        after = []
        for g, tier in enumerate(state):
            network = model.tier(g)
            sharpness: Sequence[float | Tensor] = chunk.sharpness.tier(g)
            if chunk.others:
                sharpness = self._tensor(chunk.sharpness_rows(g)).unsqueeze(-1).unbind(1)
            channels = model.channels(own, known, batch, frames)[-1]
            features, tier = network.features(channels, tier, None)
            drawn = []
            for t in range(uniform[g].shape[1]):
                now = slice(t, t + 1)
                here = None if features is None else features[:, now]
                past, tier = network.past(tier.previous.unsqueeze(1), here, tier)
                if taken is not None and taken[1][g][t]:
                    frame = taken[0][g][:, t]
                else:
                    frame = _draw_frame(network, past, here, uniform[g][:, t], normal[g][:, t], sharpness)
                tier = replace(tier, previous=frame)
                drawn.append(frame)
                yield
            own.append(torch.stack(drawn, 1))
            after.append(tier)
        return assemble(own, model.config)[-1], tuple(after)

    def _taken(self, forced: Forced | None) -> tuple[list[Tensor], list[NDArray[np.bool_]]] | None:
        """By tier: values ``[B, T_g, F_g]``, and for every frame ``[T_g]`` whether it is known."""
        if forced is None:
            return None
        config = self._model.config
        rows = np.broadcast_to(forced.mask[None, :, None], (1, len(forced.mask), self._model.mel_bins))
        known = [grid[0, :, 0] for grid in decompose(rows, config)]
        return decompose(self._tensor(forced.values), config), known

    def _tensor(self, array: NDArray[Any]) -> Tensor:
        """A copy in the model's precision, where the model is."""
        return torch.tensor(array, dtype=self._model.mean.dtype, device=self._model.mean.device)

    def _to_tensors(self, state: SamplerState) -> TierStates:
        return tuple(tier.map(self._tensor) for tier in state)


def _to_array(tensor: Tensor) -> NDArray[Any]:
    array: NDArray[Any] = tensor.detach().cpu().numpy()
    return array


def _to_arrays(state: TierStates) -> SamplerState:
    return tuple(tier.map(_to_array) for tier in state)


def _draw_frame(
    network: TierNetwork,
    past: list[Tensor],
    features: Tensor | None,
    uniform: Tensor,
    normal: Tensor,
    sharpness: Sequence[float | Tensor],
) -> Tensor:
    """One frame, low bin to high. ``past [B, 1, F, H]`` a layer, noise ``[B, F]`` -> ``[B, F]``.

    Args:
        sharpness: what `Mixture.draw` takes besides noise: numbers, or ``[B, 1]`` each.
    """
    stack = network.frequency_delayed
    context = stack.context(features)
    states = stack.start(uniform.shape[0])
    value = torch.zeros_like(uniform[:, 0])
    values = []
    for f in range(network.bins):
        here = None if context is None else (context[:, 0, f] if context.dim() == 4 else context[f])
        h, states = stack.step(value, here, [layer[:, 0, f] for layer in past], states)
        value = network.mixture(h).draw(uniform[:, f], normal[:, f], *sharpness)
        values.append(value)
    return torch.stack(values, 1)
