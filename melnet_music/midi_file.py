"""Notes of a standard MIDI file: when each sounds, in seconds."""

from __future__ import annotations

import logging
from pathlib import Path

import mido

from melnet_music.notes import Note

log = logging.getLogger(__name__)

DRUM_CHANNEL = 9
"""Counted from 0; people call it 10. Its notes have no pitch."""
_TEMPO_MICROSECONDS_PER_BEAT = 500_000
_PEDAL_DOWN_FROM = 64
_SUSTAIN, _ALL_SOUND_OFF, _RESET_CONTROLLERS, _ALL_NOTES_OFF = 64, 120, 121, 123


def read_midi_notes(path: Path) -> list[Note]:
    """The notes of all tracks, in order of onset, then pitch; drums are left out.

    A note ends when its key is up and its channel's sustain pedal too, at the latest when the same key is struck
    again. Keys struck twice and then released twice end in the order of their strikes. What nobody releases ends
    with the file. Notes that end as they begin are left out.

    Raises:
        ValueError: there is no such file, or it is no MIDI file, cut short, or has no common time (type 2, SMPTE).
    """
    midi = _open(path)
    voices: dict[int, _Voice] = {}
    tempo, time_s = _TEMPO_MICROSECONDS_PER_BEAT, 0.0
    for message in mido.merge_tracks(midi.tracks):
        time_s += mido.tick2second(message.time, midi.ticks_per_beat, tempo)
        if message.type == "set_tempo":
            tempo = message.tempo
        elif not message.is_meta and getattr(message, "channel", DRUM_CHANNEL) != DRUM_CHANNEL:
            voices.setdefault(message.channel, _Voice()).take(message, time_s)
    for voice in voices.values():
        voice.silence(time_s)
    notes = [note for voice in voices.values() for note in voice.notes if note.end_s > note.onset_s]
    return sorted(notes, key=lambda note: (note.onset_s, note.pitch))


class _Voice:
    """One channel's keys and pedal."""

    def __init__(self) -> None:
        self.notes: list[Note] = []
        self._struck: dict[int, tuple[float, int]] = {}
        """Onset and velocity of what sounds, by pitch."""
        self._keys_down: dict[int, int] = {}
        """Releases still to come, by pitch: two voices may hold one key."""
        self._pedal_down = False

    def take(self, message: mido.Message, time_s: float) -> None:
        match message.type:
            case "note_on" if message.velocity > 0:
                self._end(message.note, time_s)
                self._struck[message.note] = (time_s, message.velocity)
                self._keys_down[message.note] = self._keys_down.get(message.note, 0) + 1
            case "note_on" | "note_off":
                left = max(self._keys_down.pop(message.note, 0) - 1, 0)
                if left:
                    self._keys_down[message.note] = left
                elif not self._pedal_down:
                    self._end(message.note, time_s)
            case "control_change" if message.control == _SUSTAIN:
                self._pedal(message.value >= _PEDAL_DOWN_FROM, time_s)
            case "control_change" if message.control == _RESET_CONTROLLERS:
                self._pedal(False, time_s)
            case "control_change" if message.control in (_ALL_SOUND_OFF, _ALL_NOTES_OFF):
                self.silence(time_s)

    def silence(self, time_s: float) -> None:
        """All keys up, whatever the pedal does."""
        self._keys_down.clear()
        for pitch in list(self._struck):
            self._end(pitch, time_s)

    def _pedal(self, down: bool, time_s: float) -> None:
        self._pedal_down = down
        if not down:
            for pitch in self._struck.keys() - self._keys_down.keys():
                self._end(pitch, time_s)

    def _end(self, pitch: int, time_s: float) -> None:
        if pitch in self._struck:
            onset_s, velocity = self._struck.pop(pitch)
            self.notes.append(Note(onset_s, time_s, pitch, velocity))


def _open(path: Path) -> mido.MidiFile:
    if not path.is_file():
        raise ValueError(f"no MIDI file at {path}")
    try:
        midi = mido.MidiFile(path, clip=True)
    except EOFError:
        raise ValueError(f"{path} is empty or cut short, expected a MIDI file; export it again") from None
    # mido answers damage with whatever its parser trips over: OSError, ValueError, KeyError, LookupError, its own.
    except Exception as error:
        raise ValueError(f"{path} cannot be read as MIDI ({error}); export it again") from None
    if midi.type == 2 or midi.ticks_per_beat <= 0:
        what = "type 2" if midi.type == 2 else "SMPTE time"
        raise ValueError(f"{path} is a MIDI file of {what}, expected type 0 or 1 in beats; export it as type 1")
    return midi
