"""Played keys and pedal as notes: for takes that follow them, as phrases for the model, and for the tape."""

from __future__ import annotations

import math
import time
import weakref
from collections.abc import Callable
from dataclasses import replace

from bridge.processes.job import GivenNote, Phrase
from bridge.processes.messages import Key, Pedal, RequestError
from melnet_music.notes.keyboard import Keyboard
from melnet_music.notes.note_map import Note


class Follower:
    """Notes for one take, as they are played: the keys and the pedal that are down when it begins, and what comes.

    A chunk gets what was played since the one before, in the rhythm in which it was played: what was played just before
    a chunk is sampled is at its end, what was played a chunk's length earlier at its beginning.
    """

    def __init__(self, held: Keyboard, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._keyboard = Keyboard()
        self._waiting: list[Key | Pedal] = [Pedal(held.pedal_is_down, -math.inf)]
        sounding = held.sounding(math.inf)
        self._waiting += [Key(note.pitch, note.velocity, -math.inf) for note in sounding]
        self._waiting += [Key(note.pitch, 0, -math.inf) for note in sounding if note.pitch not in held.keys_down]
        self._last_s = -math.inf
        """Time of the last of them in the take."""
        self._until_s = 0.0
        """Where the last chunk ends: a note that sounds there is given as lasting to the end of the take."""

    def take(self, played: Key | Pedal) -> None:
        self._waiting.append(played)

    @property
    def known_ahead(self) -> bool:
        return False

    def until_now(self, start_s: float, frames: int, frame_s: float) -> list[Note]:
        """See `melnet_music.instrument.take_request.LiveNotes`."""
        now, keyboard = self._now(), self._keyboard
        ended = len(keyboard.notes)
        for played in self._waiting:
            back = max(1.0, min((now - played.at_seconds) / frame_s, frames))
            self._last_s = max(self._last_s, start_s + (frames - math.ceil(back)) * frame_s)
            _play(keyboard, played, self._last_s)
        self._waiting.clear()
        self._until_s = start_s + frames * frame_s
        return [*keyboard.notes[ended:], *keyboard.sounding(self._until_s)]

    @property
    def given(self) -> tuple[GivenNote, ...]:
        """All notes that the take was given so far."""
        notes = [*self._keyboard.notes, *self._keyboard.sounding(self._until_s)]
        return tuple(sorted((note.onset_s, note.end_s, note.pitch, note.velocity) for note in notes))


class PlayedNotes:
    """Belongs to the player's one thread. Times are monotonic."""

    def __init__(self) -> None:
        self._keyboard = Keyboard()
        self._phrase: Keyboard | None = None
        self._follower: Callable[[], Follower | None] = lambda: None
        self.last_seconds = -math.inf
        """When a key was struck last."""

    def take(self, played: Key | Pedal) -> list[Note]:
        """Take one movement of a key or the pedal; returns the notes that it ended."""
        if isinstance(played, Key) and played.velocity:
            self.last_seconds = played.at_seconds
        for keyboard in (self._keyboard, self._phrase):
            if keyboard:
                _play(keyboard, played, played.at_seconds)
        follower = self._follower()
        if follower:
            follower.take(played)
        ended, self._keyboard.notes = self._keyboard.notes, []
        return ended

    def sounding(self, now_seconds: float) -> list[Note]:
        """What is held, by keys or the pedal, as if it ended now."""
        return self._keyboard.sounding(now_seconds)

    def release_all(self, now_seconds: float) -> list[Note]:
        """Release all keys and the pedal; returns the notes that this ended."""
        ups: list[Key | Pedal] = [Pedal(False, now_seconds)]
        ups += [Key(note.pitch, 0, now_seconds) for note in self._keyboard.sounding(now_seconds)]
        return [note for up in ups for note in self.take(up)]

    def follow(self) -> Follower:
        """A follower for a new take: it gets what is held and played from now on, while the take keeps a reference.

        The follower before it gets nothing more.
        """
        follower = Follower(self._keyboard)
        self._follower = weakref.ref(follower)
        return follower

    def begin_phrase(self) -> None:
        """What is played from now on is a phrase; one that was begun before is dropped."""
        self._phrase = Keyboard()
        self._phrase.pedal(self._keyboard.pedal_is_down, 0.0)

    def end_phrase(self, now_seconds: float) -> Phrase:
        """The phrase, up to its last note's end, or to now.

        Raises:
            RequestError: nothing was played.
        """
        phrase, self._phrase = self._phrase, None
        if phrase:
            phrase.pedal(False, now_seconds)
            phrase.silence(now_seconds)
        notes = [note for note in phrase.notes if note.end_s > note.onset_s] if phrase else []
        if not notes:
            raise RequestError("refused", "no note was played since /melnet/notes/prompt/start: play a phrase first")
        begin, end = min(note.onset_s for note in notes), max(note.end_s for note in notes)
        shifted = [replace(note, onset_s=note.onset_s - begin, end_s=note.end_s - begin) for note in notes]
        given = sorted((note.onset_s, note.end_s, note.pitch, note.velocity) for note in shifted)
        return Phrase(tuple(given), end - begin, end)


def _play(keyboard: Keyboard, played: Key | Pedal, time_s: float) -> None:
    match played:
        case Pedal():
            keyboard.pedal(played.down, time_s)
        case Key(velocity=0):
            keyboard.release(played.key, time_s)
        case Key():
            keyboard.release(played.key, time_s)  # pressed again without a release, it is still one key
            keyboard.strike(played.key, played.velocity, time_s)
