"""Notes of standard MIDI files: when each sounds, in seconds; read and written."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import mido

from melnet_music.notes.keyboard import Keyboard
from melnet_music.notes.note_map import Note

DRUM_CHANNEL = 9
"""Counted from 0; people call it 10. Its notes have no pitch."""
_TEMPO_MICROSECONDS_PER_BEAT = 500_000
_PEDAL_DOWN_FROM = 64
_WRITTEN_TICKS_PER_BEAT = 10_000
"""At the tempo of a file that names none: 20 to a millisecond."""
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
    channels: dict[int, Keyboard] = {}
    tempo, time_s = _TEMPO_MICROSECONDS_PER_BEAT, 0.0
    for message in mido.merge_tracks(midi.tracks):
        time_s += mido.tick2second(message.time, midi.ticks_per_beat, tempo)
        if message.type == "set_tempo":
            tempo = message.tempo
        elif not message.is_meta and getattr(message, "channel", DRUM_CHANNEL) != DRUM_CHANNEL:
            _play(channels.setdefault(message.channel, Keyboard()), message, time_s)
    for keyboard in channels.values():
        keyboard.silence(time_s)
    notes = [note for keyboard in channels.values() for note in keyboard.notes if note.end_s > note.onset_s]
    return sorted(notes, key=lambda note: (note.onset_s, note.pitch))


def write_midi_notes(path: Path, notes: Iterable[Note]) -> None:
    """Write notes as a file of type 0, to a twentieth of a millisecond; replaces a file that is there.

    Raises:
        ValueError: the file cannot be written.
    """
    events: list[tuple[int, int, mido.Message]] = []
    for note in notes:
        onset, end = (
            round(mido.second2tick(max(0.0, at_s), _WRITTEN_TICKS_PER_BEAT, _TEMPO_MICROSECONDS_PER_BEAT))
            for at_s in (note.onset_s, note.end_s)
        )
        if end > onset:
            events.append((onset, 1, mido.Message("note_on", note=note.pitch, velocity=note.velocity)))
            events.append((end, 0, mido.Message("note_off", note=note.pitch)))
    midi, last = mido.MidiFile(type=0, ticks_per_beat=_WRITTEN_TICKS_PER_BEAT), 0
    track = midi.add_track()
    for tick, _, message in sorted(events, key=lambda event: event[:2]):  # a key is let go before it is struck again
        track.append(message.copy(time=tick - last))
        last = tick
    try:
        midi.save(path)
    except OSError as error:
        raise ValueError(f"cannot write {path}: {error.strerror}") from error


def _play(keyboard: Keyboard, message: mido.Message, time_s: float) -> None:
    match message.type:
        case "note_on" if message.velocity > 0:
            keyboard.strike(message.note, message.velocity, time_s)
        case "note_on" | "note_off":
            keyboard.release(message.note, time_s)
        case "control_change" if message.control == _SUSTAIN:
            keyboard.pedal(message.value >= _PEDAL_DOWN_FROM, time_s)
        case "control_change" if message.control == _RESET_CONTROLLERS:
            keyboard.pedal(False, time_s)
        case "control_change" if message.control in (_ALL_SOUND_OFF, _ALL_NOTES_OFF):
            keyboard.silence(time_s)


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
