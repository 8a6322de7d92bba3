"""Notes are paired as they should be, and thresholds are those that find most."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_ear import EAR_CONFIG, EAR_SOUND, random_ear_frames, random_ear_weights

from melnet_music.evaluation.ear_thresholds import choose_thresholds
from melnet_music.evaluation.hearing import end_hits, measure_hearing
from melnet_music.evaluation.measures.note_pairs import ONSET_TOLERANCE_SECONDS, distinct_rows, note_pairs, note_rows
from melnet_music.notes.ear.ear import Ear, as_notes
from melnet_music.notes.note_map import Note
from melnet_music.training.data.note_table import NoteTable
from melnet_music.training.ear.works import EarWork

NOTES = st.lists(
    st.builds(
        lambda onset, length, pitch: Note(onset, onset + length, pitch, 64),
        st.floats(0, 3),
        st.floats(0.05, 1),
        st.integers(60, 62),
    ),
    max_size=12,
)


@given(NOTES)
def test_all_notes_are_found_in_themselves(notes: list[Note]) -> None:
    rows = note_rows(notes)
    pairs = note_pairs(rows, rows)
    assert len(pairs) == len(rows)
    assert end_hits(rows, rows, pairs) == len(rows)


@given(NOTES, NOTES)
def test_each_note_is_paired_once_and_with_its_like(found: list[Note], true: list[Note]) -> None:
    a, b = note_rows(found), note_rows(true)
    pairs = note_pairs(a, b)
    assert len({pair[0] for pair in pairs}) == len({pair[1] for pair in pairs}) == len(pairs)
    for one, other in pairs:
        assert a[one, 2] == b[other, 2]
        assert abs(a[one, 0] - b[other, 0]) <= ONSET_TOLERANCE_SECONDS


def test_notes_that_cannot_be_told_apart_count_as_one() -> None:
    notes = [Note(1.0, 2.0, 60, 50), Note(1.03, 3.0, 60, 70), Note(1.2, 1.5, 60, 60), Note(1.0, 2.0, 12, 60)]
    rows = distinct_rows(note_rows(notes), 21, 108)
    assert rows.tolist() == [[1.0, 3.0, 60, 70], [1.2, 1.5, 60, 60]]
    late = note_rows([Note(1.06, 3.0, 60, 70)])
    assert note_pairs(late, rows) == []


def heard_work(ear: Ear) -> EarWork:
    """A work whose notes are what the ear hears in it."""
    frames = random_ear_frames(200, 11).astype(np.float16)
    return EarWork("heard", frames, NoteTable.of(as_notes(ear.hear_all(frames.astype(np.float32)))))


def test_an_ear_that_hears_all_scores_one() -> None:
    ear = Ear(EAR_CONFIG, random_ear_weights(0))
    names = list[str]()
    score = measure_hearing(ear, [heard_work(ear)], names.append)
    assert score.onsets.f1 > 0.98  # of one pitch at once, two may count as one
    assert score.with_ends.f1 > 0.9
    assert score.velocity_error < 1.0
    assert abs(score.late_ms) < 5.0
    assert 0 < score.told_after_ms <= score.told_latest_ms
    assert score.told_latest_ms < 1e3 * (ear.delay_s + 3 / EAR_SOUND.frames_per_second)
    assert names == ["heard"]


def test_thresholds_are_those_that_the_notes_were_made_with() -> None:
    weights = random_ear_weights(0)
    thresholds = EAR_CONFIG.thresholds.model_copy(update={"onset": 0.45})
    work = heard_work(Ear(EAR_CONFIG.model_copy(update={"thresholds": thresholds}), weights))
    chosen, by_onset = choose_thresholds(EAR_CONFIG, weights, [[work]])
    assert chosen.onset == 0.45
    assert by_onset[0.45] == pytest.approx(max(by_onset.values()))
