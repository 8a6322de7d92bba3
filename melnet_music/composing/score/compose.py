"""Composes short works, each from (seed, number) alone: form, harmony, melody, and for the piano its accompaniment.

All the music is new: no other piece is read or quoted. ``compose(seed, number)`` always gives the same score.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from melnet_music.composing.score.accompaniment import Figure, ScoreNote, Spot
from melnet_music.composing.score.harmony import (
    Cadence,
    Chord,
    Key,
    Voicing,
    choose_inversions,
    chord,
    draw_blues,
    draw_loop,
    enriched,
    voice,
    walk,
)
from melnet_music.composing.score.melody import (
    PHRASE_BARS,
    Melodist,
    MelodyNote,
    Motive,
    crushed,
    draw_motive,
    figuration,
    ornament,
)
from melnet_music.composing.score.styles import STYLES, Style

LOWEST_PITCH, HIGHEST_PITCH = 21, 108
SHORTEST_SECONDS, LONGEST_SECONDS = 45.0, 140.0
"""A score's length at its tempo; rubato, the last ritardando and the last sound add to it."""

_BAR_BEATS = {"4/4": 4.0, "3/4": 3.0, "6/8": 3.0, "5/4": 5.0}
_SECTION_BARS = {"functional": (8, 16), "jazz": (8, 16), "blues": (12,), "loop": (8, 16)}


_FORMS = ("AABA", "ABA", "AABB", "ABACA", "ABAB", "ABCA", "AB", "AAB", "ABB")


@dataclass(frozen=True)
class Instrument:
    """One part of a work: a General MIDI program (0-127) on a MIDI channel (0-15; 9 is the drums)."""

    name: str
    program: int
    channel: int
    level_db: float = 0.0
    """How loud it is in the mix, against the other parts."""


@dataclass(frozen=True)
class Section:
    """One statement of a part of the form: ``label`` A, B or C, the ``visit`` counted from 0."""

    label: str
    visit: int
    start_bar: int
    bars: int


@dataclass(frozen=True)
class Draft:
    """A work before it is set for instruments. Beats are quarter notes; the last chord is a bar of the tonic."""

    style: Style
    key: Key
    meter: str
    bar_beats: float
    bars: int
    tempo_bpm: float
    swing: float
    sections: tuple[Section, ...]
    motives: dict[str, tuple[Motive, Motive]]
    """The two motives of each letter of the form."""
    chords: tuple[Chord, ...]
    voicings: tuple[Voicing, ...]
    melody: tuple[MelodyNote, ...]

    def section_at(self, beat: float) -> Section:
        """The section that sounds at a beat; an introduction belongs to the first."""
        starts = (s for s in reversed(self.sections) if s.start_bar * self.bar_beats <= beat + 1e-6)
        return next(starts, self.sections[0])


@dataclass(frozen=True)
class Work:
    """A score. Beats are quarter notes; notes are ordered by onset, then part, then pitch."""

    seed: int
    number: int
    ensemble: str
    style: str
    key: Key
    meter: str
    bar_beats: float
    bars: int
    tempo_bpm: float
    swing: float
    """Where the second eighth of a beat falls: 0.5 is even, 0.667 a triplet."""
    instruments: tuple[Instrument, ...]
    sections: tuple[Section, ...]
    phrase_start_beats: tuple[float, ...]
    chords: tuple[Chord, ...]
    notes: tuple[ScoreNote, ...]

    @property
    def beats(self) -> float:
        return self.bars * self.bar_beats


def compose(seed: int, number: int) -> Work:
    """The piano work ``number`` of the collection ``seed``; 45 to 140 seconds long at its tempo."""
    return compose_for_piano(np.random.default_rng((seed, number, 0)), seed, number)


def compose_for_piano(rng: np.random.Generator, seed: int, number: int) -> Work:
    """A new work for solo piano, to be known as ``number`` of the collection ``seed``."""
    draft = draw_draft(rng, draw_style(rng, tuple(STYLES.values())))
    style = draft.style
    grand, bright = Instrument("piano", 0, 0), Instrument("bright piano", 1, 0)
    instrument = grand if rng.random() < 0.8 else bright
    melody = draft.melody
    if style.tune == "figured":
        melody = tuple(figuration(rng, melody, draft.chords, style.register[0] - 5, style.register[1] + 5))
    if style.crush:
        melody = tuple(crushed(rng, melody, style.crush))
    notes = _last_bar(draft)
    if style.tune != "bare" or rng.random() < 0.6:
        notes += _play_tune(rng, draft, melody)
    if style.figure is not None:
        notes += _accompany(rng, style.figure, draft)
    if style.tune == "answered":
        notes += [note for section in draft.sections for note in _answer(rng, draft, section)]
    return finished(seed, number, "piano", draft, (instrument,), notes)


def draw_style(rng: np.random.Generator, styles: Sequence[Style]) -> Style:
    """One of the styles, by their shares."""
    share = np.array([style.share for style in styles])
    return styles[int(rng.choice(len(styles), p=share / share.sum()))]


def draw_draft(rng: np.random.Generator, style: Style) -> Draft:
    """A new work in a style: key, meter, tempo, form, and for every letter of the form its chords and its tune."""
    meter = style.meters[int(rng.integers(len(style.meters)))]
    bar_beats = _BAR_BEATS[meter]
    key = Key(int(rng.integers(12)), bool(rng.random() < style.minor_share))
    tempo_bpm = round(float(rng.uniform(style.slowest_bpm, style.fastest_bpm)), 1)
    form, section_bars = _draw_form(rng, style, bar_beats * 60.0 / tempo_bpm)
    motion = style.motions[int(rng.integers(len(style.motions)))]
    shift = int(rng.integers(-3, 4))
    register = (style.register[0] + shift, style.register[1] + shift)
    parts = {
        label: _Part(rng, label, style, register, key, meter, motion, section_bars) for label in dict.fromkeys(form)
    }
    intro_bars = 2 if style.introduces and rng.random() < 0.6 else 0
    sections: list[Section] = []
    chords: list[Chord] = _introduction(style, key, intro_bars, bar_beats)
    melody: list[MelodyNote] = []
    for index, label in enumerate(form):
        section = Section(label, form[:index].count(label), intro_bars + index * section_bars, section_bars)
        sections.append(section)
        offset = section.start_bar * bar_beats
        chords += [replace(c, onset_beat=c.onset_beat + offset) for c in parts[label].chords]
        tune = parts[label].melody
        if section.visit and rng.random() < 0.8:
            tune = ornament(rng, tune, parts[label].chords)
        melody += [replace(n, onset_beat=n.onset_beat + offset) for n in tune]
    last_bar = intro_bars + len(form) * section_bars
    last = enriched(key.tonic_numeral, key) if style.language == "jazz" else key.tonic_numeral
    chords.append(chord(last, key, last_bar * bar_beats, bar_beats))
    if style.language in ("functional", "loop"):
        chords = choose_inversions(rng, chords)
    return Draft(
        style=style,
        key=key,
        meter=meter,
        bar_beats=bar_beats,
        bars=last_bar + 1,
        tempo_bpm=tempo_bpm,
        swing=round(float(rng.uniform(*style.swing)), 3),
        sections=tuple(sections),
        motives={label: part.motives for label, part in parts.items()},
        chords=tuple(chords),
        voicings=tuple(voice(chords)),
        melody=tuple(melody),
    )


def finished(
    seed: int, number: int, ensemble: str, draft: Draft, instruments: tuple[Instrument, ...], notes: Sequence[ScoreNote]
) -> Work:
    """The work that a draft and its set notes make."""
    phrases = [
        (section.start_bar + bar) * draft.bar_beats
        for section in draft.sections
        for bar in range(0, section.bars, PHRASE_BARS)
    ]
    return Work(
        seed=seed,
        number=number,
        ensemble=ensemble,
        style=draft.style.name,
        key=draft.key,
        meter=draft.meter,
        bar_beats=draft.bar_beats,
        bars=draft.bars,
        tempo_bpm=draft.tempo_bpm,
        swing=draft.swing,
        instruments=instruments,
        sections=draft.sections,
        phrase_start_beats=tuple(phrases),
        chords=draft.chords,
        notes=tuple(_untangle(notes)),
    )


def _draw_form(rng: np.random.Generator, style: Style, bar_seconds: float) -> tuple[str, int]:
    """A form and its sections' bars that fit the allowed length, with room for introduction and last bar."""
    fitting = [
        (form, bars)
        for form in _FORMS
        for bars in _SECTION_BARS[style.language]
        if len(form) * bars * bar_seconds >= SHORTEST_SECONDS
        and (len(form) * bars + 3) * bar_seconds <= LONGEST_SECONDS
    ]
    return fitting[int(rng.integers(len(fitting)))]


class _Part:
    """The music of one letter of the form, in beats from its own start: chords, and a tune over them."""

    def __init__(
        self,
        rng: np.random.Generator,
        label: str,
        style: Style,
        register: tuple[int, int],
        home: Key,
        meter: str,
        motion: str,
        bars: int,
    ) -> None:
        bar_beats = _BAR_BEATS[meter]
        key = home if style.language == "blues" else _part_key(rng, label, home)
        cadences = _draw_cadences(rng, label, bars // PHRASE_BARS)
        if style.language == "blues":
            self.chords = _in_bars(draw_blues(rng, key), key, bar_beats)
        elif style.language == "loop":
            self.chords = _loop_chords(rng, key, bars, bar_beats, style.half_bar_chords)
        else:
            self.chords = []
            for index, cadence in enumerate(cadences):
                start_beat = index * PHRASE_BARS * bar_beats
                self.chords += _phrase_chords(rng, style, key, cadence, start_beat, meter)
        self.motives = (draw_motive(rng, meter, motion), draw_motive(rng, meter, motion))
        melodist = Melodist(rng, meter, bar_beats, *register)
        self.melody: list[MelodyNote] = []
        for index, cadence in enumerate(cadences):
            self.melody += melodist.phrase(
                *self.motives, self.chords, index * PHRASE_BARS, final=cadence in ("authentic", "plagal")
            )


def _draw_cadences(rng: np.random.Generator, label: str, phrases: int) -> list[Cadence]:
    """Open and closed phrases in turn; the last is closed."""
    cadences: list[Cadence] = []
    for index in range(phrases):
        cadence: Cadence = "authentic"
        if index % 2 == 0 and index < phrases - 1:
            cadence = "half" if rng.random() < 0.75 else "deceptive"
        elif label != "A" and rng.random() < 0.25:
            cadence = "plagal"
        cadences.append(cadence)
    return cadences


def _in_bars(numerals: Sequence[str], key: Key, bar_beats: float) -> list[Chord]:
    return [chord(numeral, key, index * bar_beats, bar_beats) for index, numeral in enumerate(numerals)]


def _loop_chords(rng: np.random.Generator, key: Key, bars: int, bar_beats: float, split: float) -> list[Chord]:
    """Four chords round and round: usually each for a bar, in some works for two bars, or for half a bar."""
    loop = draw_loop(rng, key)
    chance = rng.random()
    if bar_beats == 4.0 and chance < split:
        return _in_bars(loop * (bars // 2), key, bar_beats / 2)
    bars_each = 2 if chance > 0.7 else 1
    return _in_bars([loop[bar // bars_each % len(loop)] for bar in range(bars)], key, bar_beats)


def _part_key(rng: np.random.Generator, label: str, home: Key) -> Key:
    """A stays at home; B goes to a near key; C to the subdominant or the other mode of the home tonic."""
    if label == "A":
        return home
    if label == "B":
        if home.minor:
            step, minor = (3, False) if rng.random() < 0.7 else (7, True)
            return Key((home.tonic + step) % 12, minor)
        steps = ((7, False), (9, True), (5, False), (0, False))
        step, minor = steps[int(rng.integers(len(steps)))]
        return Key((home.tonic + step) % 12, minor)
    return Key((home.tonic + 5) % 12, home.minor) if rng.random() < 0.5 else Key(home.tonic, not home.minor)


def _phrase_chords(
    rng: np.random.Generator, style: Style, key: Key, cadence: Cadence, start_beat: float, meter: str
) -> list[Chord]:
    """Four bars of chords: one or two a bar, one in the last; a full cadence begins in the bar before it."""
    bar_beats = _BAR_BEATS[meter]
    halves = (2.0, 1.0) if meter == "3/4" else (bar_beats / 2, bar_beats / 2)
    slots: list[tuple[float, float]] = []
    for bar in range(PHRASE_BARS):
        full = cadence in ("authentic", "deceptive") and bar == 2
        divided = full or (bar < PHRASE_BARS - 1 and rng.random() < style.half_bar_chords)
        onset = start_beat + bar * bar_beats
        slots += [(onset, halves[0]), (onset + halves[0], halves[1])] if divided else [(onset, bar_beats)]
    numerals = walk(rng, key, len(slots), cadence)
    if style.language == "jazz":
        numerals = [enriched(numeral, key) for numeral in numerals]
    return [chord(numeral, key, *slot) for numeral, slot in zip(numerals, slots, strict=True)]


def _introduction(style: Style, key: Key, bars: int, bar_beats: float) -> list[Chord]:
    numerals = (key.tonic_numeral, "V7")[:bars]
    if style.language == "jazz":
        numerals = tuple(enriched(numeral, key) for numeral in numerals)
    return _in_bars(numerals, key, bar_beats)


def _last_bar(draft: Draft) -> list[ScoreNote]:
    onset, beats, final = draft.chords[-1].onset_beat, draft.bar_beats, draft.voicings[-1]
    return [
        ScoreNote(onset, beats, final.bass, "bass"),
        *(ScoreNote(onset, beats, pitch, "inner") for pitch in final.upper),
    ]


def draw_cell(rng: np.random.Generator) -> tuple[int, ...]:
    """Eight places on a ladder of five, from its foot, none twice in a row."""
    cell = [0]
    while len(cell) < 8:
        place = int(rng.integers(1, 5))
        if place != cell[-1]:
            cell.append(place)
    return tuple(cell)


def _accompany(rng: np.random.Generator, figure: Figure, draft: Draft) -> list[ScoreNote]:
    """Each part keeps its own variant of the figure; in some works a part comes back in the next one."""
    variants = {label: int(rng.integers(3)) for label in "ABC"}
    cells = {label: draw_cell(rng) for label in "ABC"}
    changes = int(rng.random() < 0.4)
    notes: list[ScoreNote] = []
    for c, voicing, following in zip(draft.chords, draft.voicings, draft.voicings[1:], strict=False):
        section = draft.section_at(c.onset_beat)
        variant = (variants[section.label] + changes * min(section.visit, 1)) % 3
        notes += figure(Spot(c, voicing, following, draft.bar_beats, variant, cells[section.label]))
    return notes


def _play_tune(rng: np.random.Generator, draft: Draft, melody: Sequence[MelodyNote]) -> list[ScoreNote]:
    """The tune; when a part comes back, in some works an octave doubles it below, in others it is played above."""
    chance = rng.random()
    doubles = draft.style.doubles and chance < 0.45
    lift = 12 if not doubles and chance > 0.8 and draft.style.tune == "sung" else 0
    notes: list[ScoreNote] = []
    for n in melody:
        again = draft.section_at(n.onset_beat).visit > 0
        rise = lift if again and n.pitch + lift <= 100 else 0
        notes.append(ScoreNote(n.onset_beat, n.duration_beats, n.pitch + rise, "melody"))
        if doubles and again and n.pitch >= 74:
            notes.append(ScoreNote(n.onset_beat, n.duration_beats, n.pitch - 12, "inner"))
    return notes


def _answer(rng: np.random.Generator, draft: Draft, section: Section) -> list[ScoreNote]:
    """The invention's left hand: each bar's motive, taken from the right hand a bar later, in the bass."""
    motives, bar_beats = draft.motives[section.label], draft.bar_beats
    melodist = Melodist(rng, draft.meter, bar_beats, 40, 59)
    notes: list[ScoreNote] = []
    for bar in range(section.bars):
        if bar % PHRASE_BARS == PHRASE_BARS - 1:
            motive = Motive((1.0,) * int(bar_beats), (0,) * int(bar_beats))
        else:
            motive = motives[bar % len(motives)]
        start_beat = (section.start_bar + bar) * bar_beats
        for n in melodist.state(motive, draft.chords, start_beat, 50.0):
            notes.append(ScoreNote(n.onset_beat, n.duration_beats, n.pitch, "bass"))
    return notes


def _untangle(notes: Sequence[ScoreNote]) -> list[ScoreNote]:
    """Of notes that strike one part's key together the tune's stays; a key struck again ends the note before."""
    rank = {"melody": 0, "bass": 1, "inner": 2, "drums": 3}
    by_pitch: dict[tuple[int, int], list[ScoreNote]] = {}
    for note in sorted(notes, key=lambda n: (n.onset_beat, rank[n.role], -n.duration_beats)):
        struck = by_pitch.setdefault((note.part, note.pitch), [])
        if struck and note.onset_beat - struck[-1].onset_beat < 1e-6:
            continue
        if struck:
            before = struck[-1]
            room = note.onset_beat - before.onset_beat
            struck[-1] = replace(before, duration_beats=min(before.duration_beats, room))
        struck.append(note)
    played = [note for struck in by_pitch.values() for note in struck]
    return sorted(played, key=lambda n: (n.onset_beat, n.part, n.pitch))
