"""What a card could do at best with a preset, where there is none to measure: counted from the shapes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from melnet_music.model.config import PresetConfig
from melnet_music.sampling.cuda.cost import H200, Card, TierCost, chunk_cost

TAKES = (1, 8, 32)
"""At once."""


@dataclass(frozen=True)
class CardBound:
    """Of one chunk."""

    preset: str
    engine: str
    reason: str
    """Why nothing was measured."""
    chunk_frames: int
    chunk_s: float
    """Of sound."""
    card: Card
    tiers: list[TierCost]

    def first_chunk_ms(self, takes: int) -> float:
        """Its tiers one after the other."""
        return 1e3 * sum(tier.seconds(self.card, takes) for tier in self.tiers)

    def real_time_factor(self, takes: int) -> float:
        """Of each take under way: its tiers are side by side, and the slowest tells."""
        return self.chunk_s / max(tier.seconds(self.card, takes) for tier in self.tiers)

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self) | {
            "bound_first_chunk_ms": {str(takes): self.first_chunk_ms(takes) for takes in TAKES},
            "bound_real_time_factor": {str(takes): self.real_time_factor(takes) for takes in TAKES},
        }


def card_bound(name: str, config: PresetConfig, engine: str, reason: str) -> CardBound:
    """Of a preset, which needs no weights. ``engine``: ``cuda`` or ``cuda-bf16``."""
    frames = config.sampling.chunk_frames
    tiers = chunk_cost(config.model, config.sound.mel_bins, frames, bfloat16=engine == "cuda-bf16")
    return CardBound(name, engine, reason, frames, frames / config.sound.frames_per_second, H200, tiers)


def bound_report(bound: CardBound) -> str:
    """A few lines."""
    return "\n".join(_lines(bound)) + "\n"


def _lines(bound: CardBound) -> Iterator[str]:
    card = bound.card
    yield f"nothing measured: {bound.reason}"
    yield (
        f"preset {bound.preset}, engine {bound.engine}, chunks of {bound.chunk_frames} frames "
        f"({1e3 * bound.chunk_s:.0f} ms of sound), counted from the shapes:"
    )
    launches = sum(tier.frames * tier.launches_a_frame for tier in bound.tiers)
    anew = sum(tier.frames * tier.bins * tier.bytes_a_bin for tier in bound.tiers)
    known = sum(tier.frames * tier.bytes_a_frame for tier in bound.tiers)
    reads = f"a take reads {anew / 1e6:.0f} MB bin by bin, all takes together {known / 1e6:.0f} MB"
    yield f"  a chunk is {launches} launches; {reads}"
    for number, tier in enumerate(bound.tiers, 1):
        yield (
            f"  tier {number}: {tier.frames} frames of {tier.bins} bins; {tier.launches_a_frame} launches a frame; "
            f"a bin reads {tier.bytes_a_bin / 1e6:.2f} MB in {tier.steps_a_bin} steps; "
            f"{1e3 * tier.seconds(card, 1):.1f} ms a chunk"
        )
    yield (
        f"at best on an {card.name} (assumed: {card.launch_us:g} us a launch in a graph, {card.step_us:g} us a step of "
        f"a bin and {card.draw_us:g} us to draw it, {card.one_program_gb_s:g} GB/s of the cache for one take and "
        f"{card.cache_gb_s:g} for all, {card.memory_gb_s:g} GB/s of memory):"
    )
    for takes in TAKES:
        yield (
            f"  {takes:2d} at once: first chunk after {bound.first_chunk_ms(takes):.0f} ms, then each take "
            f"{bound.real_time_factor(takes):.1f} times real time"
        )
