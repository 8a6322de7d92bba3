"""Training clips: what a step of training looks at.

Every draw follows from the seed, the tier, the step and the clip's place in the batch alone. So a run that was
killed goes on as if nothing had happened, clips can be drawn ahead by other threads, and processes that share a batch
each draw their own part of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from melnet_music.model.conditioning import Conditioning
from melnet_music.model.config import PresetConfig
from melnet_music.model.network import MelNet
from melnet_music.model.tiers import decompose
from melnet_music.training.material.clip_material import Array, material_of
from melnet_music.training.material.device_works import AnyWorks
from melnet_music.training.material.rows import RowPlaces


@dataclass(frozen=True, eq=False)
class Clips:
    """A batch of clips of one length, as drawn: full grid, numpy or on the device. ``T`` frames, ``M`` mel bins."""

    log_mel: Array | Tensor
    """``[B, T, M]``."""
    notes: Array | Tensor | None
    """``[B, T, M, 2]``, or None where no clip of the batch comes with its notes."""
    gap: tuple[int, int] | None
    """Frames to be repainted: what follows them is known, and the gap and it are one chunk. None: no future."""
    chunk_frames: int | None
    """Look-ahead restarts after this many frames; None: never."""
    past_noise: Array | Tensor
    """``[B, T, M]``, to be added to what the stacks over the past see; all zeros for half of the clips."""
    coarse_noise: Array | Tensor
    """``[B, T, M]``, to be added to the coarse values that an upsampling tier sees."""
    before_frames: int = 0
    """The first so many of the T are only heard."""
    begins: npt.NDArray[np.bool_] | None = None
    """``[B]``, where rows follow recordings: which begin one. None: every clip stands for itself."""
    places: RowPlaces | None = None
    """Where such rows are after these clips."""


@dataclass(frozen=True, eq=False)
class Example:
    """A batch for one tier. ``T_g``, ``F_g``: the tier's own frames and bins; ``C``: channels."""

    own: Tensor
    """``[B, T_g, F_g]``, the bins to learn."""
    channels: Tensor
    """``[B, T_g, F_g, C]``."""
    weight: Tensor
    """``[B, T_g, F_g]``, 0 where the value was given away as a known future."""
    past_noise: Tensor
    """``[B, T_g, F_g]``."""
    parts: tuple[tuple[int, int | None], ...]
    """Consecutive parts in the tier's own frames: where each stops, and its chunk length."""
    before: tuple[int, int | None] = (0, None)
    """So many of the tier's own frames are only heard, in chunks of so many."""


class ClipDrawer:
    """Draws batches: where from, how long, what is known besides the past, and how noisy what is known."""

    def __init__(self, works: AnyWorks, config: PresetConfig, tier: int, seed: int) -> None:
        """``tier`` counts from 0."""
        self.config, self.tier, self.seed = config, tier, seed
        self._material = material_of(works, config)
        self._lengths = self._material.lengths

    def draw(self, step: int, rows: range, frames: int, places: RowPlaces | None = None) -> Clips:
        """The clips ``rows`` of the batch of one step, each of ``frames`` frames to learn: a multiple of a group's.

        ``places``: where rows that follow recordings are; None: every clip is drawn from anywhere.

        Raises:
            ValueError: every work is shorter than that.
        """
        training, model = self.config.training, self.config.model
        shared = self._random(step)
        chunk = shared.choice([*training.chunk_frames, 0]).item() or None
        gap = None
        if shared.random() < training.future_probability and model.future_conditioning:
            gap = _draw_gap(shared, frames, model.frames_per_group)
        before = 0 if places else self._before_frames(step, frames)
        if gap is not None:
            gap = before + gap[0], before + gap[1]
        frames += before
        with_notes = shared.random() < training.notes_probability and model.note_conditioning
        randoms = [self._random(step, row) for row in rows]
        # a clip that stands for itself is a row's that begins anew, at any place
        here, begins = (places or RowPlaces.none_yet(len(rows))).moved(
            frames, self._lengths, training.level_range_db, randoms, anywhere=places is None
        )
        spans = list(zip(here.work.tolist(), here.at.tolist(), strict=True))
        # notes may be given from anywhere in the clip on: a player comes in when he likes
        given_from = [int(random.integers(frames)) if random.random() < 0.5 else 0 for random in randoms]
        notes = self._material.notes(spans, given_from, frames) if with_notes else None
        log_mel = self._material.log_mel(spans, here.gain.tolist(), frames)
        plan = training.tiers[self.tier]
        past_noise, coarse_noise = (
            self._material.noise([_strength(random, largest) for random in randoms], randoms, frames)
            for largest in (plan.past_noise, plan.coarse_noise)
        )
        drawn = Clips(log_mel, notes, gap, chunk, past_noise, coarse_noise, before)
        return drawn if places is None else replace(drawn, begins=begins, places=here.after(frames))

    def _before_frames(self, step: int, frames: int) -> int:
        """How much is heard before the clips of a step: nothing for half of them, then any length as likely."""
        most = min(self.config.training.tiers[self.tier].before_frames, int(self._lengths.max()) - frames)
        unit = max(*self.config.training.chunk_frames, self.config.model.frames_per_group)
        if most < unit:
            return 0
        random = self._random(step, _BEFORE)
        return int(random.integers(1, most // unit + 1)) * unit if random.random() < 0.5 else 0

    def _random(self, step: int, row: int = -1) -> np.random.Generator:
        return np.random.default_rng((self.seed, self.tier, step, row + 1))


_BEFORE = 1 << 30
"""In place of a clip's row, where what all clips of a step share is drawn beside the rest."""


def _strength(random: np.random.Generator, largest: float) -> float:
    """Of noise: drawn up to ``largest``; for half of the draws none."""
    return random.uniform(0, largest) * (random.random() < 0.5)


def _draw_gap(random: np.random.Generator, frames: int, group: int) -> tuple[int, int] | None:
    """A gap of one group up to most of a clip, its length spread log-uniformly, with some past and future."""
    groups = frames // group
    if groups < 3:
        return None
    length = min(int(math.exp(random.uniform(0, math.log(groups - 1)))), groups - 2)
    start = int(random.integers(1, groups - length))
    return start * group, (start + length) * group


def make_example(clips: Clips, model: MelNet, tier: int) -> Example:
    """What a tier learns from clips, on the model's device. ``tier`` counts from 0."""
    device, config = model.mean.device, model.config

    def put(values: Array | Tensor) -> Tensor:
        return values if isinstance(values, Tensor) else torch.from_numpy(values).to(device, non_blocking=True)

    x = model.normalise(put(clips.log_mel))
    batch, frames, _ = x.shape
    mask = None
    if clips.gap is not None:
        mask = torch.zeros(batch, frames, device=device)
        mask[:, clips.gap[1] :] = 1.0
    notes = None if clips.notes is None else put(clips.notes)
    own = decompose(x, config)
    known = Conditioning(None if mask is None else x, mask, notes)
    coarse = decompose(x + put(clips.coarse_noise), config)[:tier]
    channels = model.channels(coarse, known, batch, frames)[-1]
    stride = model.grids[tier].stride_frames
    before = clips.before_frames // stride
    weight = torch.ones_like(own[tier])
    if mask is not None:
        weight = 1 - decompose(mask.unsqueeze(-1).expand_as(x), config)[tier]
    weight[:, :before] = 0.0
    chunk = model.tier_chunk(tier, clips.chunk_frames)
    parts: tuple[tuple[int, int | None], ...] = ((frames // stride, chunk),)
    if clips.gap is not None:
        parts = ((clips.gap[0] // stride, chunk), (frames // stride, None))
    noise = decompose(put(clips.past_noise), config)[tier]
    example = Example(own[tier], channels, weight, noise, parts, (before, chunk))
    return example if config.chunked_lookahead else replace(example, parts=((frames // stride, None),))
