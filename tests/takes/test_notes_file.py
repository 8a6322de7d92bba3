"""The notes of a take as a MIDI file: what is written, what is read again, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.clock.transport import Meter, Timeline
from bridge.processes.job import GivenNote, Job, Planning
from bridge.processes.messages import RequestError
from bridge.takes.notes_file import check_notes_file, given_in_file, read_notes, read_notes_in_steps, write_notes
from bridge.takes.take_request import notes_of
from melnet_music.model.config import SoundConfig
from melnet_music.notes.midi_file import read_midi_notes, read_midi_timing, write_midi_notes
from melnet_music.notes.note_map import Note, note_map

STEADY = Timeline.steady(97.0, Meter(3, 4))


def take(*notes: GivenNote, **changes: object) -> Job:
    return replace(Job(1, "continue", 5, 8.0, notes=notes), **changes)  # type: ignore[arg-type]


def written(folder: Path, job: Job, timeline: Timeline = STEADY) -> tuple[Note, ...]:
    path = folder / "notes.mid"
    write_notes(path, job, timeline)
    return read_notes(path)


def times_apart() -> st.SearchStrategy[list[float]]:
    """Times of one key in the order in which it is struck and released, no two of them nearly the same."""
    steps = st.lists(st.floats(0.01, 3.0), min_size=2, max_size=16)
    return steps.map(lambda each: [sum(each[:n]) for n in range(len(each))])


@settings(deadline=None, max_examples=60)
@given(
    st.dictionaries(st.integers(21, 108), times_apart(), min_size=1, max_size=6),
    st.sampled_from([(0.0, 0.0), (1.7, 0.0), (0.0, 3.3), (0.25, 0.0)]),
    st.floats(20.0, 400.0),
)
def test_notes_that_nobody_changed_are_the_takes_own_to_the_bit(
    tmp_path_factory: pytest.TempPathFactory, keys: dict[int, list[float]], edges: tuple[float, float], bpm: float
) -> None:
    notes = sorted(
        (onset, end, key, 40 + key % 60)
        for key, times in keys.items()
        for onset, end in zip(times[::2], times[1::2], strict=False)
    )
    job = take(*notes, lead_seconds=edges[0], skip_seconds=edges[1])
    folder = tmp_path_factory.getbasetemp()
    path = folder / "round.mid"
    write_notes(path, job, Timeline.steady(bpm, Meter(4, 4)))
    assert sorted(given_in_file(job, read_midi_notes(path))) == notes


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 40)), min_size=1, max_size=8, unique_by=lambda n: n[0]))
def test_a_key_that_is_struck_while_it_sounds_makes_the_same_sound(
    tmp_path_factory: pytest.TempPathFactory, times: list[tuple[int, int]]
) -> None:
    job = take(*((0.0971 * onset, 0.0971 * (onset + length), 60, 80) for onset, length in times))
    path = tmp_path_factory.getbasetemp() / "struck.mid"
    write_notes(path, job, STEADY)
    again = given_in_file(job, read_midi_notes(path))
    drawn = [note_map(list(notes_of(notes)), 0, 400, SoundConfig(), 4) for notes in (job.notes or (), again)]
    np.testing.assert_array_equal(*drawn)


def test_a_file_begins_with_the_sound_of_the_take(tmp_path: Path) -> None:
    notes = (0.5, 1.0, 60, 80), (2.0, 4.0, 64, 90), (3.5, 5.0, 67, 70)
    led = written(tmp_path, take(*notes, lead_seconds=1.25))
    assert [note.onset_s for note in led] == [pytest.approx(at, abs=1e-4) for at in (1.75, 3.25, 4.75)]
    entered = written(tmp_path, take(*notes, skip_seconds=3.0))
    assert [note.onset_s for note in entered] == [pytest.approx(at, abs=1e-4) for at in (0.0, 0.5)]
    repainted = written(tmp_path, take(*notes, kind="inpaint", lead_seconds=0.05))
    assert [note.onset_s for note in repainted] == [pytest.approx(at, abs=1e-4) for at in (0.5, 2.0, 3.5)]


def test_what_is_changed_is_as_the_file_has_it(tmp_path: Path) -> None:
    job = take((0.5, 1.0, 60, 80), (2.0, 4.0, 64, 90), (3.5, 5.0, 67, 70), skip_seconds=3.0)
    held, last = written(tmp_path, job)
    assert (held.pitch, last.pitch) == (64, 67)
    changed = given_in_file(job, [replace(held, velocity=20), replace(last, pitch=72, onset_s=0.75)])
    assert changed == (
        (0.5, 1.0, 60, 80),  # it never sounded
        (2.0, pytest.approx(4.0, abs=1e-3), 64, 20),  # goes on from before the file begins
        (3.75, pytest.approx(5.0, abs=1e-3), 72, 70),
    )
    assert given_in_file(job, []) == ((0.5, 1.0, 60, 80),)
    led = take(lead_seconds=1.0)
    assert given_in_file(led, [Note(0.2, 0.9, 60, 80), Note(0.5, 1.5, 62, 80), Note(2.0, 3.0, 64, 80)]) == (
        (0.0, 0.5, 62, 80),
        (1.0, 2.0, 64, 80),
    )


def test_a_planned_take_is_on_the_grid_of_its_plan(tmp_path: Path) -> None:
    """Bars of three, faster from the take's fourth beat on: its quarters are ticks of whole beats."""
    timeline = Timeline.steady(100.0, Meter(3, 4), seconds=0.6).with_tempo(133.0, 0.6 + 13 * 0.6)
    begins_at = timeline.seconds_at(9.0)
    planning = Planning(1.0, 1.0, "free", 0.0, timeline, 48000, begins_at)
    notes = tuple((timeline.seconds_at(9.0 + n) - begins_at, timeline.seconds_at(9.5 + n) - begins_at, 60, 80)
                  for n in range(12))  # fmt: skip
    job = take(*notes, planning=planning)
    read = written(tmp_path, job, STEADY)
    timing = read_midi_timing(tmp_path / "notes.mid")
    assert timing.meters == ((0.0, 3, 4),)
    assert timing.times.beats_at([note.onset_s for note in read]) == pytest.approx(range(12), abs=1e-3)
    assert [note.onset_s for note in read] == [pytest.approx(note[0], abs=1e-3) for note in notes]
    led = written(tmp_path, replace(job, lead_seconds=0.6))
    assert read_midi_timing(tmp_path / "notes.mid").times.beats_at(led[0].onset_s) == pytest.approx(1.0, abs=1e-3)


def test_files_that_are_no_takes_notes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.takes.notes_file._MOST_NOTES", 100)  # ten thousand take seconds to write and read

    def refusal(content: bytes | list[Note]) -> str:
        path = tmp_path / "bad.mid"
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            write_midi_notes(path, content)
        with pytest.raises(ValueError, match=r"bad\.mid") as caught:
            read_notes(path)
        steps = read_notes_in_steps(path)
        with pytest.raises(RequestError) as told:
            list(steps)
        assert (told.value.code, str(told.value)) == ("bad_file", str(caught.value))
        return str(caught.value)

    assert "has no notes" in refusal([])
    assert "cut short" in refusal(b"MThd")
    assert "cannot be read as MIDI" in refusal(b"RIFF" + bytes(40))
    assert "bytes, at most 524288" in refusal(bytes(600_000))
    assert "101 notes, at most 100" in refusal([Note(n * 0.01, n * 0.01 + 0.005, 60, 80) for n in range(101)])
    with pytest.raises(ValueError, match="no MIDI file at"):
        check_notes_file(tmp_path)
