"""The notes of what was heard lately, told by an ear while it is heard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from melnet_music.notes.ear.ear import Ear, as_notes
from melnet_music.notes.note_map import Note

KEPT_SECONDS = 60.0
"""How far back from now notes are known."""
_SHORTEST_S = 1e-3


class HeardNotes:
    """Listens with an ear, if there is one. Seconds are those of the instrument: from the last clear."""

    def __init__(self, ear: Ear | None = None, begins_s: float = 0.0, known: Sequence[Note] = ()) -> None:
        """
        Args:
            begins_s: of the first frame that will be heard.
            known: notes that are known already.
        """
        self._ear, self._begins_s = ear, begins_s
        self._state = ear.start() if ear else None
        self._ended = list(known)

    def hear(self, frames: npt.NDArray[np.float32]) -> None:
        """Log-mel frames ``[T, M]`` of the ear's sound; how they are cut makes no difference."""
        if self._ear is None or self._state is None:
            return
        told, self._state = self._ear.hear(self._state, frames)
        self._ended += [self._placed(note) for note in as_notes(self._ear.believed(told))]

    def notes(self, now_s: float) -> tuple[Note, ...]:
        """Those that began within `KEPT_SECONDS` before now, by onset, then pitch; what sounds still ends now."""
        oldest_s = now_s - KEPT_SECONDS
        self._ended = [note for note in self._ended if note.onset_s >= oldest_s]
        open_notes = self._state.tracker.open.values() if self._state else ()
        sounding = [
            self._placed(Note(note.onset_s, note.onset_s + _SHORTEST_S, note.pitch, note.velocity))
            for note in open_notes
        ]
        held = [replace(note, end_s=max(now_s, note.end_s)) for note in sounding if note.onset_s >= oldest_s]
        return tuple(sorted([*self._ended, *held], key=lambda note: (note.onset_s, note.pitch)))

    def _placed(self, note: Note) -> Note:
        return Note(self._begins_s + note.onset_s, self._begins_s + note.end_s, note.pitch, note.velocity)


def note_rows(notes: Sequence[Note]) -> npt.NDArray[np.float64]:
    """``[N, 4]``: onset and end in seconds, pitch and velocity, to be saved."""
    rows = [(note.onset_s, note.end_s, note.pitch, note.velocity) for note in notes]
    return np.array(rows, np.float64).reshape(-1, 4)


def notes_of_rows(rows: npt.NDArray[np.float64]) -> list[Note]:
    """The inverse of `note_rows`.

    Raises:
        ValueError: the array has another shape.
    """
    if rows.ndim != 2 or rows.shape[1] != 4:
        raise ValueError(f"heard notes have shape {rows.shape}, expected [N, 4]")
    return [Note(float(onset), float(end), int(pitch), int(velocity)) for onset, end, pitch, velocity in rows]
