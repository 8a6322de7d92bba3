"""Keys and a sustain pedal: when each note begins and ends."""

from __future__ import annotations

from melnet_music.notes.note_map import Note


class Keyboard:
    """One channel's keys and pedal. Times are seconds of any clock and never go back."""

    def __init__(self) -> None:
        self.notes: list[Note] = []
        """That have ended, in order of their ends."""
        self._struck: dict[int, tuple[float, int]] = {}
        """Onset and velocity of what sounds, by pitch."""
        self._keys_down: dict[int, int] = {}
        """Releases still to come, by pitch: two voices may hold one key."""
        self._pedal_down = False

    def strike(self, pitch: int, velocity: int, time_s: float) -> None:
        """The same key struck again ends its note first."""
        self._end(pitch, time_s)
        self._struck[pitch] = (time_s, velocity)
        self._keys_down[pitch] = self._keys_down.get(pitch, 0) + 1

    def release(self, pitch: int, time_s: float) -> None:
        """Keys struck twice and then released twice end in the order of their strikes."""
        left = max(self._keys_down.pop(pitch, 0) - 1, 0)
        if left:
            self._keys_down[pitch] = left
        elif not self._pedal_down:
            self._end(pitch, time_s)

    def pedal(self, down: bool, time_s: float) -> None:
        """What is not held by its key ends when the pedal goes up."""
        self._pedal_down = down
        if not down:
            for pitch in self._struck.keys() - self._keys_down.keys():
                self._end(pitch, time_s)

    def silence(self, time_s: float) -> None:
        """All keys up, whatever the pedal does."""
        self._keys_down.clear()
        for pitch in list(self._struck):
            self._end(pitch, time_s)

    @property
    def keys_down(self) -> set[int]:
        """The pitches of the keys that are held, whatever the pedal does."""
        return set(self._keys_down)

    @property
    def pedal_is_down(self) -> bool:
        return self._pedal_down

    def sounding(self, until_s: float) -> list[Note]:
        """The notes that sound, as if they ended then."""
        return [Note(onset_s, until_s, pitch, velocity) for pitch, (onset_s, velocity) in self._struck.items()]

    def _end(self, pitch: int, time_s: float) -> None:
        if pitch in self._struck:
            onset_s, velocity = self._struck.pop(pitch)
            self.notes.append(Note(onset_s, time_s, pitch, velocity))
