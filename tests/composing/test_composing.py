"""Composed works are lawful: notes in range, chords in every bar, phrases that close, parts that pass the tune on."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from itertools import pairwise
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from melnet_music.composing.perform import perform
from melnet_music.composing.rendering.render import DRUM_CHANNEL
from melnet_music.composing.score.compose import (
    HIGHEST_PITCH,
    LONGEST_SECONDS,
    LOWEST_PITCH,
    SHORTEST_SECONDS,
    Draft,
    Work,
    compose,
    draw_draft,
    draw_style,
)
from melnet_music.composing.score.drums import drum_part
from melnet_music.composing.score.ensembles import ENSEMBLES, GROOVES, VOICES, Ensemble
from melnet_music.composing.score.harmony import (
    MOVES,
    Cadence,
    Key,
    chord,
    draw_blues,
    draw_loop,
    enriched,
    voice,
    walk,
)
from melnet_music.composing.score.melody import PHRASE_BARS, chord_at
from melnet_music.composing.score.orchestrate import compose_for_ensemble, compose_music
from melnet_music.composing.score.styles import STYLES

seeds = st.integers(0, 2**32)
works = st.builds(compose, seeds, st.integers(0, 10**6)) | st.builds(compose_music, seeds, st.integers(0, 10**6))
keys = st.builds(Key, st.integers(0, 11), st.booleans())


@settings(max_examples=15, deadline=None)
@given(works)
def test_scores_are_lawful(work: Work) -> None:
    sounding_until: defaultdict[tuple[int, int], float] = defaultdict(float)
    for note in work.notes:
        assert LOWEST_PITCH <= note.pitch <= HIGHEST_PITCH
        assert note.duration_beats > 0
        assert 0 <= note.onset_beat < note.onset_beat + note.duration_beats <= work.beats + 1e-6
        assert sounding_until[note.part, note.pitch] <= note.onset_beat + 1e-6
        sounding_until[note.part, note.pitch] = note.onset_beat + note.duration_beats
    assert SHORTEST_SECONDS <= work.beats * 60 / work.tempo_bpm <= LONGEST_SECONDS


@settings(max_examples=15, deadline=None)
@given(works)
def test_chords_and_sections_fill_every_bar(work: Work) -> None:
    end_beat = 0.0
    for sounding in work.chords:
        assert sounding.onset_beat == end_beat
        end_beat += sounding.duration_beats
    assert end_beat == work.beats == work.bars * work.bar_beats
    bar = work.sections[0].start_bar
    assert bar in (0, 2)
    for section in work.sections:
        assert section.start_bar == bar
        bar += section.bars
    assert bar + 1 == work.bars
    assert work.chords[-1].numeral in (work.key.tonic_numeral, enriched(work.key.tonic_numeral, work.key))


@settings(max_examples=15, deadline=None)
@given(works)
def test_every_key_goes_down_before_it_comes_up_and_up_before_it_goes_down(work: Work) -> None:
    performance = perform(work)
    silent_from: defaultdict[tuple[int, int], float] = defaultdict(float)
    for note in performance.notes:
        key = (note.channel, note.pitch)
        assert silent_from[key] <= note.onset_s < note.release_s <= note.sounding_end_s
        assert 1 <= note.velocity <= 127
        silent_from[key] = note.sounding_end_s
    assert len(performance.notes) >= 0.99 * len(work.notes)
    assert 30 <= performance.seconds <= 180


@given(keys, st.integers(5, 12), st.sampled_from(get_args(Cadence)), st.integers(0, 2**32))
def test_phrases_walk_legally_to_their_cadence(key: Key, slots: int, cadence: Cadence, seed: int) -> None:
    numerals = walk(np.random.default_rng(seed), key, slots, cadence)
    assert len(numerals) == slots
    assert numerals[0] == key.tonic_numeral
    tonic, last = key.tonic_numeral, numerals[-1]
    assert last == {"half": "V", "authentic": tonic, "plagal": tonic}.get(cadence, "VI" if key.minor else "vi")
    ending = 3 if cadence in ("authentic", "deceptive") else 2
    for before, after in pairwise(numerals[: slots - ending + 1]):
        assert after in MOVES[key.minor][before]


@given(keys)
def test_scales_keep_seven_degrees_and_hold_every_chord(key: Key) -> None:
    numerals = set(MOVES[key.minor]) | {enriched(numeral, key) for numeral in MOVES[key.minor]}
    for seed in range(20):
        rng = np.random.default_rng(seed)
        numerals |= {*draw_loop(rng, key), *draw_blues(rng, key)}
    for numeral in numerals:
        scale = chord(numeral, key, 0.0, 1.0).scale()
        assert len(set(scale)) == 7
        assert set(chord(numeral, key, 0.0, 1.0).pitch_classes) <= set(scale)


@settings(max_examples=20)
@given(keys, st.integers(0, 2**32))
def test_voicings_hold_the_chord_and_keep_their_order(key: Key, seed: int) -> None:
    numerals = walk(np.random.default_rng(seed), key, 12, "authentic")
    chords = [chord(numeral, key, float(beat), 1.0) for beat, numeral in enumerate(numerals)]
    for c, voicing in zip(chords, voice(chords), strict=True):
        assert voicing.bass % 12 == c.bass
        assert list(voicing.upper) == sorted(set(voicing.upper))
        sounding = {pitch % 12 for pitch in (voicing.bass, *voicing.upper)}
        assert {c.pitch_classes[0], c.pitch_classes[1], *c.pitch_classes[3:]} <= sounding <= set(c.pitch_classes)


@pytest.mark.parametrize("composer", [compose, compose_music])
def test_a_seed_and_a_number_name_one_work(composer: Callable[[int, int], Work]) -> None:
    assert composer(7, 3) == composer(7, 3)
    assert perform(composer(7, 3)) == perform(composer(7, 3))
    tunes = [tuple(n.pitch for n in composer(s, k).notes) for s in range(3) for k in range(3)]
    assert len(set(tunes)) == len(tunes)


def test_solo_piano_among_the_music_is_not_the_piano_set() -> None:
    number, solo = next((n, w) for n in range(60) if (w := compose_music(1, n)).ensemble == "piano")
    assert solo.notes != compose(1, number).notes


def test_every_style_is_written() -> None:
    styles = tuple(STYLES.values())
    drawn = [draw_style(np.random.default_rng((1, number, 0)), styles).name for number in range(400)]
    assert max(Counter(drawn).values()) < 0.2 * len(drawn)
    for name in STYLES:
        assert compose(1, drawn.index(name)).style == name


def written_for(ensemble: Ensemble, seed: int) -> Work:
    return compose_for_ensemble(np.random.default_rng(seed), ensemble, seed, 0)


@pytest.mark.parametrize("ensemble", ENSEMBLES.values(), ids=lambda e: e.name)
def test_ensembles_play_in_range_each_part_on_its_own_channel(ensemble: Ensemble) -> None:
    for seed in range(2):
        work = written_for(ensemble, seed)
        channels = [instrument.channel for instrument in work.instruments]
        assert len(set(channels)) == len(channels) == len(ensemble.seats)
        by_channel = {instrument.channel: instrument for instrument in work.instruments}
        for note in work.notes:
            instrument = work.instruments[note.part]
            voice = VOICES[instrument.name]
            assert voice.lowest <= note.pitch <= voice.highest, (instrument.name, note)
            assert (note.role == "drums") == (instrument.channel == DRUM_CHANNEL)
        for played in perform(work).notes:
            assert played.program == by_channel[played.channel].program


@pytest.mark.parametrize("ensemble", ENSEMBLES.values(), ids=lambda e: e.name)
def test_the_tune_is_passed_on_when_a_part_comes_back(ensemble: Ensemble) -> None:
    """Exactly one part has the tune of a section; where two could lead, it is another one the next time."""
    work = written_for(ensemble, 3)
    could_lead = sum("lead" in seat.jobs for seat in ensemble.seats)
    leader: dict[str, int] = {}
    for section in work.sections:
        start, stop = section.start_bar * work.bar_beats, (section.start_bar + section.bars) * work.bar_beats
        leaders = {n.part for n in work.notes if n.role == "melody" and start <= n.onset_beat < stop}
        assert len(leaders) == 1
        now = leaders.pop()
        if section.visit and could_lead > 1:
            assert now != leader[section.label]
        leader[section.label] = now


@pytest.mark.parametrize("ensemble", ENSEMBLES.values(), ids=lambda e: e.name)
def test_most_of_what_accompanies_is_of_the_chord(ensemble: Ensemble) -> None:
    work = written_for(ensemble, 4)
    fitting_beats = beats = 0.0
    for note in work.notes:
        if note.role in ("inner", "bass"):
            beats += note.duration_beats
            fits = note.pitch % 12 in chord_at(work.chords, note.onset_beat).pitch_classes
            fitting_beats += note.duration_beats * fits
    assert fitting_beats > 0.75 * beats


def test_ensembles_name_grooves_and_instruments_that_exist() -> None:
    assert len(ENSEMBLES) >= 16
    for ensemble in ENSEMBLES.values():
        assert set(ensemble.grooves) <= set(GROOVES)
        assert {name for seat in ensemble.seats for name in seat.names} <= set(VOICES)
        assert any("lead" in seat.jobs for seat in ensemble.seats)
    assert {groove for ensemble in ENSEMBLES.values() for groove in ensemble.grooves} == set(GROOVES)


@pytest.mark.parametrize("groove", ["rock", "swing", "waltz"])
def test_drums_fill_where_sections_end_and_play_the_same_bar_before(groove: str) -> None:
    style = GROOVES["minuet" if groove == "waltz" else "rock"].style
    draft: Draft = draw_draft(np.random.default_rng(1), style)
    bars: defaultdict[int, set[tuple[float, int]]] = defaultdict(set)
    for note in drum_part(np.random.default_rng(2), draft, groove, 4):
        assert note.part == 4
        bar, beat = divmod(note.onset_beat, draft.bar_beats)
        bars[int(bar)].add((beat, note.pitch))
    toms = {50, 48, 45, 43}
    for section in draft.sections:
        plain = bars[section.start_bar + 1]
        assert not {pitch for _, pitch in plain} & toms
        assert bars[section.start_bar + 2] == plain
        filled = [bars[section.start_bar + bar] for bar in range(section.bars) if bar % PHRASE_BARS == PHRASE_BARS - 1]
        assert filled[-1] != plain
