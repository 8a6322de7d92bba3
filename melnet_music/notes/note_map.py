"""Notes as a map on the mel grid: what the note-conditioning channels of the model see."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from melnet_music.sound.mel_scale import mel_frequencies

if TYPE_CHECKING:
    from melnet_music.model.config import SoundConfig  # brings pydantic along

KNOWN_SILENCE = -0.25
"""Drawn where it is known that nothing sounds. A model sees 0 where notes are not known: a rest is not that."""


@dataclass(frozen=True)
class Note:
    """One sounding note."""

    onset_s: float
    end_s: float
    """When it is damped: key and pedal both up."""
    pitch: int
    """MIDI note number."""
    velocity: int
    """MIDI velocity, 1..127."""


def note_map(
    notes: list[Note], start_frame: int, frames: int, sound: SoundConfig, partials: int
) -> npt.NDArray[np.float32]:
    """Draw notes on frames ``start_frame`` to ``start_frame + frames``.

    A note is drawn on the bins of its first ``partials``, each at the strength 1 / its number.

    Returns:
        ``[T, M, 2]``: strength of notes sounding in the frame, `KNOWN_SILENCE` where there is none; and of notes
        starting in it (scaled by velocity), else 0.
    """
    drawn = np.zeros((frames, sound.mel_bins, 2), np.float32)
    drawn[..., 0] = KNOWN_SILENCE
    bins = partial_bins(sound, partials)
    for note in notes:
        onset = round(note.onset_s * sound.frames_per_second) - start_frame
        end = max(round(note.end_s * sound.frames_per_second) - start_frame, onset + 1)
        if end <= 0 or onset >= frames or not 0 <= note.pitch < len(bins):
            continue
        for number, mel_bin in enumerate(bins[note.pitch], 1):
            sounding = drawn[max(onset, 0) : end, mel_bin, 0]
            np.maximum(sounding, 1 / number, out=sounding)
            if onset >= 0:
                drawn[onset, mel_bin, 1] = max(drawn[onset, mel_bin, 1], note.velocity / 127 / number)
    return drawn


@lru_cache
def partial_bins(sound: SoundConfig, count: int) -> tuple[tuple[int, ...], ...]:
    """The mel bin nearest to each partial below ``fmax_hz``, for every MIDI pitch."""
    centres = mel_frequencies(sound)[1:-1]
    table = []
    for pitch in range(128):
        partials = 440 * 2 ** ((pitch - 69) / 12) * np.arange(1, count + 1)
        table.append(tuple(int(np.abs(centres - hz).argmin()) for hz in partials if hz <= sound.fmax_hz))
    return tuple(table)
