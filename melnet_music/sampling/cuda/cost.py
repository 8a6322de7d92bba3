"""What a chunk costs a card, counted from the shapes: launches, bytes, and steps that wait for one another.

A bound, not a measurement: what the figures of a card (`Card`) allow if nothing else takes time. It needs no card.
"""

from __future__ import annotations

from dataclasses import dataclass

from melnet_music.model.conditioning import channel_count
from melnet_music.model.config import ModelConfig, TierConfig
from melnet_music.model.tiers import tier_grids
from melnet_music.sampling.cuda.shapes import GATES, PARTS_OF_THETA, component_room

_FLOAT_BYTES = 4


@dataclass(frozen=True)
class Card:
    """What is assumed of a card."""

    name: str
    launch_us: float
    """From one kernel of a graph to the next."""
    step_us: float
    """Of a bin, for every step that waits for the one before: a barrier, and the first weights from the cache."""
    draw_us: float
    """Of a bin, to draw from the mixture: a dozen sums over few numbers, one after the other."""
    one_program_gb_s: float
    """What one multiprocessor reads from the second-level cache."""
    cache_gb_s: float
    """What all of them read from it together."""
    cache_mb: float
    memory_gb_s: float
    multiprocessors: int


H200 = Card("H200-class card", 2.0, 0.8, 2.0, 100.0, 5500.0, 50.0, 4800.0, 132)
"""64 bytes a clock and multiprocessor at 1.7 GHz; the three times are guesses, for a trace on a card to correct."""


@dataclass(frozen=True)
class TierCost:
    """Of one chunk, one take."""

    frames: int
    bins: int
    """Of a frame."""
    launches_a_frame: int
    steps_a_bin: int
    """Products that wait for one another."""
    bytes_a_bin: int
    """Weights that are read anew for every bin."""
    bytes_a_frame: int
    """Weights of the stacks over what is known."""

    def seconds(self, card: Card, takes: int) -> float:
        """As long as this must take, for so many takes at once."""
        launches = self.frames * self.launches_a_frame * card.launch_us * 1e-6
        # stacks' weights once a frame, whatever the takes; from the cache as long as they fit
        known = self.frames * self.bytes_a_frame / (1e9 * card.memory_gb_s)
        rounds = -(-takes // card.multiprocessors)
        alone = self.bytes_a_bin / card.one_program_gb_s
        fits = self.bytes_a_bin < 1e6 * card.cache_mb
        together = takes * self.bytes_a_bin / (card.cache_gb_s if fits else card.memory_gb_s)
        waiting = self.steps_a_bin * card.step_us + card.draw_us
        a_bin = max(rounds * (alone * 1e-9 + waiting * 1e-6), together * 1e-9)
        return launches + known + self.frames * self.bins * a_bin


def chunk_cost(model: ModelConfig, mel_bins: int, chunk_frames: int, *, bfloat16: bool) -> list[TierCost]:
    """Of every tier."""
    costs = []
    for g, (grid, tier) in enumerate(zip(tier_grids(model, mel_bins), model.tiers, strict=True)):
        channels = channel_count(model, g)
        costs.append(
            TierCost(
                frames=chunk_frames // grid.stride_frames,
                bins=grid.bins,
                launches_a_frame=_launches(model, tier, extracted=bool(channels)),
                steps_a_bin=tier.layers + (tier.layers - 1 if tier.layers > 2 else 0) + 1,
                bytes_a_bin=read_anew_bytes(model, tier, bfloat16=bfloat16),
                bytes_a_frame=_FLOAT_BYTES * _known_weights(model, tier, grid.bins),
            )
        )
    return costs


def read_anew_bytes(model: ModelConfig, tier: TierConfig, *, bfloat16: bool) -> int:
    """What a program reads for a bin: see `melnet_music.sampling.cuda.packing.PackedTier`."""
    H, L, width = tier.hidden, tier.layers, GATES[model.cell] * tier.hidden
    coarse = (L - 1) * H * width
    if model.cell != "mingru":
        coarse += L * H * width
    if L > 2:
        coarse += (L - 1) * H * H
    row = PARTS_OF_THETA * component_room(model.components)
    fine = (1 if L == 1 else 2) * H * row + L * width + row
    return coarse * (2 if bfloat16 else _FLOAT_BYTES) + fine * _FLOAT_BYTES


def _launches(model: ModelConfig, tier: TierConfig, *, extracted: bool) -> int:
    """Of a frame that is drawn; torch's recurrences of other cells than minGRU are counted as one each."""
    stack = 4 if model.cell == "mingru" else 6  # gates, scan, projection, sum; else three recurrences, joined
    launches = 1 + model.bin_embedding + extracted + stack * tier.layers
    if tier.centralized_hidden:
        projected = tier.centralized_hidden != tier.hidden
        launches += 1 + ((4 if model.cell == "mingru" else 3) + projected) * tier.layers
    return launches + 1 + extracted + 1 + 1  # outputs together, with the features, to gates, drawn


def _known_weights(model: ModelConfig, tier: TierConfig, bins: int) -> int:
    gates, H, C = GATES[model.cell], tier.hidden, tier.centralized_hidden
    squares = gates if model.cell == "mingru" else 2 * gates
    delayed = tier.layers * (3 * squares * H * H + 3 * H * H)
    central = bins * C + tier.layers * (squares * C * C + (C * H if C not in (0, H) else 0))
    return delayed + central + tier.layers * gates * H * H
