"""What is sent of planned notes, and when: pure, for whoever sends it to bring the time.

Notes lie in device time and are sent when they are heard: the sound device's clock is told again and again, so that
they stay with the sound however long before they were known.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from bridge.clock.device_clock import HeardClock
from bridge.processes.job import SoundingNote

_NOTE_ON, _NOTE_OFF = 0x90, 0x80
_OFF_VELOCITY = 64
_LATE_SECONDS = 0.5
"""A note that would begin later than that (the machine slept) is left out."""


@dataclass(frozen=True)
class PlayNotes:
    """A request: play these notes of a take, besides those that are known."""

    take: int
    notes: tuple[SoundingNote, ...]
    clock: HeardClock


@dataclass(frozen=True)
class MoveNotes:
    """A request: all of a take's notes that have not ended are so many samples later."""

    take: int
    by_samples: int


@dataclass(frozen=True)
class EndNotes:
    """A request: a take ends. Its notes that have not begun by then are dropped, those that sound are released."""

    take: int | None = None
    """None: all takes."""
    at_sample: float | None = None
    """Device time; None: at once."""


NotesRequest: TypeAlias = PlayNotes | MoveNotes | EndNotes | HeardClock
"""A `HeardClock` alone: go by this clock from now on."""


@dataclass(frozen=True, order=True)
class _TimedNote:
    first: int
    stop: int
    key: int
    velocity: int
    take: int

    def moved(self, by_samples: int) -> _TimedNote:
        return _TimedNote(self.first + by_samples, self.stop + by_samples, self.key, self.velocity, self.take)

    def ended(self, at_sample: int) -> _TimedNote:
        return _TimedNote(self.first, min(self.stop, at_sample), self.key, self.velocity, self.take)


class NotesScript:
    """The messages one after the other, on channel 1. All methods belong to one thread."""

    def __init__(self) -> None:
        self._clock: HeardClock | None = None
        self._waiting: list[_TimedNote] = []
        """A heap by where they begin."""
        self._sounding: dict[int, _TimedNote] = {}
        """By key."""

    @property
    def due_seconds(self) -> float | None:
        """Monotonic time of the next message; None: there is nothing to be sent."""
        dues = [note.stop for note in self._sounding.values()]
        if self._waiting:
            dues.append(self._waiting[0].first)
        return self._clock.seconds_of(min(dues)) if self._clock and dues else None

    def follow(self, request: NotesRequest, seconds: float) -> list[bytes]:
        """Go by a request from now on. Returns what is to be sent at once."""
        del seconds
        match request:
            case HeardClock():
                self._clock = request
            case PlayNotes():
                self._clock = request.clock
                for first, stop, key, velocity in request.notes:
                    heapq.heappush(self._waiting, _TimedNote(first, stop, key, velocity, request.take))
            case MoveNotes():
                self._change(request.take, lambda note: note.moved(request.by_samples))
            case EndNotes(at_sample=None):
                return self._end_at_once(request.take)
            case EndNotes(at_sample=float() | int() as at_sample):
                self._change(request.take, lambda note: note.ended(round(at_sample)))
                self._waiting = [note for note in self._waiting if note.first < note.stop]
                heapq.heapify(self._waiting)
        return []

    def tick(self, seconds: float) -> list[bytes]:
        """What is to be sent now, as it is due: of what is due together, note-offs come first."""
        assert self._clock is not None, "due_seconds was None"
        messages: list[bytes] = []
        while True:
            ending = min(self._sounding.values(), key=lambda note: note.stop, default=None)
            beginning = self._waiting[0] if self._waiting else None
            if ending and (beginning is None or ending.stop <= beginning.first):
                if self._clock.seconds_of(ending.stop) > seconds:
                    return messages
                messages.append(self._release(ending.key))
            elif beginning and self._clock.seconds_of(beginning.first) <= seconds:
                heapq.heappop(self._waiting)
                if seconds - self._clock.seconds_of(beginning.first) <= _LATE_SECONDS:
                    messages += self._begin(beginning)
            else:
                return messages

    def _begin(self, note: _TimedNote) -> list[bytes]:
        released = [self._release(note.key)] if note.key in self._sounding else []
        self._sounding[note.key] = note
        return [*released, bytes([_NOTE_ON, note.key, note.velocity])]

    def _release(self, key: int) -> bytes:
        del self._sounding[key]
        return bytes([_NOTE_OFF, key, _OFF_VELOCITY])

    def _change(self, take: int | None, changed: Callable[[_TimedNote], _TimedNote]) -> None:
        """Change the notes of a take, or of all."""
        self._waiting = [changed(note) if take in (None, note.take) else note for note in self._waiting]
        heapq.heapify(self._waiting)
        for key, note in self._sounding.items():
            if take in (None, note.take):
                self._sounding[key] = changed(note)

    def _end_at_once(self, take: int | None) -> list[bytes]:
        self._waiting = [note for note in self._waiting if take not in (None, note.take)]
        heapq.heapify(self._waiting)
        return [self._release(note.key) for note in list(self._sounding.values()) if take in (None, note.take)]
