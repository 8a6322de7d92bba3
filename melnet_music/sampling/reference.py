"""The reference sampler: the torch modules stepped naively, bin by bin. The oracle of every faster engine."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

import torch
from torch import Tensor

from melnet_music.model import NOTHING_KNOWN, Conditioning, MelNet, TierNetwork
from melnet_music.sampling.engine import Forced, Generated, Noise, SamplerState, Sharpness
from melnet_music.tiers import assemble, decompose


class ReferenceEngine:
    """Samples on whatever device the model is on. Cost a bin does not depend on the time already played."""

    name = "reference"

    def __init__(self, model: MelNet) -> None:
        self.model = model.eval()
        self._device = model.mean.device

    @torch.inference_mode()
    def init_state(self, batch: int = 1) -> SamplerState:
        return tuple(self.model.tier(g).initial_state(batch) for g in range(len(self.model.grids)))

    @torch.inference_mode()
    def prime(
        self,
        state: SamplerState,
        frames: Tensor,
        chunk_frames: int | None,
        known: Conditioning = NOTHING_KNOWN,
    ) -> SamplerState:
        model = self.model
        step = chunk_frames or model.config.frames_per_group
        if frames.shape[1] % step:
            raise ValueError(f"primed with {frames.shape[1]} frames, want a multiple of {step}")
        own = decompose(frames, model.config)
        channels = model.channels(own[:-1], known, *frames.shape[:2])
        return tuple(
            model.tier(g).advance(own[g], channels[g], tier, model.tier_chunk(g, chunk_frames))
            for g, tier in enumerate(state)
        )

    @torch.inference_mode()
    def generating(
        self,
        state: SamplerState,
        noise: Noise,
        sharpness: Sharpness,
        known: Conditioning = NOTHING_KNOWN,
        forced: Forced | None = None,
    ) -> Generator[float, None, Generated]:
        model = self.model
        batch, frames, _ = noise.uniform.shape
        if frames % model.config.frames_per_group:
            raise ValueError(f"asked for {frames} frames, want a multiple of {model.config.frames_per_group}")
        uniform, normal = (decompose(grid.to(self._device), model.config) for grid in noise)
        taken = None if forced is None else _decompose_forced(forced, model)
        own: list[Tensor] = []
        after = []
        done, total = 0.0, frames * model.mel_bins
        for g, tier in enumerate(state):
            network = model.tier(g)
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
                    frame = _draw_frame(network, past, here, uniform[g][:, t], normal[g][:, t], sharpness.tier(g))
                tier = replace(tier, previous=frame)
                drawn.append(frame)
                done += network.bins / total
                yield done
            own.append(torch.stack(drawn, 1))
            after.append(tier)
        return Generated(assemble(own, model.config)[-1], tuple(after))


def _draw_frame(
    network: TierNetwork,
    past: list[Tensor],
    features: Tensor | None,
    uniform: Tensor,
    normal: Tensor,
    sharpness: tuple[float, float],
) -> Tensor:
    """One frame, low bin to high. ``past [B, 1, F, H]`` a layer, noise ``[B, F]`` -> ``[B, F]``."""
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


def _decompose_forced(forced: Forced, model: MelNet) -> tuple[list[Tensor], list[Tensor]]:
    """By tier: values ``[B, T_g, F_g]``, and for every frame ``[T_g]`` whether it is known."""
    rows = forced.mask.view(1, -1, 1).expand(1, -1, model.mel_bins)
    return decompose(forced.values, model.config), [grid[0, :, 0] for grid in decompose(rows, model.config)]
