"""What clips are cut from: recordings mapped from disk, or works on the device that trains from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from melnet_music.model.config import PresetConfig
from melnet_music.notes.note_map import note_map
from melnet_music.training.data.features import Work
from melnet_music.training.material.device_works import AnyWorks, DeviceWork
from melnet_music.training.material.note_rolls import PITCHES, NoteMaps

Array = npt.NDArray[np.float32]
Span = tuple[int, int]
"""Number of a work, and its first frame."""


class ClipMaterial(Protocol):
    """Cuts the clips of a batch, numpy or on the device. ``T`` frames, ``M`` mel bins."""

    lengths: npt.NDArray[np.int64]
    """``[W]``, frames of every work."""

    def log_mel(self, spans: Sequence[Span], gains: Sequence[float], frames: int) -> Array | Tensor:
        """``[B, T, M]``, each clip louder by its gain over the floor."""

    def notes(self, spans: Sequence[Span], given_from: Sequence[int], frames: int) -> Array | Tensor:
        """``[B, T, M, 2]``; zeros before the frame from which a clip's notes are given, and where they are unknown."""

    def noise(self, strengths: Sequence[float], randoms: Sequence[np.random.Generator], frames: int) -> Array | Tensor:
        """``[B, T, M]``, of a strength a clip; what is drawn follows from the clip's own generator."""


def material_of(works: AnyWorks, config: PresetConfig) -> ClipMaterial:
    """That of works on a device, where they are on one."""
    if works and isinstance(works[0], DeviceWork):
        return DeviceMaterial(works, config)
    return HostMaterial(cast("list[Work]", works), config)


class HostMaterial:
    """Recordings mapped from disk."""

    def __init__(self, works: list[Work], config: PresetConfig) -> None:
        self._works, self._sound, self._partials = works, config.sound, config.model.note_partials
        self._changes_level = config.training.level_range_db > 0
        self.lengths = np.array([len(work.log_mel) for work in works])

    def log_mel(self, spans: Sequence[Span], gains: Sequence[float], frames: int) -> Array:
        clips = np.stack([self._works[work].log_mel[at : at + frames] for work, at in spans]).astype(np.float32)
        if self._changes_level:
            floor, gain = np.float32(self._sound.magnitude_floor), np.array(gains, np.float32)[:, None, None]
            clips = np.log(np.maximum(np.exp(clips) - floor, 0) * gain + floor)
        return clips

    def notes(self, spans: Sequence[Span], given_from: Sequence[int], frames: int) -> Array:
        maps = np.zeros((len(spans), frames, self._sound.mel_bins, 2), np.float32)
        rate = self._sound.frames_per_second
        for drawn, (work, at), first in zip(maps, spans, given_from, strict=True):
            if self._works[work].notes:
                known = self._works[work].notes_between((at + first) / rate, (at + frames) / rate)
                drawn[first:] = note_map(known, at + first, frames - first, self._sound, self._partials)
        return maps

    def noise(self, strengths: Sequence[float], randoms: Sequence[np.random.Generator], frames: int) -> Array:
        noise = np.zeros((len(strengths), frames, self._sound.mel_bins), np.float32)
        for row, strength, random in zip(noise, strengths, randoms, strict=True):
            if strength:
                row[:] = random.standard_normal(row.shape, np.float32) * np.float32(strength)
        return noise


class DeviceMaterial:
    """Works on a device."""

    def __init__(self, works: list[DeviceWork], config: PresetConfig) -> None:
        self._works, self._floor, self._mel_bins = works, config.sound.magnitude_floor, config.sound.mel_bins
        self._changes_level = config.training.level_range_db > 0
        self._device = works[0].log_mel.device
        self._maps = NoteMaps(config.sound, config.model.note_partials, self._device)
        self._generator = torch.Generator(self._device)
        self.lengths = np.array([len(work.log_mel) for work in works])

    def log_mel(self, spans: Sequence[Span], gains: Sequence[float], frames: int) -> Tensor:
        clips = torch.stack([self._works[work].log_mel[at : at + frames] for work, at in spans]).float()
        if self._changes_level:
            gain = torch.tensor(gains, dtype=torch.float32, device=self._device)[:, None, None]
            clips = torch.log((clips.exp() - self._floor).clamp(min=0) * gain + self._floor)
        return clips

    def notes(self, spans: Sequence[Span], given_from: Sequence[int], frames: int) -> Tensor:
        rolls = [self._works[work].roll for work, _ in spans]
        silent = torch.zeros(frames, PITCHES, dtype=torch.uint8, device=self._device)
        parts = [silent if roll is None else roll[at : at + frames] for roll, (_, at) in zip(rolls, spans, strict=True)]
        never = [frames if roll is None else first for roll, first in zip(rolls, given_from, strict=True)]
        first = torch.tensor(never, device=self._device)
        given = torch.arange(frames, device=self._device) >= first[:, None]
        return self._maps.draw(torch.stack(parts)) * given[..., None, None]

    def noise(self, strengths: Sequence[float], randoms: Sequence[np.random.Generator], frames: int) -> Tensor:
        noise = torch.zeros(len(strengths), frames, self._mel_bins, device=self._device)
        for row, strength, random in zip(noise, strengths, randoms, strict=True):
            if strength:
                row.normal_(generator=self._generator.manual_seed(int(random.integers(2**63)))).mul_(strength)
        return noise
