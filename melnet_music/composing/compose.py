"""Composes short works for solo piano, each from (seed, number) alone: form, harmony, melody, accompaniment.

All the music is new: no other piece is read or quoted. ``compose(seed, number)`` always gives the same score.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from melnet_music.composing import accompaniment
from melnet_music.composing.accompaniment import Figure, ScoreNote
from melnet_music.composing.harmony import Cadence, Chord, Key, Voicing, choose_inversions, chord, voice, walk
from melnet_music.composing.melody import PHRASE_BARS, Melodist, MelodyNote, Motive, draw_motive, ornament

LOWEST_PITCH, HIGHEST_PITCH = 21, 108
SHORTEST_SECONDS, LONGEST_SECONDS = 45.0, 140.0
"""A score's length at its tempo; rubato, the last ritardando and the last sound add to it."""

_BAR_BEATS = {"4/4": 4.0, "3/4": 3.0, "6/8": 3.0}


@dataclass(frozen=True)
class Style:
    """What a style asks of a work."""

    name: str
    share: float
    meters: tuple[str, ...]
    slowest_bpm: float
    fastest_bpm: float
    motions: tuple[str, ...]
    half_bar_chords: float
    """Chance that a bar holds two chords (where the meter can be halved)."""
    figure: Figure | None
    """The accompaniment; none for the invention, whose left hand is a voice of its own."""
    register: tuple[int, int]
    introduces: bool
    doubles: bool
    """Whether the tune is played in octaves or thirds when it comes back."""


# Tempo in quarter notes a minute, also in 6/8 (a dotted pulse is 1.5 of them).
STYLES: dict[str, Style] = {
    s.name: s
    for s in (
        Style(
            "chorale", 1.0, ("4/4", "3/4"), 60, 84, ("calm", "calm", "singing"), 0.75,
            accompaniment.chorale, (64, 79), False, False,
        ),
        Style(
            "alberti", 1.2, ("4/4",), 92, 138, ("singing", "flowing"), 0.35,
            accompaniment.alberti, (67, 86), False, False,
        ),
        Style(
            "nocturne", 1.4, ("4/4", "3/4"), 56, 80, ("calm", "singing"), 0.3,
            accompaniment.nocturne, (67, 86), True, False,
        ),
        Style(
            "waltz", 1.2, ("3/4",), 108, 168, ("calm", "singing", "flowing"), 0.0,
            accompaniment.waltz, (67, 88), True, True,
        ),
        Style(
            "prelude", 1.2, ("4/4",), 58, 84, ("calm",), 0.3,
            accompaniment.prelude, (72, 86), False, False,
        ),
        Style(
            "invention", 1.0, ("4/4", "3/4"), 76, 112, ("flowing", "running"), 0.45,
            None, (64, 83), False, False,
        ),
        Style(
            "stride", 1.0, ("4/4",), 92, 132, ("singing", "flowing"), 0.4,
            accompaniment.stride, (69, 86), False, True,
        ),
        Style(
            "barcarolle", 1.0, ("6/8",), 72, 108, ("calm", "singing", "flowing"), 0.3,
            accompaniment.barcarolle, (67, 86), True, True,
        ),
        Style(
            "ballad", 1.2, ("4/4",), 64, 96, ("singing", "flowing"), 0.4,
            accompaniment.ballad, (65, 82), True, True,
        ),
    )
}  # fmt: skip

_FORMS = ("AABA", "ABA", "AABB", "ABACA", "ABAB", "ABCA", "AB")


@dataclass(frozen=True)
class Section:
    """One statement of a part of the form: ``label`` A, B or C, the ``visit`` counted from 0."""

    label: str
    visit: int
    start_bar: int
    bars: int


@dataclass(frozen=True)
class Work:
    """A score. Beats are quarter notes; notes are ordered by onset, then pitch."""

    seed: int
    number: int
    style: str
    key: Key
    meter: str
    bar_beats: float
    bars: int
    tempo_bpm: float
    sections: tuple[Section, ...]
    phrase_start_beats: tuple[float, ...]
    chords: tuple[Chord, ...]
    notes: tuple[ScoreNote, ...]

    @property
    def beats(self) -> float:
        return self.bars * self.bar_beats


def compose(seed: int, number: int) -> Work:
    """The work ``number`` of the collection ``seed``; 45 to 140 seconds long at its tempo."""
    rng = np.random.default_rng((seed, number, 0))
    names = list(STYLES)
    share = np.array([STYLES[name].share for name in names])
    style = STYLES[names[int(rng.choice(len(names), p=share / share.sum()))]]
    meter = style.meters[int(rng.integers(len(style.meters)))]
    bar_beats = _BAR_BEATS[meter]
    key = Key(int(rng.integers(12)), bool(rng.random() < 0.4))
    tempo_bpm = round(float(rng.uniform(style.slowest_bpm, style.fastest_bpm)), 1)
    form, section_bars = _draw_form(rng, bar_beats * 60.0 / tempo_bpm)
    motion = style.motions[int(rng.integers(len(style.motions)))]

    parts = {label: _Part(rng, label, style, key, meter, motion, section_bars) for label in dict.fromkeys(form)}
    intro_bars = 2 if style.introduces and rng.random() < 0.6 else 0
    sections: list[Section] = []
    chords: list[Chord] = _introduction(key, intro_bars, bar_beats)
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
    chords.append(chord(key.tonic_numeral, key, last_bar * bar_beats, bar_beats))
    chords = choose_inversions(rng, chords)
    voicings = voice(chords)
    final = voicings[-1]
    notes = [
        ScoreNote(last_bar * bar_beats, bar_beats, final.bass, "bass"),
        *(ScoreNote(last_bar * bar_beats, bar_beats, pitch, "inner") for pitch in final.upper),
    ]
    if style.name != "prelude" or rng.random() < 0.6:
        notes += _play_tune(rng, style, sections, melody, bar_beats)
    if style.figure is not None:
        notes += _accompany(rng, style.figure, sections, chords[:-1], voicings[:-1], bar_beats)
    else:
        for section in sections:
            start, stop = section.start_bar, section.start_bar + section.bars
            notes += _answer(rng, meter, parts[section.label].motives, chords, start, stop)
    phrases = [
        (section.start_bar + bar) * bar_beats for section in sections for bar in range(0, section.bars, PHRASE_BARS)
    ]
    return Work(
        seed=seed,
        number=number,
        style=style.name,
        key=key,
        meter=meter,
        bar_beats=bar_beats,
        bars=last_bar + 1,
        tempo_bpm=tempo_bpm,
        sections=tuple(sections),
        phrase_start_beats=tuple(phrases),
        chords=tuple(chords),
        notes=tuple(_untangle(notes)),
    )


def _draw_form(rng: np.random.Generator, bar_seconds: float) -> tuple[str, int]:
    """A form and its sections' bars that fit the allowed length, with room for introduction and last bar."""
    fitting = [
        (form, bars)
        for form in _FORMS
        for bars in (8, 16)
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
        home: Key,
        meter: str,
        motion: str,
        bars: int,
    ) -> None:
        bar_beats = _BAR_BEATS[meter]
        key = _part_key(rng, label, home)
        self.chords: list[Chord] = []
        cadences: list[Cadence] = []
        for index in range(bars // PHRASE_BARS):
            cadence: Cadence = "authentic"
            if index % 2 == 0:
                cadence = "half" if rng.random() < 0.75 else "deceptive"
            elif label != "A" and rng.random() < 0.25:
                cadence = "plagal"
            cadences.append(cadence)
            start_beat = index * PHRASE_BARS * bar_beats
            self.chords += _phrase_chords(rng, key, cadence, start_beat, meter, style.half_bar_chords)
        self.motives = (draw_motive(rng, meter, motion), draw_motive(rng, meter, motion))
        melodist = Melodist(rng, meter, bar_beats, *style.register)
        self.melody: list[MelodyNote] = []
        for index, cadence in enumerate(cadences):
            self.melody += melodist.phrase(
                *self.motives, self.chords, index * PHRASE_BARS, final=cadence in ("authentic", "plagal")
            )


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
    rng: np.random.Generator, key: Key, cadence: Cadence, start_beat: float, meter: str, split: float
) -> list[Chord]:
    """Four bars of chords: one or two a bar, one in the last; a full cadence begins in the bar before it."""
    bar_beats = _BAR_BEATS[meter]
    halves = (2.0, 1.0) if meter == "3/4" else (bar_beats / 2, bar_beats / 2)
    slots: list[tuple[float, float]] = []
    for bar in range(PHRASE_BARS):
        full = cadence in ("authentic", "deceptive") and bar == 2
        divided = full or (bar < PHRASE_BARS - 1 and rng.random() < split)
        onset = start_beat + bar * bar_beats
        slots += [(onset, halves[0]), (onset + halves[0], halves[1])] if divided else [(onset, bar_beats)]
    numerals = walk(rng, key, len(slots), cadence)
    return [chord(numeral, key, *slot) for numeral, slot in zip(numerals, slots, strict=True)]


def _introduction(key: Key, bars: int, bar_beats: float) -> list[Chord]:
    numerals = (key.tonic_numeral, "V7")[:bars]
    return [chord(numeral, key, index * bar_beats, bar_beats) for index, numeral in enumerate(numerals)]


def _section_at(sections: Sequence[Section], bar_beats: float, beat: float) -> Section:
    """The section that sounds at a beat; an introduction belongs to the first."""
    return next((s for s in reversed(sections) if s.start_bar * bar_beats <= beat), sections[0])


def _accompany(
    rng: np.random.Generator,
    figure: Figure,
    sections: Sequence[Section],
    chords: Sequence[Chord],
    voicings: Sequence[Voicing],
    bar_beats: float,
) -> list[ScoreNote]:
    """Each part keeps its own variant of the figure; in some works a part comes back in the next one."""
    variants = {label: int(rng.integers(3)) for label in "ABC"}
    changes = int(rng.random() < 0.4)
    notes: list[ScoreNote] = []
    for c, voicing in zip(chords, voicings, strict=True):
        section = _section_at(sections, bar_beats, c.onset_beat)
        variant = (variants[section.label] + changes * min(section.visit, 1)) % 3
        notes += figure(c, voicing, variant)
    return notes


def _play_tune(
    rng: np.random.Generator,
    style: Style,
    sections: Sequence[Section],
    melody: Sequence[MelodyNote],
    bar_beats: float,
) -> list[ScoreNote]:
    """The tune; in some works it is doubled an octave below when a part comes back."""
    doubles = style.doubles and rng.random() < 0.5
    notes: list[ScoreNote] = []
    for n in melody:
        notes.append(ScoreNote(n.onset_beat, n.duration_beats, n.pitch, "melody"))
        if doubles and n.pitch >= 74 and _section_at(sections, bar_beats, n.onset_beat).visit:
            notes.append(ScoreNote(n.onset_beat, n.duration_beats, n.pitch - 12, "inner"))
    return notes


def _answer(
    rng: np.random.Generator,
    meter: str,
    motives: Sequence[Motive],
    chords: Sequence[Chord],
    start_bar: int,
    stop_bar: int,
) -> list[ScoreNote]:
    """The invention's left hand: each bar's motive, taken from the right hand a bar later, in the bass."""
    bar_beats = _BAR_BEATS[meter]
    melodist = Melodist(rng, meter, bar_beats, 40, 59)
    notes: list[ScoreNote] = []
    for bar in range(start_bar, stop_bar):
        if (bar - start_bar) % PHRASE_BARS == PHRASE_BARS - 1:
            motive = Motive((1.0,) * int(bar_beats), (0,) * int(bar_beats))
        else:
            motive = motives[(bar - start_bar) % len(motives)]
        for n in melodist.state(motive, chords, bar * bar_beats, 50.0):
            notes.append(ScoreNote(n.onset_beat, n.duration_beats, n.pitch, "bass"))
    return notes


def _untangle(notes: Sequence[ScoreNote]) -> list[ScoreNote]:
    """Of notes that strike one key together the tune's stays; a key struck again ends the note before."""
    rank = {"melody": 0, "bass": 1, "inner": 2}
    by_pitch: dict[int, list[ScoreNote]] = {}
    for note in sorted(notes, key=lambda n: (n.onset_beat, rank[n.role], -n.duration_beats)):
        struck = by_pitch.setdefault(note.pitch, [])
        if struck and note.onset_beat - struck[-1].onset_beat < 1e-6:
            continue
        if struck:
            before = struck[-1]
            room = note.onset_beat - before.onset_beat
            struck[-1] = replace(before, duration_beats=min(before.duration_beats, room))
        struck.append(note)
    played = [note for struck in by_pitch.values() for note in struck]
    return sorted(played, key=lambda n: (n.onset_beat, n.pitch))
