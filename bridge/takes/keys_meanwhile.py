"""Keys that are played while a planned take sounds: told to its plan beat by beat, which then goes on from them too."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from melnet_music.notes.note_map import Note
from melnet_music.notes.score.grid import STEPS_PER_QUARTER

if TYPE_CHECKING:
    from melnet_music.notes.score.planned_notes import PlannedNotes

_UNDER_WAY_SECONDS = 0.05
"""A key that was struck at the end of a beat is known so much later at most."""


class KeysMeanwhile:
    """Of one take. Belongs to the player's one thread."""

    def __init__(self, plan: PlannedNotes) -> None:
        self._plan = plan
        self._next_beat = self._beat_at(0.0)
        """The first that was not told."""

    def tell(self, now_seconds: float, played_in: Callable[[float, float], Iterable[Note]]) -> None:
        """Tell the plan what was played in all beats that are over.

        Args:
            now_seconds: how long the take's new sound has been heard.
            played_in: notes that were played from such a second to another; what sounds still ends now.
        """
        beat = self._beat_at(now_seconds - _UNDER_WAY_SECONDS)
        if beat <= self._next_beat:
            return
        first, self._next_beat = self._next_beat, beat
        times = self._plan.grid.times
        begin_s, end_s = (float(times.seconds_at(each)) for each in (first - 1.0, beat + 0.0))
        notes = [note for note in played_in(begin_s, end_s) if first <= self._beat_at(note.onset_s) < beat]
        if notes:
            self._plan.answer(notes)

    def _beat_at(self, seconds: float) -> int:
        """The beat that a note belongs to which is struck then: a little before a beat is still the beat."""
        steps = float(self._plan.grid.times.beats_at(seconds)) * STEPS_PER_QUARTER
        return math.floor((steps + 1.0) / STEPS_PER_QUARTER)
