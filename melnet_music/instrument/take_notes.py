"""The note maps of a take, chunk by chunk, from notes that are given or played live."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from melnet_music.instrument.take_request import TakeRequest
from melnet_music.model.config import PresetConfig
from melnet_music.notes.note_map import Note, note_map

Samples = npt.NDArray[np.float32]
NoteMaps = Callable[[int, int], Samples | None]
"""(first frame, number of frames) -> their note map ``[1, T, M, 2]``; None: nothing is known about notes."""


def note_maps(request: TakeRequest, join_sample: int, first_frame: int, config: PresetConfig) -> NoteMaps:
    """The note maps of a take's frames; before the new sound begins, notes are not known.

    Args:
        join_sample: where the new sound begins, on the timeline of what was heard.
        first_frame: of that timeline: the frame that the maps are numbered from.
    """
    given, sound = request.notes, config.sound
    if given is None:
        return lambda start, frames: None
    join_s, frame_s = join_sample / sound.sample_rate_hz, 1 / sound.frames_per_second
    join_frame = round(join_s * sound.frames_per_second)

    def drawn_map(start: int, frames: int) -> Samples:
        first = first_frame + start
        before = min(max(join_frame - first, 0), frames)
        notes: Sequence[Note] = ()
        if isinstance(given, tuple):
            notes = given
        elif before < frames:
            notes = given.until_now((first + before) * frame_s - join_s, frames - before, frame_s)
        later = [replace(note, onset_s=join_s + note.onset_s, end_s=join_s + note.end_s) for note in notes]
        drawn = note_map(later, first, frames, sound, config.model.note_partials)
        drawn[:before] = 0
        if not request.rests:
            drawn[~(drawn[..., 0] > 0).any(1)] = 0
        return drawn[None]

    return drawn_map
