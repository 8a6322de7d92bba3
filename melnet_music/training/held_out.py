"""How likely a model finds music that it was not trained on, and what it helps it to know more than the past."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from melnet_music.model.conditioning import NOTHING_KNOWN, Conditioning
from melnet_music.model.network import MelNet
from melnet_music.model.tiers import decompose
from melnet_music.training.data.features import Work
from melnet_music.training.material.device_works import AnyWorks, DeviceWork

_Some = TypeVar("_Some", bound=Work | DeviceWork)

LOUD_MAGNITUDE = 1e-2
"""Bins above this mel magnitude count as loud: most of the others are background."""
EXCERPT_FRAMES = 512
EXCERPTS = 24
_STEP_FRAMES, _FEWEST_STEPS = 16, 4


@dataclass(frozen=True, eq=False)
class NatSums:
    """Negative log-likelihood in nats of ln magnitude, summed over the bins of each excerpt, ``[E]`` each."""

    nats: npt.NDArray[np.float64]
    bins: npt.NDArray[np.float64]
    loud_nats: npt.NDArray[np.float64]
    """Over the loud bins alone."""
    loud_bins: npt.NDArray[np.float64]

    @staticmethod
    def of(parts: list[tuple[Tensor, Tensor]]) -> NatSums:
        """From (nats of every bin, which bins are loud) of each excerpt."""
        rows = [
            (nats.double().sum().item(), nats.numel(), nats[loud].double().sum().item(), int(loud.sum()))
            for nats, loud in parts
        ]
        return NatSums(*np.array(rows, np.float64).T)

    def __add__(self, other: NatSums) -> NatSums:
        """Both tiers together, excerpt by excerpt."""
        return NatSums(
            self.nats + other.nats,
            self.bins + other.bins,
            self.loud_nats + other.loud_nats,
            self.loud_bins + other.loud_bins,
        )

    @property
    def per_bin(self) -> float:
        return float(self.nats.sum() / self.bins.sum())

    @property
    def per_loud_bin(self) -> float:
        return float(self.loud_nats.sum() / max(self.loud_bins.sum(), 1))


def excerpt_frames(works: AnyWorks) -> int:
    """How long the excerpts of these works can be: `EXCERPT_FRAMES`, or less where all of them are shorter.

    Raises:
        ValueError: none has even a second or so.
    """
    longest = max(len(work.log_mel) for work in works)
    steps = longest // _STEP_FRAMES
    if steps < _FEWEST_STEPS:
        raise ValueError(
            f"the longest held-out recording has {longest} frames, and {_FEWEST_STEPS * _STEP_FRAMES} are needed: "
            "add a longer one"
        )
    return min(EXCERPT_FRAMES, steps * _STEP_FRAMES)


def excerpt_places(
    works: Sequence[_Some], count: int = EXCERPTS, frames: int = EXCERPT_FRAMES
) -> list[tuple[_Some, int]]:
    """(work, first frame) of held-out excerpts, spread evenly over all works: always the same ones.

    Raises:
        ValueError: no work is long enough.
    """
    spans = [(work, start) for work in works for start in range(0, len(work.log_mel) - frames + 1, frames)]
    if not spans:
        raise ValueError(f"no held-out recording has {frames} frames; add a longer one")
    count = min(count, len(spans))
    return [spans[number * len(spans) // count] for number in range(count)]


def excerpts(works: AnyWorks, model: MelNet, count: int = EXCERPTS) -> Iterator[Tensor]:
    """Clips as long as `excerpt_frames`, ``[1, T, M]`` normalised, on the model's device."""
    frames = excerpt_frames(works)
    for work, start in excerpt_places(works, count, frames):
        cut = work.log_mel[start : start + frames]
        clip = cut.float() if isinstance(cut, Tensor) else torch.from_numpy(np.array(cut, np.float32))
        yield model.normalise(clip.to(model.mean.device)).unsqueeze(0)


def held_out_nats(model: MelNet, tier: int, works: AnyWorks, chunk_frames: int | None) -> tuple[float, float]:
    """Negative log-likelihood of held-out excerpts, past known and nothing else.

    Returns:
        nats a bin in ln magnitude over all bins of the tier, and over its loud bins.
    """
    sums = excerpt_nats(model, tier, excerpts(works, model), chunk_frames)
    return sums.per_bin, sums.per_loud_bin


@torch.no_grad()
def excerpt_nats(
    model: MelNet,
    tier: int,
    clips: Iterator[Tensor],
    chunk_frames: int | None,
    notes: Iterator[Tensor] | None = None,
) -> NatSums:
    """Negative log-likelihood of each clip ``[1, T, M]`` under one tier (counted from 0).

    Args:
        notes: the note map ``[1, T, M, 2]`` given with each clip; None: none is.
    """
    parts = []
    for x in clips:
        known = NOTHING_KNOWN if notes is None else Conditioning(notes=next(notes))
        own = decompose(x, model.config)
        channels = model.channels(own[:tier], known, *x.shape[:2])[-1]
        mixed, _ = model.tier(tier)(own[tier], channels, chunk=model.tier_chunk(tier, chunk_frames))
        parts.append((_log_deviation(model, tier, x) - mixed.log_prob(own[tier]), _loud(model, tier, x)))
    return NatSums.of(parts)


@torch.no_grad()
def gap_nats(
    model: MelNet, tier: int, clips: Iterator[Tensor], gap: tuple[int, int], future_frames: int, chunk_frames: int
) -> NatSums:
    """Negative log-likelihood of a gap in each clip, as an instrument repaints it: one chunk after a primed past.

    Args:
        gap: first frame and the one past the last, each a multiple of ``chunk_frames``.
        future_frames: how many frames after it are given; 0: the future is withheld.
    """
    start, stop = gap
    network, parts = model.tier(tier), []
    stride = model.grids[tier].stride_frames
    for x in clips:
        past = decompose(x[:, :start], model.config)
        channels = model.channels(past[:tier], NOTHING_KNOWN, 1, start)[-1]
        chunk = model.tier_chunk(tier, chunk_frames)
        state = network.advance(past[tier], channels, network.initial_state(1), chunk)
        rest = x[:, start : stop + future_frames]
        known: Conditioning[Tensor] = NOTHING_KNOWN
        if future_frames:
            mask = torch.zeros(rest.shape[:2], device=x.device)
            mask[:, stop - start :] = 1.0
            known = Conditioning(rest, mask)
        own = decompose(rest, model.config)
        channels = model.channels(own[:tier], known, *rest.shape[:2])[-1]
        mixed, _ = network(own[tier], channels, state)
        nats = _log_deviation(model, tier, rest) - mixed.log_prob(own[tier])
        made = (stop - start) // stride
        parts.append((nats[:, :made], _loud(model, tier, rest)[:, :made]))
    return NatSums.of(parts)


def _log_deviation(model: MelNet, tier: int, x: Tensor) -> Tensor:
    """What nats of normalised values are short of nats of ln magnitude, on the tier's grid."""
    return decompose(model.deviation.log().expand(x.shape), model.config)[tier]


def _loud(model: MelNet, tier: int, x: Tensor) -> Tensor:
    return decompose(model.denormalise(x), model.config)[tier] > math.log(LOUD_MAGNITUDE)
