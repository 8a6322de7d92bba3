"""What a tier sees besides its own past: coarser tiers, a known future, notes; and the channels it comes in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic

from melnet_music.model.arrays import Array, OtherArray, namespace
from melnet_music.model.config import ModelConfig
from melnet_music.model.tiers import assemble, decompose, decompose_folded, decompose_pooled, tier_grids

FUTURE_CHANNELS = 2
"""The value and its mask."""
NOTE_CHANNELS = 2
"""Sounding and starting."""


@dataclass(frozen=True, eq=False)
class Conditioning(Generic[Array]):
    """What is known besides the past, on the full grid. None stands for nothing known."""

    future: Array | None = None
    """``[B, T, M]`` normalised values; read only where ``future_mask`` is set."""
    future_mask: Array | None = None
    """``[B, T]``, 1 in known future frames, else 0."""
    notes: Array | None = None
    """``[B, T, M, 2]``: notes sounding, notes starting, as `melnet_music.notes.note_map` draws them; 0: not known."""

    def frames(self, start: int, stop: int) -> Conditioning[Array]:
        """The same for frames ``start`` to ``stop``."""
        parts = (self.future, self.future_mask, self.notes)
        return Conditioning(*(None if part is None else part[:, start:stop] for part in parts))

    def map(self, convert: Callable[[Array], OtherArray]) -> Conditioning[OtherArray]:
        """The same with every array put through ``convert``."""
        parts = (self.future, self.future_mask, self.notes)
        return Conditioning(*(None if part is None else convert(part) for part in parts))


NOTHING_KNOWN: Conditioning[Any] = Conditioning()


def channel_count(config: ModelConfig, tier: int) -> int:
    """Channels that a tier's extractor sees; without any the tier has no extractor. ``tier`` counts from 0."""
    coarse = 1 if tier else 0
    return coarse + FUTURE_CHANNELS * config.future_conditioning + _note_channels(config, tier)


def tier_channels(
    own: list[Array],
    known: Conditioning[Array],
    config: ModelConfig,
    mel_bins: int,
    batch: int,
    frames: int,
    zeros: Callable[..., Array],
) -> list[Array]:
    """What each tier's extractor sees, ``[B, T_g, F_g, C]``.

    Args:
        own: the bins of the tiers that are known so far; a tier sees those before it.
        known: on the full grid.
        mel_bins: M of the full grid.
        batch, frames: B, and T of the full grid, a multiple of the frames of a group.
        zeros: makes an array of zeros of the kind of the others; its arguments are the shape.

    Returns:
        the channels of every tier up to and including the first that ``own`` lacks.
    """
    grids = tier_grids(config, mel_bins)[: len(own) + 1]
    coarse = assemble(own, config) if own else []
    extra = known_channels(known, config)
    channels = []
    for g, (stride, bins) in enumerate(grids):
        shape = (batch, frames // stride, bins)
        parts = [coarse[g - 1][..., None]] if g else []
        for counts, by_tier in extra:
            parts.append(zeros(*shape, counts[g]) if by_tier is None else by_tier[g])
        channels.append(namespace(parts[0]).concatenate(parts, -1) if parts else zeros(*shape, 0))
    return channels


def known_channels(known: Conditioning[Array], config: ModelConfig) -> list[tuple[list[int], list[Array] | None]]:
    """(number of channels by tier, grids by tier or None) of each kind the model was built with."""
    kinds: list[tuple[list[int], list[Array] | None]] = []
    tiers = range(len(config.tiers))
    if config.future_conditioning:
        grids = None
        if known.future is not None and known.future_mask is not None:
            arrays = namespace(known.future)
            mask = arrays.broadcast_to(known.future_mask[..., None], known.future.shape)
            grids = decompose(arrays.stack([known.future * mask, mask], -1), config)
        kinds.append(([FUTURE_CHANNELS for _ in tiers], grids))
    if config.note_conditioning:
        by_tier = decompose_folded if config.note_detail == "folded" else decompose_pooled
        counts = [_note_channels(config, tier) for tier in tiers]
        kinds.append((counts, None if known.notes is None else by_tier(known.notes, config)))
    return kinds


def _note_channels(config: ModelConfig, tier: int) -> int:
    if not config.note_conditioning:
        return 0
    return NOTE_CHANNELS << (len(config.splits) - tier if config.note_detail == "folded" else 0)
