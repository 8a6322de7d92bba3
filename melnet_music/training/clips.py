"""Training clips: what a step of training looks at, drawn at random from the works."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from melnet_music.conditioning import Conditioning
from melnet_music.config import PresetConfig, TierTraining
from melnet_music.model import MelNet
from melnet_music.notes import note_map
from melnet_music.tiers import decompose
from melnet_music.training.features import Work


@dataclass(frozen=True)
class Example:
    """A batch of clips for one tier."""

    own: Tensor
    """``[B, T_g, F_g]``, the bins to learn."""
    channels: Tensor
    """``[B, T_g, F_g, C]``."""
    weight: Tensor
    """``[B, T_g, F_g]``, 0 where the value was given away as a known future."""
    chunk: int | None
    """In the tier's own frames."""


class Clips:
    """Draws training clips: where from, how long, and what is known besides the past."""

    def __init__(self, works: list[Work], config: PresetConfig, model: MelNet, tier: int, seed: int) -> None:
        self.works, self.config, self.model, self.tier = works, config, model, tier
        self.random = np.random.default_rng([seed, tier])

    def draw(self, batch: int, frames: int) -> Example:
        """A batch of clips of ``frames`` full-grid frames, one chunk length and kind of conditioning for all."""
        training, random = self.config.training, self.random
        places = np.array([max(len(work.log_mel) - frames + 1, 0) for work in self.works], float)
        if not places.any():
            raise ValueError(f"every training recording is shorter than a clip of {frames} frames; set clip_frames")
        picks = random.choice(len(self.works), batch, p=places / places.sum())
        starts = [int(random.integers(len(self.works[pick].log_mel) - frames + 1)) for pick in picks]
        clips = [
            torch.from_numpy(self.works[p].log_mel[s : s + frames].copy()) for p, s in zip(picks, starts, strict=True)
        ]
        x = self.model.normalise(torch.stack(clips))
        chunk_frames = random.choice([*training.chunk_frames, 0]).item() or None
        mask = None
        if self.config.model.future_conditioning and random.random() < training.future_probability:
            mask = torch.zeros(batch, frames)
            mask[:, int(random.integers(frames // 4, frames)) :] = 1.0
            chunk_frames = None  # a gap is filled as one chunk, so that all of it sees the future
        notes = None
        if self.config.model.note_conditioning and random.random() < training.notes_probability:
            drawn = [self._notes(self.works[p], s, frames) for p, s in zip(picks, starts, strict=True)]
            notes = torch.from_numpy(np.stack(drawn))
        return self.example(x, Conditioning(None if mask is None else x, mask, notes), chunk_frames)

    def example(self, x: Tensor, known: Conditioning[Tensor], chunk_frames: int | None) -> Example:
        """What the tier learns from clips ``x [B, T, M]`` normalised."""
        own = decompose(x, self.config.model)
        channels = self.model.channels(own[: self.tier], known, *x.shape[:2])[-1]
        weight = torch.ones_like(own[self.tier])
        if known.future_mask is not None:
            weight = 1 - decompose(known.future_mask.unsqueeze(-1).expand_as(x), self.config.model)[self.tier]
        return Example(own[self.tier], channels, weight, self.model.tier_chunk(self.tier, chunk_frames))

    def _notes(self, work: Work, start: int, frames: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        sound = self.config.sound
        span = start / sound.frames_per_second, (start + frames) / sound.frames_per_second
        return note_map(work.notes_between(*span), start, frames, sound)

    def noise(self, example: Example, tier: TierTraining) -> tuple[Example, Tensor | None]:
        """Exposure noise: the example with noisy coarse values, and noise for the past, half of the time each."""
        channels, past = example.channels, None
        if self.tier and tier.coarse_noise and self.random.random() < 0.5:
            sigma = self.random.uniform(0, tier.coarse_noise)
            channels = channels.clone()
            channels[..., 0] += sigma * self._normal(example.own)
        if tier.past_noise and self.random.random() < 0.5:
            past = self.random.uniform(0, tier.past_noise) * self._normal(example.own)
        return Example(example.own, channels, example.weight, example.chunk), past

    def _normal(self, like: Tensor) -> Tensor:
        return torch.from_numpy(self.random.standard_normal(like.shape, dtype=np.float32))
