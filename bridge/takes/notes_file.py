"""The notes of a take as a MIDI file, which a musician edits: written, read again, and given to another attempt at it.

Its time begins with the take's sound; with the repainted part, where one is made.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from bridge.clock.transport import Timeline
from bridge.processes.job import GivenNote, Job
from bridge.processes.messages import RequestError
from bridge.takes.take_request import given_notes, notes_of
from melnet_music.notes.beat_times import BeatTimes
from melnet_music.notes.midi_file import MidiTiming, read_midi_notes, write_midi_notes
from melnet_music.notes.note_map import Note

_MOST_BYTES = 512 * 1024
"""Of a file; more are not read, which would take seconds."""
_MOST_NOTES = 10_000
_SAME_SECONDS = 1e-3
"""Two times so near to each other are the same: a file holds them to a fraction of that."""
_SAME_BEAT = 1e-3
"""A MIDI file's ticks are a tenth of that."""
_LONGEST_SECONDS = 600.0
_READING_STEP_SECONDS = 0.01


def written_notes(job: Job) -> tuple[Note, ...]:
    """The notes that a take was given, in seconds of its file; those that end before it begins are left out."""
    return tuple(written for _, written in _written(job))


def write_notes(path: Path, job: Job, timeline: Timeline) -> None:
    """Write the notes that a take was given, in tempo and bars of its plan; replaces a file that is there.

    Args:
        timeline: for a take that was not planned, which begins at its second 0.

    Raises:
        ValueError: the file cannot be written.
    """
    planning, begins_at = job.planning, 0.0
    if planning and planning.begins_at is not None:
        timeline, begins_at = planning.timeline, planning.begins_at - _new_sound_seconds(job)
    write_midi_notes(path, written_notes(job), _timing(timeline, begins_at))


def check_notes_file(path: Path) -> None:
    """Whether there is a file of sensible size.

    Raises:
        ValueError: there is none, or a larger one.
    """
    if not path.is_file():
        raise ValueError(f"no MIDI file at {path}")
    size = path.stat().st_size
    if size > _MOST_BYTES:
        raise ValueError(
            f"{path} has {size} bytes, at most {_MOST_BYTES} are read: give only the notes of the take, without "
            "controllers"
        )


def read_notes(path: Path) -> tuple[Note, ...]:
    """The notes of a file, in its seconds.

    Raises:
        ValueError: it is missing, no MIDI file, has no notes or too many.
    """
    try:
        check_notes_file(path)
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from error
    notes = tuple(read_midi_notes(path))
    if not notes:
        raise ValueError(f"{path} has no notes (those of the drum channel, 10, are left out): give a file that has")
    if len(notes) > _MOST_NOTES:
        raise ValueError(f"{path} has {len(notes)} notes, at most {_MOST_NOTES} are played: give those of the take")
    return notes


def read_notes_in_steps(path: Path) -> Generator[None, None, tuple[Note, ...]]:
    """As `read_notes`, in another thread, step by step: it takes a tenth of a second a thousand notes.

    Raises:
        RequestError: as `read_notes`.
    """
    reader = ThreadPoolExecutor(1, "notes")
    reading = reader.submit(read_notes, path)
    reader.shutdown(wait=False)
    while not reading.done():
        time.sleep(_READING_STEP_SECONDS)
        yield
    try:
        return reading.result()
    except ValueError as error:
        raise RequestError("bad_file", str(error)) from error


def given_in_file(job: Job, notes: Iterable[Note]) -> tuple[GivenNote, ...]:
    """Notes of a file, as another attempt at a take is given them; the inverse of `written_notes`.

    A beginning or an end that the take's own notes have is theirs to the bit: unchanged notes make the same samples
    (where a key was struck again while it sounded, its first note ends there now), and one that begins with the file
    may be held over from before it. What ended before that is the take's own. What lies before its new sound, or long
    after it, is left out.

    Args:
        job: the take's, with the notes that it was given.
    """
    shift_s = _new_sound_seconds(job)
    written = _written(job)
    heard = {own for own, _ in written}
    unheard = [own for own in notes_of(job.notes or ()) if own not in heard]
    onsets: defaultdict[int, list[tuple[float, float]]] = defaultdict(list)
    ends: defaultdict[int, list[tuple[float, float]]] = defaultdict(list)
    for own, there in written:
        onsets[own.pitch].append((there.onset_s, own.onset_s))
        ends[own.pitch] += [(there.end_s, own.end_s), (there.onset_s, own.onset_s)]  # a key struck again ends its note
    given = [
        replace(
            note,
            onset_s=_own_time(note.onset_s, onsets[note.pitch], shift_s),
            end_s=_own_time(note.end_s, ends[note.pitch], shift_s),
        )
        for note in notes
    ]
    kept = (replace(note, onset_s=max(0.0, note.onset_s)) for note in given if note.end_s > 0.0)
    played = [note for note in (*unheard, *kept) if note.end_s > note.onset_s and note.onset_s < _LONGEST_SECONDS]
    return given_notes(sorted(played, key=lambda note: (note.onset_s, note.pitch)))


def _new_sound_seconds(job: Job) -> float:
    """When the new sound begins in the time of the file; below 0: before it."""
    return 0.0 if job.kind == "inpaint" else job.lead_seconds - job.skip_seconds


def _written(job: Job) -> list[tuple[Note, Note]]:
    """The notes that a take was given, each with what is written of it."""
    shift_s = _new_sound_seconds(job)
    pairs = (
        (note, replace(note, onset_s=max(0.0, shift_s + note.onset_s), end_s=shift_s + note.end_s))
        for note in notes_of(job.notes or ())
    )
    return [(note, written) for note, written in pairs if written.end_s > 0.0]


def _own_time(time_s: float, known: Iterable[tuple[float, float]], shift_s: float) -> float:
    """A time of the file as one of the take: that of its own notes which was written there, if there is one."""
    written_s, own_s = min(known, key=lambda pair: abs(pair[0] - time_s), default=(float("inf"), 0.0))
    return own_s if abs(written_s - time_s) <= _SAME_SECONDS else time_s - shift_s


def _timing(timeline: Timeline, begins_at: float) -> MidiTiming:
    """Tempo and meter of a file that begins at a time of the timeline, with tempos as a MIDI file can say them."""
    first = timeline.beat_at(begins_at)
    beats = [0.0]
    for tempo in timeline.tempos:
        if tempo.beat - first > beats[-1] + _SAME_BEAT:
            beats.append(tempo.beat - first)
    seconds = [0.0]
    for beat, following in zip(beats, [*beats[1:], beats[-1] + 1.0], strict=True):
        quarter_s = 60.0 / timeline.bpm_at(timeline.seconds_at(first + beat + _SAME_BEAT))
        seconds.append(seconds[-1] + (following - beat) * round(quarter_s * 1e6) / 1e6)
    meter = timeline.meter_at(first + _SAME_BEAT)
    meters = [(0.0, meter.count, meter.unit)]
    meters += [
        (each.beat - first, each.meter.count, each.meter.unit)
        for each in timeline.meters
        if each.beat > first + _SAME_BEAT
    ]
    return MidiTiming(BeatTimes.of(list(zip([*beats, beats[-1] + 1.0], seconds, strict=True))), tuple(meters))
