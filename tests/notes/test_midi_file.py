"""Notes of MIDI files: times by the tempo map, ends by keys and pedal, and files that are none."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import mido
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from melnet_music.notes.midi_file import read_midi_notes, write_midi_notes
from melnet_music.notes.note_map import Note

TICKS_PER_BEAT = 480
"""A beat is half a second unless a tempo says otherwise."""
Event = tuple[float, mido.Message | mido.MetaMessage]


def on(at_beat: float, pitch: int = 60, velocity: int = 80, channel: int = 0) -> Event:
    return at_beat, mido.Message("note_on", note=pitch, velocity=velocity, channel=channel)


def off(at_beat: float, pitch: int = 60, channel: int = 0) -> Event:
    return at_beat, mido.Message("note_off", note=pitch, channel=channel)


def control(at_beat: float, number: int, value: int, channel: int = 0) -> Event:
    return at_beat, mido.Message("control_change", control=number, value=value, channel=channel)


def tempo(at_beat: float, beats_per_minute: float) -> Event:
    return at_beat, mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(beats_per_minute))


def write_midi(path: Path, *tracks: list[Event], kind: int = 1, ticks_per_beat: int = TICKS_PER_BEAT) -> Path:
    midi = mido.MidiFile(type=kind, ticks_per_beat=ticks_per_beat)
    for events in tracks:
        track, last = mido.MidiTrack(), 0
        for at_beat, message in events:
            tick = round(at_beat * ticks_per_beat)
            track.append(message.copy(time=tick - last))
            last = tick
        midi.tracks.append(track)
    midi.save(path)
    return path


def spans(path: Path) -> list[tuple[float, float, int]]:
    return [(round(note.onset_s, 6), round(note.end_s, 6), note.pitch) for note in read_midi_notes(path)]


def test_times_follow_the_tempo_map_across_tracks(tmp_path: Path) -> None:
    transport = [tempo(0, 60), tempo(2, 120), tempo(4, 240)]
    player = [on(1, velocity=33), off(3), on(4), off(6)]
    path = write_midi(tmp_path / "a.mid", transport, player)
    assert spans(path) == [(1.0, 2.5, 60), (3.0, 3.5, 60)]
    assert read_midi_notes(path)[0] == Note(1.0, 2.5, 60, 33)


def test_velocity_zero_releases(tmp_path: Path) -> None:
    assert spans(write_midi(tmp_path / "a.mid", [on(0), on(2, velocity=0), on(4), off(6)])) == [
        (0.0, 1.0, 60),
        (2.0, 3.0, 60),
    ]


def test_drums_are_left_out(tmp_path: Path) -> None:
    path = write_midi(tmp_path / "a.mid", [on(0, 36, channel=9), on(0, 48, channel=10), off(1, 36, 9), off(1, 48, 10)])
    assert spans(path) == [(0.0, 0.5, 48)]


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        pytest.param(
            [on(0), control(1, 64, 127), off(2), control(4, 64, 0)], [(0.0, 2.0, 60)], id="until the pedal is up"
        ),
        pytest.param(
            [on(0), off(1), control(2, 64, 127), on(3, 62), control(4, 64, 0), off(5, 62)],
            [(0.0, 0.5, 60), (1.5, 2.5, 62)],
            id="a pedal lengthens neither what ended before nor what is held",
        ),
        pytest.param(
            [control(0, 64, 127), on(0), off(1), on(2), off(3), control(6, 64, 0)],
            [(0.0, 1.0, 60), (1.0, 3.0, 60)],
            id="struck again under the pedal",
        ),
        pytest.param(
            [control(0, 64, 63), on(0), off(1), control(1, 64, 64), on(2), off(3), control(4, 64, 63)],
            [(0.0, 0.5, 60), (1.0, 2.0, 60)],
            id="down from 64",
        ),
        pytest.param(
            [control(0, 64, 127, channel=1), on(0), off(1), control(4, 64, 0, channel=1)],
            [(0.0, 0.5, 60)],
            id="another channel's pedal",
        ),
        pytest.param([control(0, 64, 127), on(0), off(1), control(3, 121, 0)], [(0.0, 1.5, 60)], id="reset"),
        pytest.param([on(0), on(0, 64), control(3, 123, 0), on(4), off(5)], [(0, 1.5, 60), (0, 1.5, 64), (2, 2.5, 60)]),
        pytest.param([control(0, 64, 127), on(0), off(1), on(2, 62), off(4, 62)], [(0, 2.0, 60), (1.0, 2.0, 62)]),
    ],
)
def test_pedal_and_controllers_decide_when_notes_end(
    tmp_path: Path, events: list[Event], expected: list[tuple[float, float, int]]
) -> None:
    assert spans(write_midi(tmp_path / "a.mid", events)) == expected


def test_one_key_held_by_two_voices(tmp_path: Path) -> None:
    """The second strike ends the first note; the first release is the first's, the second the second's."""
    assert spans(write_midi(tmp_path / "a.mid", [on(0), on(2), off(3), off(5)])) == [(0.0, 1.0, 60), (1.0, 2.5, 60)]
    doubled = [on(0), on(0), off(2), off(2)]
    assert spans(write_midi(tmp_path / "b.mid", doubled)) == [(0.0, 1.0, 60)]
    two_channels = [on(0), on(1, channel=1), off(2), off(4, channel=1)]
    assert spans(write_midi(tmp_path / "c.mid", two_channels)) == [(0.0, 1.0, 60), (0.5, 2.0, 60)]


def test_what_nobody_releases_ends_with_the_file(tmp_path: Path) -> None:
    assert spans(write_midi(tmp_path / "a.mid", [on(0), on(1, 62), off(4, 62)])) == [(0.0, 2.0, 60), (0.5, 2.0, 62)]


events = st.lists(
    st.tuples(st.sampled_from(["on", "off", "pedal"]), st.integers(60, 63), st.integers(0, 127), st.integers(0, 3)),
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(events=events)
def test_no_two_notes_of_one_key_sound_at_once(
    tmp_path_factory: pytest.TempPathFactory, events: list[tuple[str, int, int, int]]
) -> None:
    path, beat, track = tmp_path_factory.mktemp("midi") / "a.mid", 0.0, []
    for kind, pitch, value, wait in events:
        beat += wait
        track.append({"on": on(beat, pitch, value), "off": off(beat, pitch), "pedal": control(beat, 64, value)}[kind])
    notes = read_midi_notes(write_midi(path, track))
    assert notes == sorted(notes, key=lambda note: (note.onset_s, note.pitch))
    assert all(0 <= note.onset_s < note.end_s <= beat / 2 + 1e-9 and note.velocity > 0 for note in notes)
    for pitch in range(60, 64):
        own = [note for note in notes if note.pitch == pitch]
        assert all(first.end_s <= second.onset_s for first, second in pairwise(own))


@settings(max_examples=60, deadline=None)
@given(events=events)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, events: list[tuple[str, int, int, int]]
) -> None:
    path, place, notes = tmp_path_factory.mktemp("midi") / "a.mid", 0.0, []
    for _, pitch, value, wait in events:  # one after the other, those of a key without a gap between them
        notes.append(Note(place, place + 0.1 + wait / 7, pitch, max(1, value)))
        place = notes[-1].end_s
    write_midi_notes(path, notes)
    read = read_midi_notes(path)
    assert [(note.pitch, note.velocity) for note in read] == [(note.pitch, note.velocity) for note in notes]
    for one, other in zip(read, notes, strict=True):
        assert (one.onset_s, one.end_s) == (
            pytest.approx(other.onset_s, abs=5e-5),
            pytest.approx(other.end_s, abs=5e-5),
        )


def test_a_file_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot write"):
        write_midi_notes(tmp_path / "none" / "a.mid", [])


def test_files_that_are_no_midi_are_refused(tmp_path: Path) -> None:
    good = write_midi(tmp_path / "good.mid", [on(0), off(1)]).read_bytes()
    cases = {"cut.mid": good[:-6], "text.mid": b"no music here, only words", "empty.mid": b"", "head.mid": good[:10]}
    for name, content in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=rf"{name} (is empty or cut short|cannot be read as MIDI)"):
            read_midi_notes(tmp_path / name)
    with pytest.raises(ValueError, match="no MIDI file at"):
        read_midi_notes(tmp_path / "missing.mid")
    with pytest.raises(ValueError, match="of type 2"):
        read_midi_notes(write_midi(tmp_path / "two.mid", [on(0)], kind=2))
    smpte = good[:12] + bytes([0xE8, 40]) + good[14:]
    (tmp_path / "smpte.mid").write_bytes(smpte)
    with pytest.raises(ValueError, match="of SMPTE time"):
        read_midi_notes(tmp_path / "smpte.mid")
