"""Planned notes in device time: each told once, where it sounds, in the part of the take that sounds."""

from __future__ import annotations

from dataclasses import replace

from bridge.processes.job import Job, SoundingNote
from bridge.processes.messages import PlannedNotesKnown, PlannedNotesMoved
from bridge.takes.notes_in_sound import NotesInSound
from melnet_music.notes.note_map import Note

RATE_HZ = 1000
JOB = Job(7, "continue", 1, 4.0)


def notes_told(events: list[PlannedNotesKnown | PlannedNotesMoved]) -> list[SoundingNote]:
    return [note for event in events if isinstance(event, PlannedNotesKnown) for note in event.notes]


def test_each_is_told_once_and_not_before_its_place_is_known() -> None:
    notes, first = NotesInSound(JOB, RATE_HZ), Note(0.5, 1.0, 60, 80)
    notes.know([first, first])
    assert notes.tell(None) == []
    assert notes.tell(5000) == [PlannedNotesKnown(7, ((5500, 6000, 60, 80), (5500, 6000, 60, 80)))]
    notes.know([first, first, Note(0.75, 1.0, 62, 90), Note(0.25, 0.3, 64, 70)])
    assert notes_told(notes.tell(5000)) == [(5250, 5300, 64, 70), (5750, 6000, 62, 90)]
    assert notes.tell(5000) == []


def test_only_what_sounds_is_told() -> None:
    given = [Note(0.2, 0.9, 60, 80), Note(0.5, 1.5, 61, 80), Note(3.5, 9.0, 62, 80), Note(5.5, 6.0, 63, 80)]
    entering = NotesInSound(replace(JOB, skip_seconds=1.0), RATE_HZ)
    entering.know(given)
    assert notes_told(entering.tell(0)) == [(0, 500, 61, 80), (2500, 4000, 62, 80)]
    after_lead = NotesInSound(replace(JOB, lead_seconds=2.0), RATE_HZ)
    after_lead.know(given)
    assert [first for first, *_ in notes_told(after_lead.tell(0))] == [2200, 2500, 5500]


def test_a_take_that_comes_later_is_told_before_its_next_notes() -> None:
    notes = NotesInSound(JOB, RATE_HZ)
    notes.know([Note(0.5, 1.0, 60, 80)])
    notes.tell(5000)
    notes.know([Note(0.5, 1.0, 60, 80), Note(1.0, 1.5, 60, 80)])
    assert notes.tell(None) == []
    assert notes.tell(5020) == [PlannedNotesMoved(7, 20), PlannedNotesKnown(7, ((6020, 6520, 60, 80),))]
    assert notes.tell(5010) == [PlannedNotesMoved(7, -10)]


def test_many_are_told_bit_by_bit() -> None:
    notes = NotesInSound(JOB, RATE_HZ)
    notes.know(Note(0.01 * number, 4.0, 60, 80) for number in range(100))
    told = [notes_told(notes.tell(0)) for _ in range(5)]
    assert [len(each) for each in told] == [32, 32, 32, 4, 0]
    assert [note for part in told for note in part] == sorted(note for part in told for note in part)
