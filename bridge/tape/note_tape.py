"""The notes of the tape: what was played on keys, and what takes were given."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from melnet_music.notes.note_map import Note

Track: TypeAlias = Literal["played", "made"]
"""Notes that a musician played, and notes that a take was given, where it sounded."""

_MOST_NOTES = 50_000
"""Of a track; the oldest are dropped."""


@dataclass(frozen=True, order=True)
class TapedNote:
    """One note in device time."""

    start: int
    stop: int
    key: int
    """MIDI note number."""
    velocity: int


def taped(notes: Iterable[Note], at: int, rate_hz: int) -> list[TapedNote]:
    """Notes in seconds from a device time on."""
    return [
        TapedNote(at + round(note.onset_s * rate_hz), at + round(note.end_s * rate_hz), note.pitch, note.velocity)
        for note in notes
    ]


class NoteTape:
    """Notes by when they start. Belongs to one thread."""

    def __init__(self) -> None:
        self._tracks: dict[Track, list[TapedNote]] = {"played": [], "made": []}

    def add(self, track: Track, notes: Iterable[TapedNote]) -> None:
        """Add notes, in any order."""
        for note in notes:
            insort(self._tracks[track], note)
        del self._tracks[track][:-_MOST_NOTES]

    def between(self, track: Track, first: int, stop: int) -> list[TapedNote]:
        """The notes that overlap device times ``first`` to ``stop``, not cut off there, by when they start."""
        return [note for note in self._tracks[track] if note.start < stop and note.stop > first]

    def clear(self) -> None:
        """Remove all notes."""
        for notes in self._tracks.values():
            notes.clear()
