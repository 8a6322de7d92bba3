"""Notes as piano rolls, and the note maps that a device draws from them for a whole batch at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from melnet_music.model.config import SoundConfig
from melnet_music.notes.note_map import KNOWN_SILENCE, Note, partial_bins
from melnet_music.training.data.note_table import NoteTable

PITCHES = 128
SOUNDING = 128
"""In a roll, added to the velocity (0 to 127) of what starts there."""


def note_roll(notes: Sequence[Note], frames: int, sound: SoundConfig) -> npt.NDArray[np.uint8]:
    """``[T, 128]``, by frame and MIDI pitch: `SOUNDING` while a note sounds, plus its velocity in its first frame.

    Frames are those that `note_map` draws a note on. Notes of other pitches are left out.
    """
    table = notes if isinstance(notes, NoteTable) else NoteTable.of(notes)
    onset_s, end_s, pitches, velocities = table.rows.T
    first = np.rint(onset_s * sound.frames_per_second).astype(np.int64)
    stop = np.maximum(np.rint(end_s * sound.frames_per_second).astype(np.int64), first + 1)
    pitch, velocity = pitches.astype(np.int64), np.clip(velocities, 0, 127).astype(np.uint8)
    drawn = (stop > 0) & (first < frames) & (pitch >= 0) & (pitch < PITCHES)
    first, stop, pitch, velocity = first[drawn], stop[drawn], pitch[drawn], velocity[drawn]
    change = np.zeros((frames + 1, PITCHES), np.int16)
    np.add.at(change, (np.maximum(first, 0), pitch), 1)
    np.add.at(change, (np.minimum(stop, frames), pitch), -1)
    roll = np.where(np.cumsum(change, 0, dtype=np.int16)[:frames] > 0, SOUNDING, 0).astype(np.uint8)
    starts = np.zeros((frames, PITCHES), np.uint8)
    begun = first >= 0
    np.maximum.at(starts, (first[begun], pitch[begun]), velocity[begun])
    return roll + starts


class NoteMaps:
    """Draws note maps on a device: of the same notes the same numbers as `note_map`."""

    def __init__(self, sound: SoundConfig, partials: int, device: torch.device) -> None:
        self._mel_bins = sound.mel_bins
        bins = np.full((partials, PITCHES), sound.mel_bins, np.int64)  # one bin too many: partials that are too high
        for pitch, row in enumerate(partial_bins(sound, partials)):
            bins[: len(row), pitch] = row
        number = np.arange(1, partials + 1)
        velocity = np.arange(PITCHES)
        self._bins = torch.from_numpy(bins).to(device)
        self._sounding = torch.from_numpy((1 / number).astype(np.float32)).to(device)
        self._struck = torch.from_numpy((velocity / 127 / number[:, None]).astype(np.float32)).to(device)

    def draw(self, roll: Tensor) -> Tensor:
        """Of rolls uint8 ``[B, T, 128]``, float32 ``[B, T, M, 2]``."""
        batch, frames, _ = roll.shape
        sounds, velocity = roll >= SOUNDING, (roll % SOUNDING).long()
        grids = roll.new_zeros(2, batch, frames, self._mel_bins + 1, dtype=torch.float32)
        for bins, sounding, struck in zip(self._bins, self._sounding, self._struck, strict=True):
            index = bins.expand(batch, frames, -1)
            grids[0].scatter_reduce_(2, index, sounds * sounding, "amax")
            grids[1].scatter_reduce_(2, index, struck[velocity], "amax")
        sounding, started = grids[..., : self._mel_bins]
        return torch.stack([torch.where(sounding > 0, sounding, KNOWN_SILENCE), started], -1)
