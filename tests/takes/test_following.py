"""Notes that are played while a take is made, and phrases: the same as notes that were known before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tiny_models import tiny_config, tiny_preset

from bridge.audio.output_ring import OutputRing
from bridge.midi.played_notes import Follower, PlayedNotes
from bridge.processes.job import Job
from bridge.processes.messages import Key, Pedal, RequestError
from bridge.takes.take import Take
from bridge.takes.take_request import notes_of
from bridge.tape.note_tape import NoteTape, TapedNote
from melnet_music.instrument.instrument import Instrument
from melnet_music.instrument.phrase import rendered_phrase
from melnet_music.instrument.take_request import TakeRequest
from melnet_music.notes.keyboard import Keyboard
from melnet_music.notes.note_map import Note
from melnet_music.sampling.cpu.engine import CpuEngine

Samples = NDArray[np.float32]
CHUNK_SECONDS = 8 * 512 / 22050
MEL_BINS = 48


@pytest.fixture(scope="module")
def loaded() -> Instrument:
    config = tiny_config(cell="mingru", hidden=16, layers=2, centralized_hidden=8, splits=("frequency", "time"))
    preset = tiny_preset(config, MEL_BINS)
    preset.weights["mean"] -= 4  # quiet enough to be left as it is
    return Instrument(preset, CpuEngine(preset, 2))


@pytest.fixture
def instrument(loaded: Instrument) -> Instrument:
    loaded.clear()
    return loaded


class Playing:
    """Somebody plays while a take is made: a chunk is drawn every chunk's length, and what came till then has come."""

    def __init__(self, played: Sequence[Key | Pedal], held: Keyboard | None = None) -> None:
        self._coming = sorted(played, key=lambda each: each.at_seconds)
        self._now = 0.0
        self.follower = Follower(held or Keyboard(), lambda: self._now)
        self.asked: list[tuple[float, int]] = []

    @property
    def known_ahead(self) -> bool:
        return False

    def until_now(self, start_s: float, frames: int, frame_s: float) -> Sequence[Note]:
        self.asked.append((start_s, frames))
        self._now += CHUNK_SECONDS
        while self._coming and self._coming[0].at_seconds <= self._now:
            self.follower.take(self._coming.pop(0))
        return self.follower.until_now(start_s, frames, frame_s)


def collected(blocks: Iterator[Samples]) -> Samples:
    return np.concatenate(list(blocks))


def heard_by(instrument: Instrument, samples: int) -> None:
    instrument.hear((0.1 * np.sin(np.arange(samples) / 17)).astype(np.float32))


played = st.lists(
    st.one_of(
        st.builds(Key, st.integers(58, 62), st.integers(0, 127), st.floats(0, 2)),
        st.builds(Pedal, st.booleans(), st.floats(0, 2)),
    ),
    min_size=1,
    max_size=24,
)


@settings(max_examples=6, deadline=None)
@given(
    played=played, heard=st.sampled_from([0, 30000, 22272, 20480]), chunk=st.sampled_from([4, 8]), rests=st.booleans()
)
def test_a_take_that_follows_is_the_one_made_of_the_notes_it_tells(
    loaded: Instrument, played: list[Key | Pedal], heard: int, chunk: int, rests: bool
) -> None:
    """22272 samples end half way between two frames, where rounding may go either way."""
    instrument = loaded
    instrument.clear()
    heard_by(instrument, heard)
    playing = Playing(played)
    request = TakeRequest(seconds=1.5, seed=3, chunk_frames=chunk, notes=playing, rests=rests)
    make = instrument.continuation if heard else instrument.generation
    followed = collected(make(request))
    notes = notes_of(playing.follower.given)
    np.testing.assert_array_equal(collected(make(replace(request, notes=notes))), followed)


def test_what_is_played_changes_the_take_and_rests_are_a_choice(instrument: Instrument) -> None:
    keys = [Key(60, 90, 0.3), Key(60, 0, 0.8)]
    takes = [
        collected(instrument.generation(TakeRequest(seconds=1.5, seed=3, notes=Playing(these), rests=rests)))
        for these, rests in ((keys, True), (keys, False), ([], True), ([], False))
    ]
    assert len({take.tobytes() for take in takes}) == 4
    unknown = collected(instrument.generation(TakeRequest(seconds=1.5, seed=3)))
    np.testing.assert_array_equal(takes[3], unknown)


def test_no_chunk_is_asked_for_before_its_turn(instrument: Instrument) -> None:
    """An engine with threads to spare looks ahead, but not where notes are still to come."""
    playing = Playing([])
    made = 0
    for block in instrument.generation(TakeRequest(seconds=3.0, seed=1, notes=playing)):
        made += len(block)
        asked = sum(frames for _, frames in playing.asked) * 512
        assert asked - made <= (8 + 6) * 512  # one chunk, and what the vocoder holds back


def test_a_chunk_gets_what_was_played_since_the_one_before_in_the_same_rhythm() -> None:
    nows, frame_s = [10.0, 10.16], 0.02
    follower = Follower(Keyboard(), lambda: nows.pop(0))
    for key, at in ((60, 9.0), (61, 9.905), (62, 9.945), (63, 9.999), (64, 10.5)):
        follower.take(Key(key, 80, at))
    onsets = {note.pitch: round(note.onset_s / frame_s) for note in follower.until_now(0.0, 8, frame_s)}
    assert onsets == {60: 0, 61: 3, 62: 5, 63: 7, 64: 7}
    follower.take(Key(60, 0, 9.95))  # late: the chunk that it belongs to is drawn
    (ended,) = (note for note in follower.until_now(8 * frame_s, 8, frame_s) if note.pitch == 60)
    assert ended.end_s == pytest.approx(8 * frame_s)


def test_what_is_held_when_a_take_begins_is_struck_at_its_beginning() -> None:
    notes = PlayedNotes()
    for each in (Pedal(True, 0.0), Key(60, 80, 1.0), Key(64, 70, 2.0), Key(60, 0, 3.0)):
        notes.take(each)
    follower = notes.follow()  # whose clock is far beyond these times
    assert follower.until_now(0.0, 8, 0.02) == [Note(0.0, 0.16, 60, 80), Note(0.0, 0.16, 64, 70)]
    ended = notes.take(Pedal(False, 9.0))
    assert ended == [Note(1.0, 9.0, 60, 80)]
    follower.until_now(0.16, 8, 0.02)
    assert [(pitch, end_s) for _, end_s, pitch, _ in follower.given] == [(60, 0.16), (64, 0.32)]  # its key was up
    assert [note.pitch for note in notes.release_all(9.5)] == [64]


def test_a_key_struck_twice_is_let_go_once() -> None:
    notes = PlayedNotes()
    for each in (Key(60, 80, 1.0), Key(60, 90, 2.0)):
        notes.take(each)
    assert notes.take(Key(60, 0, 3.0)) == [Note(2.0, 3.0, 60, 90)]
    assert notes.release_all(4.0) == []


def test_a_phrase_begins_with_its_first_note_and_ends_with_its_last() -> None:
    notes = PlayedNotes()
    notes.take(Key(50, 80, 0.5))  # held before: no part of it
    notes.begin_phrase()
    for each in (Key(60, 80, 2.0), Key(64, 70, 2.5), Key(60, 0, 3.0), Key(64, 0, 3.5), Key(50, 0, 4.0)):
        notes.take(each)
    phrase = notes.end_phrase(9.0)
    assert phrase.notes == ((0.0, 1.0, 60, 80), (0.5, 1.5, 64, 70))
    assert (phrase.seconds, phrase.ended_at_seconds) == (1.5, 3.5)
    notes.begin_phrase()
    notes.take(Key(60, 80, 10.0))
    assert notes.end_phrase(11.0).ended_at_seconds == 11.0  # what is held ends with it
    notes.begin_phrase()
    with pytest.raises(RequestError, match="no note was played"):
        notes.end_phrase(12.0)


@pytest.mark.parametrize("heard", [0, 30000])
def test_a_voiced_phrase_is_the_take_of_its_notes_with_an_open_end(instrument: Instrument, heard: int) -> None:
    heard_by(instrument, heard)
    before = instrument.heard_seconds
    request = TakeRequest(seconds=1.0, seed=2, notes=(Note(0.0, 0.4, 60, 80), Note(0.5, 1.0, 62, 80)))
    phrase = collected(rendered_phrase(instrument, request))
    assert len(phrase) == 22050
    assert instrument.heard_seconds == before
    take = collected(instrument.generation(request))
    until = 22050 - 8 * 512  # from there on the vocoder sees where the take ends
    np.testing.assert_array_equal(phrase[:until], take[:until])
    assert np.abs(phrase[-20:]).max() > np.abs(take[-20:]).max()  # which is faded


@pytest.mark.parametrize(("ahead", "rate", "least", "most"), [(0.5, 20.0, 0.5, 0.7), (0.0, 20.0, 0.2, 0.41)])
def test_a_take_that_follows_is_made_as_little_ahead_as_is_safe(
    ahead: float, rate: float, least: float, most: float
) -> None:
    job = Job(1, "generate", seed=1, seconds=10.0, follow="rest", ahead_seconds=ahead)
    ring = OutputRing.create(1 << 16)
    try:
        take = Take(job, accepted_at=0.0, sample_rate_hz=22050, output_hz=22050, rate=rate, block_seconds=CHUNK_SECONDS)
        assert not take.needs_block(ring, before_seconds=1.0)  # others sound before it
        out = np.zeros(1024, np.float32)
        for _ in range(60):
            while take.needs_block(ring, 0.0):
                take.add(np.ones(4096, np.float32), CHUNK_SECONDS / rate)
                take.feed(ring, None)
            assert least <= ring.available_samples / 22050 <= most
            ring.play(out)
        assert ring.underruns == 0
        assert take.opened
    finally:
        ring.close()


def test_notes_on_the_tape() -> None:
    tape = NoteTape()
    first, second, third = (TapedNote(start, start + 50, 60, 80) for start in (0, 100, 200))
    tape.add("made", [third, first])
    tape.add("made", [second])
    tape.add("played", [first])
    assert tape.between("made", 40, 200) == [first, second]
    assert tape.between("made", 50, 201) == [second, third]
    assert tape.between("made", 0, 1000) == [first, second, third]
    assert tape.between("played", 0, 1000) == [first]
    tape.clear()
    assert tape.between("made", 0, 1000) == tape.between("played", 0, 1000) == []
