"""Notes beside the tape's sound: what was played on keys, and what takes were given to play."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

Lane: TypeAlias = Literal["played", "made"]
"""Of a key that somebody played; or of a take, where it sounded."""


_MOST_NOTES = 50_000
"""Of a lane: the oldest are let go of."""


@dataclass(frozen=True, order=True)
class TapedNote:
    """One note in device time."""

    start: int
    stop: int
    key: int
    """MIDI note number."""
    velocity: int


class NoteTape:
    """Notes by when they start. Belongs to one thread."""

    def __init__(self) -> None:
        self._lanes: dict[Lane, list[TapedNote]] = {"played": [], "made": []}

    def add(self, loop_player: Lane, notes: Iterable[TapedNote]) -> None:
        for note in notes:
            insort(self._lanes[loop_player], note)
        del self._lanes[loop_player][:-_MOST_NOTES]

    def between(self, loop_player: Lane, first: int, stop: int) -> list[TapedNote]:
        """The notes of which something sounds there, whole, by when they start."""
        return [note for note in self._lanes[loop_player] if note.start < stop and note.stop > first]

    def clear(self) -> None:
        for notes in self._lanes.values():
            notes.clear()
