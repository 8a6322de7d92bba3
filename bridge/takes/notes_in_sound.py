"""The planned notes of one take in device time: told once each, as soon as it is known what they are and where."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import replace

from bridge.processes.job import Job, SoundingNote
from bridge.processes.messages import PlannedNotesKnown, PlannedNotesMoved
from bridge.takes.take_request import given_notes, notes_in_sound
from melnet_music.notes.note_map import Note

_MOST_AT_ONCE = 32
"""A long take that was planned before is told bit by bit, lest clients lose datagrams."""


class NotesInSound:
    """Belongs to the player's one thread."""

    def __init__(self, job: Job, rate_hz: int) -> None:
        """
        Args:
            rate_hz: of the sound device.
        """
        self._job, self._rate_hz = job, rate_hz
        self._known: Counter[Note] = Counter()
        self._untold: deque[Note] = deque()
        self._origin: int | None = None
        """Device time of the take's first sample, as it was told."""

    def know(self, notes: Iterable[Note]) -> None:
        """Take all notes that the take was given so far, in seconds from where its new sound begins."""
        known = Counter(notes)
        new = sorted((known - self._known).elements(), key=lambda note: (note.onset_s, note.pitch))
        self._known = known
        self._untold += notes_in_sound(replace(self._job, notes=given_notes(new)))

    @property
    def planned(self) -> tuple[Note, ...]:
        """All notes that the take was given so far, in seconds from where its new sound begins."""
        return tuple(sorted(self._known.elements(), key=lambda note: (note.onset_s, note.pitch)))

    def tell(self, origin: int | None) -> list[PlannedNotesKnown | PlannedNotesMoved]:
        """What there is to be told now, at most 32 notes: call it again and again.

        Args:
            origin: device time of the take's first sample; None: it is not known.
        """
        if origin is None:
            return []
        events: list[PlannedNotesKnown | PlannedNotesMoved] = []
        number, before, self._origin = self._job.number, self._origin, origin
        if before is not None and origin != before:
            events.append(PlannedNotesMoved(number, origin - before))
        notes = [self._untold.popleft() for _ in range(min(_MOST_AT_ONCE, len(self._untold)))]
        sounding = tuple(self._in_device_time(note, origin) for note in notes if self._begins_in_time(note))
        if sounding:
            events.append(PlannedNotesKnown(number, sounding))
        return events

    def _begins_in_time(self, note: Note) -> bool:
        """Whether it begins before the take ends: the model is shown notes to the end of a chunk."""
        return note.onset_s < self._job.length_seconds

    def _in_device_time(self, note: Note, origin: int) -> SoundingNote:
        first, stop = (
            origin + round(seconds * self._rate_hz)
            for seconds in (note.onset_s, min(note.end_s, self._job.length_seconds))
        )
        return first, max(first + 1, stop), note.pitch, note.velocity
