"""Clips for the ear's training: stretches of works at random, made louder, softer, noisier, and coloured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from melnet_music.model.config import SoundConfig
from melnet_music.training.data.note_table import NoteTable
from melnet_music.training.ear.targets import Targets, make_targets
from melnet_music.training.ear.works import EarWork

Float32Array = NDArray[np.float32]

_DRAWN = {"piano": 1.0, "music": 2.0}
"""How often each kind of music is drawn: ensembles are harder to hear."""
_NOTHING = NoteTable(np.zeros((0, 4)))
_UNPITCHED_SHARE, _BESIDE_SHARE = 0.12, 0.2
"""Of clips, those without a note, and those with something else beside the music."""
_SOFTER_DB, _LOUDER_DB = -18.0, 8.0
_BUMPS, _BUMP_DB = 4, 3.0
_NOISE_DB = (-105.0, -62.0)
"""Of the noise's mel magnitudes."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Clips side by side."""

    frames: Tensor
    """``[B, T + lookahead, M]``."""
    targets: dict[str, Tensor]
    """The fields of `Targets`, ``[B, T, P]`` each."""


class ClipMaker:
    """Draws clips; of one kind of music, long works more often than short ones."""

    def __init__(
        self,
        works: Mapping[str, Sequence[EarWork]],
        unpitched: Sequence[Float32Array],
        sound: SoundConfig,
        lookahead_frames: int,
    ) -> None:
        self._works = [list(of_kind) for of_kind in works.values() if of_kind]
        drawn = np.array([_DRAWN[kind] for kind, of_kind in works.items() if of_kind])
        self._drawn = drawn / drawn.sum()
        self._weights = [np.array([len(w.log_mel) for w in of_kind], float) for of_kind in self._works]
        self._unpitched, self._sound, self._lookahead = unpitched, sound, lookahead_frames

    def draw(self, clips: int, frames: int, rng: np.random.Generator, *, plain: bool = False) -> Batch:
        """``plain``: stretches as they are, music only."""
        drawn = [self._clip(frames, rng, plain=plain) for _ in range(clips)]
        targets = {
            name: torch.from_numpy(np.stack([getattr(target, name) for _, target in drawn]))
            for name in Targets.__dataclass_fields__
        }
        return Batch(torch.from_numpy(np.stack([frames for frames, _ in drawn])), targets)

    def _clip(self, frames: int, rng: np.random.Generator, *, plain: bool) -> tuple[Float32Array, Targets]:
        long = frames + self._lookahead
        if not plain and self._unpitched and rng.random() < _UNPITCHED_SHARE:
            heard = self._unpitched_magnitudes(long, rng)
            targets = make_targets(_NOTHING, 0, frames, self._sound.frames_per_second)
            return self._coloured(heard, rng), targets
        kind = int(rng.choice(len(self._works), p=self._drawn))
        weight = self._weights[kind]
        work = self._works[kind][int(rng.choice(len(weight), p=weight / weight.sum()))]
        start = int(rng.integers(max(1, len(work.log_mel) - long)))
        stretch = work.log_mel[start : start + long].astype(np.float32)
        silence = np.float32(np.log(self._sound.magnitude_floor))
        stretch = np.pad(stretch, ((0, long - len(stretch)), (0, 0)), constant_values=silence)
        targets = make_targets(work.notes, start, frames, self._sound.frames_per_second)
        if plain:
            return stretch, targets
        magnitudes = self._magnitudes(stretch)
        if self._unpitched and rng.random() < _BESIDE_SHARE:
            gain = 10.0 ** (rng.uniform(-40.0, -12.0) / 20.0)
            magnitudes = np.hypot(magnitudes, np.float32(gain) * self._unpitched_magnitudes(long, rng))
        return self._coloured(magnitudes, rng), targets

    def _unpitched_magnitudes(self, frames: int, rng: np.random.Generator) -> Float32Array:
        clip = self._unpitched[int(rng.integers(len(self._unpitched)))]
        first = int(rng.integers(max(1, len(clip) - frames)))
        return self._magnitudes(np.resize(clip[first : first + frames], (frames, clip.shape[1])))

    def _magnitudes(self, log_mel: Float32Array) -> Float32Array:
        magnitudes: Float32Array = np.maximum(np.exp(log_mel) - np.float32(self._sound.magnitude_floor), 0.0)
        return magnitudes

    def _coloured(self, magnitudes: Float32Array, rng: np.random.Generator) -> Float32Array:
        """At a level, through an equaliser, over noise of its own colour: log-mel again."""
        bins = np.arange(magnitudes.shape[1], dtype=np.float32)
        gain_db = np.full(len(bins), rng.uniform(_SOFTER_DB, _LOUDER_DB), np.float32)
        noise_db = np.full(len(bins), rng.uniform(*_NOISE_DB), np.float32)
        for _ in range(_BUMPS):
            centre, width = rng.uniform(0, len(bins)), rng.uniform(0.05, 0.4) * len(bins)
            bump = np.exp(-0.5 * np.square((bins - np.float32(centre)) / np.float32(width)))
            gain_db += np.float32(rng.normal(0.0, _BUMP_DB)) * bump
            noise_db += np.float32(rng.normal(0.0, 2 * _BUMP_DB)) * bump
        # magnitudes of noise vary from bin to bin about as Rayleigh's distribution says, less where bins are wide
        noise = np.abs(1.0 + 0.4 * rng.standard_normal(magnitudes.shape, np.float32)) * _ratio(noise_db)
        heard = np.hypot(magnitudes * _ratio(gain_db), noise)
        coloured: Float32Array = np.log(heard + np.float32(self._sound.magnitude_floor))
        return coloured


def _ratio(level_db: Float32Array) -> Float32Array:
    ratio: Float32Array = np.exp(level_db * np.float32(np.log(10.0) / 20.0))
    return ratio
