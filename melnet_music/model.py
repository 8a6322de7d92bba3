"""MelNet: one network a tier, and the tiers together (Vasquez & Lewis 2019, arXiv 1906.01083).

`TierNetwork` is written once, over explicit states: a training clip starts from the trained initial state, a live
chunk from where the last one stopped.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from melnet_music.config import ModelConfig
from melnet_music.mixture import Mixture, mixture
from melnet_music.stacks import CentralizedStack, Extractor, FrequencyDelayedStack, TimeDelayedStack
from melnet_music.tiers import assemble, decompose, decompose_pooled, tier_grids


@dataclass(frozen=True)
class TierState:
    """What one tier carries from frame to frame. A value: it is replaced, never written to."""

    previous: Tensor
    """``[B, F]``, the last frame; zeros before the first."""
    extractor: Tensor | None
    """``[P, B, F, H]``, the extractor's RNN forward in time."""
    time_delayed: tuple[Tensor, ...]
    """``[P, B, F, H]`` a layer."""
    centralized: tuple[Tensor, ...]
    """``[P, B, W]`` a layer; empty without that stack."""


@dataclass(frozen=True)
class Conditioning:
    """What is known besides the past, on the full grid. None stands for nothing known."""

    future: Tensor | None = None
    """``[B, T, M]`` normalised values; read only where ``future_mask`` is set."""
    future_mask: Tensor | None = None
    """``[B, T]``, 1 in known future frames, else 0."""
    notes: Tensor | None = None
    """``[B, T, M, 2]``: notes sounding, notes starting, on the mel bins of their partials, 0..1."""

    def frames(self, start: int, stop: int) -> Conditioning:
        """The same for frames ``start`` to ``stop``."""
        parts = (self.future, self.future_mask, self.notes)
        return Conditioning(*(None if part is None else part[:, start:stop] for part in parts))


NOTHING_KNOWN = Conditioning()


class TierNetwork(nn.Module):
    """The network of one tier."""

    def __init__(self, model: ModelConfig, tier: int, bins: int) -> None:
        """``tier`` counts from 0, the coarsest; ``bins`` is the tier's own F."""
        super().__init__()
        self.config, self.bins, self.first = model, bins, tier == 0
        shape = model.tiers[tier]
        cell, hidden, layers, embedding = model.cell, shape.hidden, shape.layers, model.bin_embedding
        self.channels = (tier > 0) + 2 * model.future_conditioning + 2 * model.note_conditioning
        self.extractor = Extractor(cell, self.channels, bins, hidden, embedding) if self.channels else None
        self.time_delayed = TimeDelayedStack(cell, bins, hidden, layers, embedding)
        self.centralized = (
            CentralizedStack(cell, bins, shape.centralized_hidden, hidden, layers) if shape.centralized_hidden else None
        )
        self.frequency_delayed = FrequencyDelayedStack(cell, bins, hidden, layers, embedding)
        self.outlet = nn.Linear(hidden, 3 * model.components)
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

    def initial_state(self, batch: int) -> TierState:
        """The state before the first frame."""
        device = self.outlet.weight.device
        stacks = self.time_delayed, self.centralized
        return TierState(
            previous=torch.zeros(batch, self.bins, device=device, dtype=self.outlet.weight.dtype),
            extractor=None if self.extractor is None else self.extractor.later.initial(batch, self.bins),
            time_delayed=tuple(rnn.initial(batch, self.bins) for rnn in stacks[0].time),  # type: ignore[operator]
            centralized=tuple(rnn.initial(batch) for rnn in stacks[1].time) if stacks[1] else (),  # type: ignore[operator]
        )

    def features(self, channels: Tensor, state: TierState, chunk: int | None) -> tuple[Tensor | None, TierState]:
        """Conditioning features of T frames ``[B, T, F, H]``; ``chunk`` in the tier's own frames."""
        if self.extractor is None or state.extractor is None:
            return None, state
        features, after = self.extractor(channels, state.extractor, chunk)
        return features, replace(state, extractor=after)

    def past(self, previous: Tensor, features: Tensor | None, state: TierState) -> tuple[list[Tensor], TierState]:
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
        """Read ``h [..., H]`` of the frequency-delayed stack."""
        return mixture(self.outlet(h), self.config.log_sigma_floor, self.config.sigma)

    def forward(
        self,
        x: Tensor,
        channels: Tensor,
        state: TierState | None = None,
        chunk: int | None = None,
        past_noise: Tensor | None = None,
    ) -> tuple[Mixture, TierState]:
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

    def advance(self, x: Tensor, channels: Tensor, state: TierState, chunk: int | None) -> TierState:
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

    def channels(self, own: list[Tensor], known: Conditioning, batch: int, frames: int) -> list[Tensor]:
        """What each tier's extractor sees, ``[B, T_g, F_g, C]``.

        Args:
            own: the bins of the tiers that are known so far; a tier sees those before it.
            known: on the full grid.
            batch, frames: B, and T of the full grid, a multiple of the frames of a group.

        Returns:
            the channels of every tier up to and including the first that ``own`` lacks.
        """
        coarse = assemble(own, self.config) if own else []
        extra = self._known_channels(known)
        channels = []
        for g in range(min(len(own) + 1, len(self.grids))):
            stride, bins = self.grids[g]
            shape = (batch, frames // stride, bins)
            parts = [coarse[g - 1].unsqueeze(-1)] if g else []
            for count, grids in extra:
                parts.append(self.mean.new_zeros(*shape, count) if grids is None else grids[g])
            channels.append(torch.cat(parts, -1) if parts else self.mean.new_zeros(*shape, 0))
        return channels

    def _known_channels(self, known: Conditioning) -> list[tuple[int, list[Tensor] | None]]:
        """(number of channels, grids by tier or None) of each kind the model was built with."""
        kinds: list[tuple[int, list[Tensor] | None]] = []
        if self.config.future_conditioning:
            grids = None
            if known.future is not None and known.future_mask is not None:
                mask = known.future_mask.unsqueeze(-1).expand_as(known.future)
                grids = decompose(torch.stack([known.future * mask, mask], -1), self.config)
            kinds.append((2, grids))
        if self.config.note_conditioning:
            kinds.append((2, None if known.notes is None else decompose_pooled(known.notes, self.config)))
        return kinds

    def log_prob(self, x: Tensor, known: Conditioning = NOTHING_KNOWN, chunk_frames: int | None = None) -> list[Tensor]:
        """Log density of every bin by tier, ``[B, T_g, F_g]``, nats, in normalised units.

        ``x [B, T, M]`` normalised, T a multiple of the frames of a group.
        """
        own = decompose(x, self.config)
        logs = []
        for g, channels in enumerate(self.channels(own, known, x.shape[0], x.shape[1])):
            mixed, _ = self.tier(g)(own[g], channels, chunk=self.tier_chunk(g, chunk_frames))
            logs.append(mixed.log_prob(own[g]))
        return logs
