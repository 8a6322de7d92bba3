"""The beat grid: bars of any meter, beats in seconds, and heard notes put on it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from melnet_music.notes.beat_times import BeatTimes
from melnet_music.notes.midi_file import MidiTiming, read_midi_notes, read_midi_timing, write_midi_notes
from melnet_music.notes.note_map import Note
from melnet_music.notes.score.feel import Feel, measure_feel, play
from melnet_music.notes.score.grid import Bars, GridNote, Meter
from melnet_music.notes.score.midi_plan import bars_of
from melnet_music.notes.score.quantise import measure_swing, quantise, swung, unswung

TEMPI = BeatTimes.of([(0, 0.3), (4, 2.3), (9, 4.0), (10, 4.9)])
PLACES = (0, 3, 4, 6, 8, 9)


def test_bars_go_on_in_the_last_meter() -> None:
    bars = bars_of([(0.0, 4, 4), (8.0, 7, 8), (15.0, 6, 8)])
    assert [bars.start(bar) for bar in range(6)] == [0, 48, 96, 138, 180, 216]
    assert [bars.bar_at(step) for step in (-3, 0, 47, 48, 137, 138, 216, 251, 252)] == [0, 0, 0, 1, 2, 3, 5, 5, 6]
    assert [meter.is_compound for meter in bars.meters[:5]] == [False, False, False, False, True]


def test_a_meter_that_changes_within_a_bar_holds_from_the_next_one() -> None:
    bars = bars_of([(0.0, 4, 4), (5.0, 3, 4)])
    assert [bars.start(bar) for bar in range(4)] == [0, 48, 96, 132]


def test_a_short_first_bar_is_an_upbeat() -> None:
    assert Bars([0, 12, 60], [Meter(4, 4)] * 3).upbeat == 36
    assert Bars([0, 48, 96], [Meter(4, 4)] * 3).upbeat == 0


@pytest.mark.parametrize(("numerator", "denominator"), [(0, 4), (4, 0), (4, 5), (4, 32), (999, 4)])
def test_meters_that_do_not_fit_are_refused(numerator: int, denominator: int) -> None:
    with pytest.raises(ValueError, match="meter"):
        Meter(numerator, denominator)


@given(st.floats(-20, 40))
def test_beats_and_their_seconds_are_inverse(beat: float) -> None:
    assert TEMPI.beats_at(TEMPI.seconds_at(beat)) == pytest.approx(beat, abs=1e-9)


@given(st.floats(-8, 8), st.floats(0.4, 0.75))
def test_swing_is_taken_out_again(beat: float, swing: float) -> None:
    assert unswung(swung(np.array([beat]), swing), swing)[0] == pytest.approx(beat, abs=1e-9)


def test_beats_that_do_not_increase_are_refused() -> None:
    with pytest.raises(ValueError, match="increase"):
        BeatTimes.of([(0, 0.0), (1, 0.5), (1, 0.6)])


@pytest.mark.parametrize("swing", [0.5, 0.62, 0.667])
def test_what_was_played_is_quantised_to_what_was_written(swing: float) -> None:
    rng = np.random.default_rng(5)
    places = (0, 6) if swing > 0.5 else (0, 3, 6, 9)
    written = sorted(
        GridNote(12 * beat + place, int(rng.integers(40, 80)), 3, 80) for beat in range(40) for place in places
    )
    played = play(written, BeatTimes.steady(116, 0.4), Feel(swing, 0.010), rng)
    feel = measure_feel(played, BeatTimes.steady(116, 0.4))
    assert feel.swing == pytest.approx(swing, abs=0.02)
    assert 0.003 <= feel.spread_s <= 0.012
    heard = quantise(played, BeatTimes.steady(116, 0.4), feel.swing)
    assert [(note.onset, note.pitch) for note in heard] == [(note.onset, note.pitch) for note in written]


def test_triplets_stay_triplets_and_are_no_swing() -> None:
    times = BeatTimes.steady(100)
    onsets = [beat + part / 3 for beat in range(12) for part in range(3)]
    assert measure_swing(np.array(onsets)) == 0.5
    notes = [Note(*(float(s) for s in times.seconds_at([beat, beat + 0.3])), 60, 80) for beat in onsets]
    assert [note.onset for note in quantise(notes, times)] == [round(12 * beat) for beat in onsets]


def test_nothing_heard_is_nothing_quantised() -> None:
    assert quantise([], TEMPI) == []
    assert measure_feel([], TEMPI) == Feel()


def test_a_midi_file_keeps_its_tempo_and_meters(tmp_path: Path) -> None:
    timing = MidiTiming(BeatTimes.of([(0, 0), (4, 2), (8, 3), (9, 3.25)]), ((0.0, 3, 4), (6.0, 7, 8)))
    notes = [Note(0.5, 1.0, 60, 90), Note(2.25, 2.5, 64, 70)]
    write_midi_notes(tmp_path / "timed.mid", notes, timing)
    read = read_midi_timing(tmp_path / "timed.mid")
    assert read.meters == timing.meters
    beats = np.linspace(0, 12, 30)
    assert np.allclose(read.times.seconds_at(beats), timing.times.seconds_at(beats), atol=1e-4)
    for note, again in zip(notes, read_midi_notes(tmp_path / "timed.mid"), strict=True):
        assert again.onset_s == pytest.approx(note.onset_s, abs=1e-4)
        assert again.end_s == pytest.approx(note.end_s, abs=1e-4)


def test_play_is_the_same_in_parts() -> None:
    notes = [GridNote(6 * index, 60, 6, None) for index in range(9)]
    whole = play(notes, TEMPI, Feel(), np.random.default_rng(3))
    rng = np.random.default_rng(3)
    assert whole == [played for index in range(9) for played in play(notes[index : index + 1], TEMPI, Feel(), rng)]
