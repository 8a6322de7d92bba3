"""What is measured on: a preset, music it has heard, and chunks to be drawn."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from melnet_music.model.preset import PHRASE_FILE, Preset
from melnet_music.model.tiers import TierGrid, tier_grids
from melnet_music.sampling.engine import Chunk, Engine, SamplerState, Sharpness, take_noise
from melnet_music.sound.audio_file import read_audio
from melnet_music.sound.mel import LogMelStream

Samples = NDArray[np.float32]

_NOISE_SECONDS = 8.0


class Material:
    """A preset with its own chunk length and sampling values."""

    def __init__(self, preset: Preset) -> None:
        self.preset, self.chunk_frames = preset, preset.config.sampling.chunk_frames
        self.chunk_s = self.chunk_frames / preset.config.sound.frames_per_second
        """Of sound."""
        self.chunk_bins = self.chunk_frames * preset.mel_bins

    @property
    def grids(self) -> list[TierGrid]:
        """Of all tiers."""
        return tier_grids(self.preset.config.model, self.preset.mel_bins)

    @cached_property
    def heard(self) -> Samples:
        """The preset's phrase, or noise: float32[n] at the preset's rate."""
        rate, phrase = self.preset.config.sound.sample_rate_hz, self.preset.path / PHRASE_FILE
        if phrase.exists():
            return read_audio(phrase).mono_at(rate)
        noise = np.random.default_rng(0).standard_normal(round(_NOISE_SECONDS * rate), np.float32)
        return np.float32(0.1) * noise

    def heard_frames(self, chunks: int) -> NDArray[Any]:
        """So many chunks of normalised frames ``[1, T, M]`` of what was heard, from the start again and again."""
        log_mel = LogMelStream(self.preset.config.sound).push(self.heard)
        normalised = (log_mel - self.preset.weights["mean"]) / self.preset.weights["deviation"]
        return np.resize(normalised, (1, chunks * self.chunk_frames, self.preset.mel_bins))

    def primed(self, engine: Engine, frames: NDArray[Any]) -> SamplerState:
        """The state after frames ``[1, T, M]``, whole chunks of them, fed one by one as the instrument does it."""
        state, step = engine.init_state(), self.chunk_frames
        for first in range(0, frames.shape[1], step):
            state = engine.prime(state, frames[:, first : first + step], step)
        return state

    def take(self, seed: int = 0) -> Iterator[Chunk]:
        """The chunks of a take that does not end; their noise is made as they are asked for."""
        sharpness = Sharpness.of(self.preset.config.sampling)
        for place in count(0, self.chunk_frames):
            yield Chunk(take_noise(seed, place, self.chunk_frames, self.preset.mel_bins), sharpness)
