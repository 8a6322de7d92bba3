"""Works whose frames and notes lie on the device that trains from them: nothing is fetched from step to step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from melnet_music.model.config import SoundConfig
from melnet_music.notes.note_map import Note
from melnet_music.training.data.features import Work
from melnet_music.training.material.note_rolls import PITCHES, note_roll

_BIN_BYTES = 2
"""Half precision, which errs by 0.004 nats at most."""


@dataclass(frozen=True, eq=False)
class DeviceWork:
    """One recording, or one composed work, on a device."""

    name: str
    log_mel: Tensor
    """float16 ``[T, M]``."""
    roll: Tensor | None
    """uint8 ``[T, 128]``, of `note_roll`; None where the notes are unknown."""
    audio: Tensor | None = None
    """float32 ``[n]`` at the rate of the sound settings, where it was kept."""
    sample_rate_hz: int = 0

    def read_audio(self, start_s: float, stop_s: float) -> npt.NDArray[np.float32]:
        """That part of its sound: float32 ``[n]``, mono.

        Raises:
            ValueError: its sound was not kept.
        """
        if self.audio is None:
            raise ValueError(f"{self.name} has frames only, no sound to read")
        part = self.audio[round(start_s * self.sample_rate_hz) : round(stop_s * self.sample_rate_hz)]
        samples: npt.NDArray[np.float32] = part.cpu().numpy()
        return samples


AnyWorks = list[Work] | list[DeviceWork]
"""What can be trained from and measured on."""


def device_work(
    name: str, log_mel: Tensor, notes: Sequence[Note], sound: SoundConfig, audio: Tensor | None = None
) -> DeviceWork:
    """A work of frames ``[T, M]`` that are on the device already; ``notes``: empty where unknown."""
    roll = None
    if len(notes):
        roll = torch.from_numpy(note_roll(notes, len(log_mel), sound)).to(log_mel.device)
    return DeviceWork(name, log_mel.to(torch.float16), roll, audio, sound.sample_rate_hz)


def bytes_on_device(works: Sequence[Work], sound: SoundConfig) -> int:
    """What `put_on_device` will take there."""
    return sum(len(work.log_mel) for work in works) * (_BIN_BYTES * sound.mel_bins + PITCHES)


def put_on_device(works: Sequence[Work], sound: SoundConfig, device: torch.device) -> list[DeviceWork]:
    """Recordings as works on a device."""
    return [
        device_work(work.name, torch.from_numpy(np.array(work.log_mel, np.float16)).to(device), work.notes, sound)
        for work in works
    ]
