"""MelNet: one network a tier, and the tiers together (Vasquez & Lewis 2019, arXiv 1906.01083).

`TierNetwork` is written once, over explicit states: a training clip starts from the trained initial state, a live
chunk from where the last one stopped.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from melnet_music.model.conditioning import NOTHING_KNOWN, Conditioning, channel_count, tier_channels
from melnet_music.model.config import ModelConfig
from melnet_music.model.mixture import Mixture, mixture
from melnet_music.model.stacks import CentralizedStack, Extractor, FrequencyDelayedStack, TimeDelayedStack
from melnet_music.model.tier_state import TierState
from melnet_music.model.tiers import decompose, tier_grids


class TierNetwork(nn.Module):
    """The network of one tier."""

    def __init__(self, model: ModelConfig, tier: int, bins: int) -> None:
        """``tier`` counts from 0, the coarsest; ``bins`` is the tier's own F."""
        super().__init__()
        self.config, self.bins, self.first = model, bins, tier == 0
        shape = model.tiers[tier]
        cell, hidden, layers, embedding = model.cell, shape.hidden, shape.layers, model.bin_embedding
        self.channels = channel_count(model, tier)
        self.extractor = Extractor(cell, self.channels, bins, hidden, embedding) if self.channels else None
        self.time_delayed = TimeDelayedStack(cell, bins, hidden, layers, embedding)
        self.centralized = (
            CentralizedStack(cell, bins, shape.centralized_hidden, hidden, layers) if shape.centralized_hidden else None
        )
        self.frequency_delayed = FrequencyDelayedStack(cell, bins, hidden, layers, embedding)
        self.outlet = nn.Linear(hidden, 3 * model.components)
        if not self.outlet.weight.is_meta:  # else its weights are loaded, and drawing there would import much first
            self._spread_components()

    def _spread_components(self) -> None:
        """Start the mixture wide: means over -1.5..1.5, sigma near 0.6, equal weights."""
        k = self.config.components
        with torch.no_grad():
            self.outlet.weight.mul_(0.1)
            self.outlet.bias.zero_()
            self.outlet.bias[k : 2 * k] = torch.linspace(-1.5, 1.5, k) if k > 1 else torch.zeros(1)
            log_sigma = -0.5 - self.config.log_sigma_floor if self.config.sigma == "softplus" else -0.5
            self.outlet.bias[2 * k :] = log_sigma

    def initial_state(self, batch: int) -> TierState[Tensor]:
        """The state before the first frame."""
        device = self.outlet.weight.device
        stacks = self.time_delayed, self.centralized
        return TierState(
            previous=torch.zeros(batch, self.bins, device=device, dtype=self.outlet.weight.dtype),
            extractor=None if self.extractor is None else self.extractor.later.initial(batch, self.bins),
            time_delayed=tuple(rnn.initial(batch, self.bins) for rnn in stacks[0].time),  # type: ignore[operator]
            centralized=tuple(rnn.initial(batch) for rnn in stacks[1].time) if stacks[1] else (),  # type: ignore[operator]
        )

    def features(
        self, channels: Tensor, state: TierState[Tensor], chunk: int | None
    ) -> tuple[Tensor | None, TierState[Tensor]]:
        """Conditioning features of T frames ``[B, T, F, H]``; ``chunk`` in the tier's own frames."""
        if self.extractor is None or state.extractor is None:
            return None, state
        features, after = self.extractor(channels, state.extractor, chunk)
        return features, replace(state, extractor=after)

    def past(
        self, previous: Tensor, features: Tensor | None, state: TierState[Tensor]
    ) -> tuple[list[Tensor], TierState[Tensor]]:
        """Time-delayed plus centralized stack over ``previous [B, T, F]``: ``[B, T, F, H]`` a layer, and the state.

        ``state.previous`` is left alone: the caller knows the last frame.
        """
        outputs, time_delayed = self.time_delayed(previous, features, state.time_delayed)
        state = replace(state, time_delayed=time_delayed)
        if self.centralized is not None:
            central, centralized = self.centralized(previous, state.centralized)
            outputs = [out + whole.unsqueeze(2) for out, whole in zip(outputs, central, strict=True)]
            state = replace(state, centralized=centralized)
        return outputs, state

    def mixture(self, h: Tensor) -> Mixture:
        """Read ``h [..., H]`` of the frequency-delayed stack; in full precision, for sigma may be small."""
        with torch.autocast(h.device.type, enabled=False):
            raw = self.outlet(h.to(self.outlet.weight.dtype))
            return mixture(raw, self.config.log_sigma_floor, self.config.sigma)

    def forward(
        self,
        x: Tensor,
        channels: Tensor,
        state: TierState[Tensor] | None = None,
        chunk: int | None = None,
        past_noise: Tensor | None = None,
    ) -> tuple[Mixture, TierState[Tensor]]:
        """The mixture of every bin of T known frames.

        Args:
            x: ``[B, T, F]`` normalised values of the tier's own bins.
            channels: ``[B, T, F, C]`` from `MelNet.channels`.
            state: where to go on from; None: the beginning.
            chunk: look-ahead restarts after this many of the tier's frames; None: never.
            past_noise: ``[B, T, F]`` added to what the stacks over the past see (training only).
        """
        state = state or self.initial_state(x.shape[0])
        features, state = self.features(channels, state, chunk)
        previous = torch.cat([state.previous.unsqueeze(1), x[:, :-1]], 1)
        past, state = self.past(previous if past_noise is None else previous + past_noise, features, state)
        below = torch.cat([torch.zeros_like(x[:, :, :1]), x[:, :, :-1]], 2)
        h = self.frequency_delayed(below, self.frequency_delayed.context(features), past)
        return self.mixture(h), replace(state, previous=x[:, -1])

    def advance(self, x: Tensor, channels: Tensor, state: TierState[Tensor], chunk: int | None) -> TierState[Tensor]:
        """The state after T known frames, without the frequency-delayed stack: it holds nothing across frames."""
        features, state = self.features(channels, state, chunk)
        previous = torch.cat([state.previous.unsqueeze(1), x[:, :-1]], 1)
        return replace(self.past(previous, features, state)[1], previous=x[:, -1])


class MelNet(nn.Module):
    """All tiers, and the normalisation of log-mel frames that they were trained with."""

    def __init__(self, model: ModelConfig, mel_bins: int) -> None:
        super().__init__()
        self.config, self.mel_bins = model, mel_bins
        self.grids = tier_grids(model, mel_bins)
        self.tiers = nn.ModuleList(TierNetwork(model, g, grid.bins) for g, grid in enumerate(self.grids))
        self.register_buffer("mean", torch.zeros(mel_bins))
        self.register_buffer("deviation", torch.ones(mel_bins))
        self.mean: Tensor
        self.deviation: Tensor

    def tier(self, index: int) -> TierNetwork:
        """The network of one tier, counted from 0, the coarsest."""
        network = self.tiers[index]
        assert isinstance(network, TierNetwork)
        return network

    def normalise(self, log_mel: Tensor) -> Tensor:
        """``[..., M]`` natural-log magnitudes -> what the tiers see."""
        return (log_mel - self.mean) / self.deviation

    def denormalise(self, x: Tensor) -> Tensor:
        """The inverse of `normalise`."""
        return x * self.deviation + self.mean

    def tier_chunk(self, tier: int, chunk_frames: int | None) -> int | None:
        """A chunk length on the full grid, in the tier's own frames."""
        if chunk_frames is None or not self.config.chunked_lookahead:
            return None
        return chunk_frames // self.grids[tier].stride_frames

    def channels(self, own: list[Tensor], known: Conditioning[Tensor], batch: int, frames: int) -> list[Tensor]:
        """What each tier's extractor sees: `tier_channels`, on the model's device and in its precision."""
        return tier_channels(own, known, self.config, self.mel_bins, batch, frames, self.mean.new_zeros)

    def log_prob(
        self, x: Tensor, known: Conditioning[Tensor] = NOTHING_KNOWN, chunk_frames: int | None = None
    ) -> list[Tensor]:
        """Log density of every bin by tier, ``[B, T_g, F_g]``, nats, in normalised units.

        ``x [B, T, M]`` normalised, T a multiple of the frames of a group.
        """
        own = decompose(x, self.config)
        logs = []
        for g, channels in enumerate(self.channels(own, known, x.shape[0], x.shape[1])):
            mixed, _ = self.tier(g)(own[g], channels, chunk=self.tier_chunk(g, chunk_frames))
            logs.append(mixed.log_prob(own[g]))
        return logs
