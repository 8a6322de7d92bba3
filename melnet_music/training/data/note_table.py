"""Notes in one array: thousands of hours of them can be mapped from disk, and looked up without a loop."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import overload

import numpy as np
import numpy.typing as npt

from melnet_music.notes.midi_file import DRUM_CHANNEL, read_midi_notes
from melnet_music.notes.note_map import Note

COLUMNS = 4
"""Onset and end in seconds, MIDI pitch, MIDI velocity."""


class NoteTable(Sequence[Note]):
    """Notes in order of onset, held as ``float64[N, 4]``: onset and end in seconds, pitch, velocity."""

    def __init__(self, rows: npt.NDArray[np.float64]) -> None:
        self.rows = rows

    @classmethod
    def of(cls, notes: Iterable[Note]) -> NoteTable:
        """The notes in order of onset."""
        rows = [(note.onset_s, note.end_s, note.pitch, note.velocity) for note in notes]
        table = np.array(rows, np.float64).reshape(-1, COLUMNS)
        return cls(table[np.argsort(table[:, 0], kind="stable")])

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, index: int) -> Note: ...
    @overload
    def __getitem__(self, index: slice) -> NoteTable: ...
    def __getitem__(self, index: int | slice) -> Note | NoteTable:
        if isinstance(index, slice):
            return NoteTable(self.rows[index])
        onset_s, end_s, pitch, velocity = self.rows[index].tolist()
        return Note(onset_s, end_s, int(pitch), int(velocity))

    def between(self, start_s: float, stop_s: float) -> NoteTable:
        """Notes that sound anywhere in the span."""
        begun = self.rows[: np.searchsorted(self.rows[:, 0], stop_s)]
        return NoteTable(begun[begun[:, 1] > start_s])

    def earlier(self, by_s: float) -> NoteTable:
        """The same notes, so much earlier."""
        return NoteTable(self.rows - np.array([by_s, by_s, 0, 0]))


def read_notes(path: Path) -> NoteTable:
    """The notes beside a recording: a MIDI file, or ``make-data``'s CSV (drums are left out of both).

    Raises:
        ValueError: the file cannot be read.
    """
    if path.suffix.lower() != ".csv":
        return NoteTable.of(read_midi_notes(path))
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if int(row.get("channel") or 0) != DRUM_CHANNEL]
        return NoteTable.of(
            Note(float(row["onset_s"]), float(row["sounding_end_s"]), int(row["pitch"]), int(row["velocity"]))
            for row in rows
        )
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise ValueError(
            f"{path} cannot be read as notes ({error}), expected columns onset_s, sounding_end_s, pitch, velocity"
        ) from None
