"""The detectors, on sounds made so that the answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from tiny_recordings import rendered

from melnet_music.evaluation.measures.descriptors import describe, entropy_bits, melodic_steps
from melnet_music.evaluation.measures.detection import Hits, detection_worth, note_hits, onset_hits, shifted
from melnet_music.evaluation.measures.pitches import RATE_HZ, DetectedNote, detected_notes, pitch_parts, sounding
from melnet_music.notes.note_map import Note

SECONDS = 6.0


def melody(pitches: list[int], start_s: float = 0.5, step_s: float = 0.4) -> list[Note]:
    return [Note(start_s + n * step_s, start_s + (n + 0.95) * step_s, pitch, 90) for n, pitch in enumerate(pitches)]


def played(notes: list[Note]) -> NDArray[np.float32]:
    rows = [(note.onset_s, note.end_s, note.end_s, note.pitch, note.velocity) for note in notes]
    return rendered(rows, SECONDS, RATE_HZ, np.random.default_rng(0))


MELODY = melody([60, 64, 67, 72, 71, 67, 65, 62, 55, 48, 52, 60])
CHORDS = [
    Note(0.5 + n, 1.3 + n, pitch, 90)
    for n, chord in enumerate([(48, 64, 67), (53, 69, 72), (55, 62, 71)])
    for pitch in chord
]


@pytest.mark.parametrize("notes", [MELODY, CHORDS], ids=["melody", "chords"])
def test_the_notes_of_a_synthesised_tone_sequence_are_found_and_those_of_another_are_not(notes: list[Note]) -> None:
    found = describe(played(notes)).notes
    assert note_hits(found, notes, SECONDS).recall == 1
    clearest = sorted(found, key=lambda note: -note.rise)[: len(notes)]
    assert note_hits(clearest, notes, SECONDS).precision == 1  # hard attacks of chords make weak ghosts besides
    other = [Note(note.onset_s, note.end_s, note.pitch + 6, 90) for note in notes]
    assert note_hits(found, other, SECONDS).recall < 0.2


def test_steps_from_note_to_note_and_between_sounding_ones_are_counted() -> None:
    one = describe(played(MELODY))
    pitches = [note.pitch for note in MELODY]
    assert melodic_steps(one.notes) == np.diff(pitches).tolist()
    chords = describe(played(CHORDS))
    assert set(np.argsort(chords.intervals)[-3:]) <= {3, 4, 5, 7, 8, 9}  # major triads in several positions


def test_clicks_are_onsets_each_once() -> None:
    random = np.random.default_rng(0)
    audio = 1e-4 * random.standard_normal(round(SECONDS * RATE_HZ)).astype(np.float32)
    clicks = np.array([0.5, 0.9, 1.7, 2.0, 3.1, 4.4, 5.2])
    for click in clicks:
        at = round(click * RATE_HZ)
        audio[at : at + 400] += 0.3 * random.standard_normal(400) * np.exp(-np.arange(400) / 100)
    onsets = describe(audio).onsets_s
    np.testing.assert_allclose(onsets, clicks, atol=0.03)


def test_silence_has_nothing_in_it() -> None:
    one = describe(np.zeros(RATE_HZ, np.float32))
    assert one.notes == ()
    assert len(one.onsets_s) == 0
    assert not one.polyphony.any()
    assert (one.level_db == -90).all()
    assert entropy_bits(one.chroma.sum(0)) == 0


def test_levels_and_brightness_are_those_of_a_sine() -> None:
    tone = (0.5 * np.sin(2 * np.pi * 1000 * np.arange(2 * RATE_HZ) / RATE_HZ)).astype(np.float32)
    one = describe(tone)
    np.testing.assert_allclose(one.level_db, 20 * np.log10(0.5 / np.sqrt(2)), atol=0.01)
    np.testing.assert_allclose(one.centroid_hz[5:-5], 1000, rtol=0.01)
    twice = describe(2 * tone)
    np.testing.assert_allclose(twice.bands_db.max(1) - one.bands_db.max(1), 20 * np.log10(2), atol=0.1)


def test_how_loud_it_is_played_does_not_change_what_is_found() -> None:
    audio = played(CHORDS)
    for gain in (0.03, 3.0):
        parts, scaled = pitch_parts(audio), pitch_parts(np.float32(gain) * audio)
        assert [(n.onset_s, n.pitch) for n in detected_notes(parts)] == [
            (n.onset_s, n.pitch) for n in detected_notes(scaled)
        ]
        assert (sounding(parts) == sounding(scaled)).mean() > 0.999


def test_every_detected_note_counts_for_one_true_note_only() -> None:
    found = [DetectedNote(1.0, 60, 1.0), DetectedNote(2.0, 62, 1.0), DetectedNote(3.0, 64, 1.0)]
    true = [Note(1.02, 2, 60, 90), Note(1.05, 2, 60, 90), Note(2.09, 3, 62, 90), Note(3.0, 4, 65, 90)]
    assert note_hits(found, true, 10) == Hits(1, 3, 4)
    assert note_hits(found, [Note(0.01, 1, 60, 90)], 10) == Hits(0, 3, 0)  # too near to the edge to be counted
    chord = [Note(1.0, 2, pitch, 90) for pitch in (60, 64, 67)]
    assert onset_hits([1.01, 5.0], chord, 10) == Hits(1, 2, 1)


def test_the_worth_of_the_detectors_is_told_over_all_stretches() -> None:
    stretches = [
        (describe(played(notes)), shifted([Note(n.onset_s + 3, n.end_s + 3, n.pitch, 1) for n in notes], 3.0))
        for notes in (MELODY, CHORDS)
    ]
    worth = detection_worth(stretches)
    assert worth.notes == len(MELODY) + len(CHORDS)
    assert worth.onsets == len(MELODY) + 3
    assert worth.note_recall == 1
    assert worth.onset_recall > 0.9
    assert worth.polyphony_true == pytest.approx((12 * 0.38 + 9 * 0.8) / SECONDS / 2, rel=0.05)
    assert worth.polyphony_correlation == pytest.approx(1)
