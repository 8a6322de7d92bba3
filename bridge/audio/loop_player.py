"""The loop: a stretch of sound that the audio process repeats beside what the ring brings, until it is given another.

It lies in shared memory, so that it goes on while the player is busy, and when the player dies. Three parties, and
every control word has exactly one that writes it: the player puts stretches, the audio process plays them (``add``),
the stage can hush all at once.

A stretch begins at a device time, in phase with an origin; the one that plays until then is faded into it. Where both
are equal nothing changes, to the bit. There are four rooms: one plays, one fades out, one waits for its time, one is
free.
"""

from __future__ import annotations

from multiprocessing.shared_memory import SharedMemory

import numpy as np

from bridge.audio.shared_samples import Samples, SharedSamples

FADE_SAMPLES = 480
"""Of the change from one stretch to another."""
_ROOMS = 4
_NOTHING = -1
_MOST_AT_ONCE = 8192

# The player's words.
_SERIAL = 9  # odd while the next four are being written
_ROOM = 10
_ORIGIN = 11  # device time of the stretch's first sample, in any pass
_LENGTH = 12
_AT = 13  # device time from which it plays
# Words that the audio process writes.
_PLAYING = 17  # room, or _NOTHING
_FADING = 18  # likewise
_HUSHED = 19
# The stage's word.
_HUSH = 24


class LoopPlayer(SharedSamples):
    """Mono float32 at the device's rate."""

    def __init__(self, memory: SharedMemory, *, owner: bool) -> None:
        super().__init__(memory, owner=owner)
        self.room_samples = self.capacity_samples // _ROOMS
        """The longest stretch."""
        if owner:
            self._words[_ROOM] = self._words[_PLAYING] = self._words[_FADING] = _NOTHING
        self._now = self._next = (_NOTHING, 0, 1, 0)  # room, origin, length, from when
        self._old = self._now
        self._taken_serial = 0
        self._fade_left = 0
        self._down = np.linspace(1.0, 0.0, FADE_SAMPLES, endpoint=False, dtype=np.float32)
        self._new_part = np.zeros(_MOST_AT_ONCE, np.float32)
        self._old_part = np.zeros(_MOST_AT_ONCE, np.float32)

    # --- the player -------------------------------------------------------------------------------------

    def put(self, stretch: Samples, origin: int, at: int) -> None:
        """Player only: repeat ``stretch`` from device time ``at`` on, as if it had begun at ``origin``.

        Raises:
            ValueError: it is empty, or too long.
        """
        if not 0 < len(stretch) <= self.room_samples:
            raise ValueError(f"a loop has 1 to {self.room_samples} samples, got {len(stretch)}")
        taken = (self._words[_ROOM], self._words[_PLAYING], self._words[_FADING])
        room = next(number for number in range(_ROOMS) if number not in taken)
        self._samples[room * self.room_samples :][: len(stretch)] = stretch
        self._publish(room, origin, len(stretch), at)

    def stop(self, at: int) -> None:
        """Player only: fade out at device time ``at``."""
        self._publish(_NOTHING, 0, 1, at)

    def _publish(self, room: int, origin: int, length: int, at: int) -> None:
        words = self._words
        words[_SERIAL] |= 1  # it is odd already where a predecessor was killed in between
        words[_ROOM], words[_ORIGIN], words[_LENGTH], words[_AT] = room, origin, length, at
        words[_SERIAL] += 1

    # --- the stage --------------------------------------------------------------------------------------

    def hush(self) -> None:
        """Stage only: fade out now, and forget what waits; the player's next stretch plays again."""
        self._words[_HUSH] += 1

    # --- the audio process ------------------------------------------------------------------------------------

    def add(self, out: Samples, asked: int) -> None:
        """Audio process only, real-time safe: add the loop to ``out``, float32 ``[n]`` from this device time on."""
        self._look()
        done = 0
        while done < len(out):
            at = asked + done
            if self._next is not self._now and self._next[3] <= at:
                self._turn()
            count = min(len(out) - done, _MOST_AT_ONCE)
            if self._next is not self._now:
                count = min(count, self._next[3] - at)
            if self._fade_left:
                count = min(count, self._fade_left)
            self._add_part(out[done : done + count], at)
            done += count

    def _look(self) -> None:
        words = self._words
        serial = words[_SERIAL]
        if words[_HUSH] != words[_HUSHED]:
            words[_HUSHED] = words[_HUSH]
            self._taken_serial = serial
            self._next = (_NOTHING, 0, 1, 0)
        elif serial != self._taken_serial and serial % 2 == 0:
            seen = (words[_ROOM], words[_ORIGIN], words[_LENGTH], words[_AT])
            if serial == words[_SERIAL]:
                self._next, self._taken_serial = seen, serial

    def _turn(self) -> None:
        self._old, self._now = self._now, self._next
        self._fade_left = FADE_SAMPLES
        self._words[_FADING] = self._old[0]  # before it plays no more: it must not seem free
        self._words[_PLAYING] = self._now[0]

    def _add_part(self, out: Samples, at: int) -> None:
        new = self._new_part[: len(out)]
        self._copy_stretch(new, self._now, at)
        out += new
        if self._fade_left:
            old = self._old_part[: len(out)]
            self._copy_stretch(old, self._old, at)
            old -= new  # exactly nothing where both are equal
            begin = FADE_SAMPLES - self._fade_left
            old *= self._down[begin : begin + len(out)]
            out += old
            self._fade_left -= len(out)
            if not self._fade_left:
                self._words[_FADING] = _NOTHING

    def _copy_stretch(self, out: Samples, stretch: tuple[int, int, int, int], at: int) -> None:
        room, origin, length, _ = stretch
        if room == _NOTHING:
            out[:] = 0.0
            return
        first = room * self.room_samples
        done = 0
        while done < len(out):
            place = (at + done - origin) % length
            count = min(len(out) - done, length - place)
            out[done : done + count] = self._samples[first + place : first + place + count]
            done += count
