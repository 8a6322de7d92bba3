"""Notes of standard MIDI files: when each sounds, in seconds; read and written."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mido
import numpy as np

from melnet_music.notes.beat_times import BeatTimes
from melnet_music.notes.keyboard import Keyboard
from melnet_music.notes.note_map import Note

DRUM_CHANNEL = 9
"""Counted from 0; people call it 10. Its notes have no pitch."""
_TEMPO_MICROSECONDS_PER_BEAT = 500_000
_PEDAL_DOWN_FROM = 64
_WRITTEN_TICKS_PER_BEAT = 10_000
"""At the tempo of a file that names none: 20 to a millisecond."""
_TIMED_TICKS_PER_BEAT = 9_600
"""Where the tempo is written too."""
_SLOWEST_TEMPO = (1 << 24) - 1
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


@dataclass(frozen=True, eq=False)
class MidiTiming:
    """Tempo and meter of a MIDI file."""

    times: BeatTimes
    """Beat 0 at second 0."""
    meters: tuple[tuple[float, int, int], ...]
    """(beat, numerator, denominator) where one begins; the first at beat 0."""


def read_midi_timing(path: Path) -> MidiTiming:
    """When the beats of a file are, and its meters: 120 bpm and 4/4 where it names none.

    Raises:
        ValueError: as `read_midi_notes`.
    """
    midi = _open(path)
    beat = time_s = 0.0
    tempo = _TEMPO_MICROSECONDS_PER_BEAT
    pairs = [(0.0, 0.0)]
    meters: dict[float, tuple[int, int]] = {0.0: (4, 4)}
    for message in mido.merge_tracks(midi.tracks):
        time_s += mido.tick2second(message.time, midi.ticks_per_beat, tempo)
        beat += message.time / midi.ticks_per_beat
        if message.type == "set_tempo":
            if beat > pairs[-1][0]:
                pairs.append((beat, time_s))
            tempo = max(message.tempo, 1)
        elif message.type == "time_signature":
            meters[beat] = (message.numerator, message.denominator)
    pairs.append((max(beat, pairs[-1][0]) + 1.0, time_s + tempo / 1e6))
    return MidiTiming(BeatTimes.of(pairs), tuple((at, *meter) for at, meter in sorted(meters.items())))


def write_midi_notes(path: Path, notes: Iterable[Note], timing: MidiTiming | None = None) -> None:
    """Write notes as a file of type 0, to a twentieth of a millisecond; replaces a file that is there.

    Args:
        timing: its tempo and meter; none given: 120 bpm, and no word of a meter.

    Raises:
        ValueError: the file cannot be written.
    """
    if timing is not None:
        _write_in_time(path, notes, timing)
        return
    events: list[tuple[int, int, mido.Message]] = []
    for note in notes:
        onset, end = (
            round(mido.second2tick(max(0.0, at_s), _WRITTEN_TICKS_PER_BEAT, _TEMPO_MICROSECONDS_PER_BEAT))
            for at_s in (note.onset_s, note.end_s)
        )
        if end > onset:
            events.append((onset, 1, mido.Message("note_on", note=note.pitch, velocity=note.velocity)))
            events.append((end, 0, mido.Message("note_off", note=note.pitch)))
    _save(path, events, _WRITTEN_TICKS_PER_BEAT)


def _save(path: Path, events: list[tuple[int, int, Any]], ticks_per_beat: int) -> None:
    """Events are ticks, rank among those of a tick, and message."""
    midi, last = mido.MidiFile(type=0, ticks_per_beat=ticks_per_beat), 0
    track = midi.add_track()
    for tick, _, message in sorted(events, key=lambda event: event[:2]):  # a key is let go before it is struck again
        track.append(message.copy(time=tick - last))
        last = tick
    try:
        midi.save(path)
    except OSError as error:
        raise ValueError(f"cannot write {path}: {error.strerror}") from error


def _write_in_time(path: Path, notes: Iterable[Note], timing: MidiTiming) -> None:
    events: list[tuple[int, int, mido.Message | mido.MetaMessage]] = []
    tempo_s = np.diff(timing.times.seconds) / np.diff(timing.times.beats)
    for beat, quarter_s in zip(timing.times.beats, tempo_s, strict=False):
        tempo = min(max(round(quarter_s * 1e6), 1), _SLOWEST_TEMPO)
        events.append((round(beat * _TIMED_TICKS_PER_BEAT), -1, mido.MetaMessage("set_tempo", tempo=tempo)))
    for beat, numerator, denominator in timing.meters:
        signature = mido.MetaMessage("time_signature", numerator=numerator, denominator=denominator)
        events.append((round(beat * _TIMED_TICKS_PER_BEAT), -1, signature))
    for note in notes:
        beats = timing.times.beats_at([note.onset_s, note.end_s])
        onset, end = (round(float(beat) * _TIMED_TICKS_PER_BEAT) for beat in np.maximum(beats, 0.0))
        if end > onset:
            events.append((onset, 1, mido.Message("note_on", note=note.pitch, velocity=note.velocity)))
            events.append((end, 0, mido.Message("note_off", note=note.pitch)))
    _save(path, events, _TIMED_TICKS_PER_BEAT)


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
