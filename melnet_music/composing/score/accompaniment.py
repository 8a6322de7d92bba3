"""Accompaniments: how each piano style breaks a voiced chord into the left hand's (and inner voices') notes.

Every figure is a function ``(spot) -> notes``; ``spot.variant`` (0, 1, 2) picks one of three ways of playing it, so
that a section can come back changed, and ``spot.cell`` is an order of notes that only this work has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from melnet_music.composing.score.harmony import Chord, Voicing

Role = Literal["melody", "inner", "bass", "drums"]


@dataclass(frozen=True)
class ScoreNote:
    """One note as written: beats are quarter notes from the start of the work, pitch is MIDI."""

    onset_beat: float
    duration_beats: float
    pitch: int
    role: Role
    part: int = 0
    """Which of the work's instruments plays it."""


@dataclass(frozen=True)
class Spot:
    """What a figure has to fill: a chord, how it is voiced, and what comes after it."""

    chord: Chord
    voicing: Voicing
    following: Voicing
    bar_beats: float
    variant: int
    cell: tuple[int, ...]
    """Places 0 to 4 on a ladder of the chord's tones; it begins with 0 and no place follows itself."""


Figure = Callable[[Spot], Iterator[ScoreNote]]


def _deep(bass: int) -> int:
    """The bass an octave lower where the piano still speaks clearly."""
    return bass - 12 if bass >= 43 else bass


def _pattern(
    chord: Chord, ladder: tuple[int, ...], order: tuple[int, ...], step_beats: float, hold_beats: float
) -> Iterator[ScoreNote]:
    """Plays ``ladder[order[...]]`` every ``step_beats``; the first note is the bass and is held longer."""
    for index in range(round(chord.duration_beats / step_beats)):
        place = order[index % len(order)]
        first = index % len(order) == 0
        yield ScoreNote(
            chord.onset_beat + index * step_beats,
            min(hold_beats if first else step_beats, chord.duration_beats - index * step_beats),
            ladder[min(place, len(ladder) - 1)],
            "bass" if place == 0 else "inner",
        )


def _block(chord: Chord, pitches: tuple[int, ...], offset: float, duration: float, role: Role) -> Iterator[ScoreNote]:
    for pitch in pitches:
        yield ScoreNote(chord.onset_beat + offset, duration, pitch, role)


def chorale(spot: Spot) -> Iterator[ScoreNote]:
    """Bass and two inner voices under the tune, moving with the chords."""
    chord, voicing, variant = spot.chord, spot.voicing, spot.variant
    bass = _deep(voicing.bass) if variant == 2 else voicing.bass
    inner = voicing.upper[:2] if variant else voicing.upper
    yield from _block(chord, (bass,), 0.0, chord.duration_beats, "bass")
    yield from _block(chord, inner, 0.0, chord.duration_beats, "inner")


def alberti(spot: Spot) -> Iterator[ScoreNote]:
    """Low, high, middle, high in eighths (sixteenths in variant 2)."""
    chord, voicing, variant = spot.chord, spot.voicing, spot.variant
    low = voicing.bass if voicing.bass >= 43 else voicing.bass + 12
    middle, high = sorted(voicing.upper)[:2]
    ladder = (min(low, middle - 3), middle, high)
    order = ((0, 2, 1, 2), (0, 1, 2, 1), (0, 2, 1, 2))[variant]
    yield from _pattern(chord, ladder, order, 0.25 if variant == 2 else 0.5, 0.5)


def nocturne(spot: Spot) -> Iterator[ScoreNote]:
    """Wide broken chords up from a deep, held bass."""
    chord, voicing, variant = spot.chord, spot.voicing, spot.variant
    deep = _deep(voicing.bass)
    low, middle, high = voicing.upper
    ladder = (deep, low if low - deep >= 12 else middle, middle, high)
    order = ((0, 1, 2, 3, 2, 1), (0, 2, 1, 3, 2, 1), (0, 1, 2, 3, 1, 2))[variant]
    step = 0.5 if variant == 2 else 1.0 / 3.0
    yield from _pattern(chord, ladder, order, step, chord.duration_beats)


def waltz(spot: Spot) -> Iterator[ScoreNote]:
    """Bass on one, chord on two and three."""
    chord, voicing, variant = spot.chord, spot.voicing, spot.variant
    pair = voicing.upper if variant == 2 else voicing.upper[:2]
    yield from _block(chord, (_deep(voicing.bass),), 0.0, 1.0, "bass")
    for beat in range(1, round(chord.duration_beats)):
        if variant != 1 or beat == 1:
            yield from _block(chord, pair, float(beat), 0.7 if variant != 1 else 1.8, "inner")


def prelude(spot: Spot) -> Iterator[ScoreNote]:
    """One rising arpeggio in sixteenths through the whole chord, the bass held."""
    chord, voicing, variant = spot.chord, spot.voicing, spot.variant
    ladder = (voicing.bass, *voicing.upper, voicing.upper[0] + 12)
    order = ((0, 1, 2, 3, 4, 2, 3, 4), spot.cell, (0, *reversed(spot.cell[1:])))[variant]
    yield from _pattern(chord, ladder, order, 0.25, min(2.0, chord.duration_beats))


def stride(spot: Spot) -> Iterator[ScoreNote]:
    """Bass octave or tenth on the strong beats, chord on the weak ones."""
    chord, voicing, variant = spot.chord, spot.voicing, spot.variant
    for beat in range(round(chord.duration_beats)):
        offset = float(beat)
        if (chord.onset_beat + beat) % 2 == 0:
            deep = _deep(voicing.bass)
            fifth = chord.pitch_classes[2]
            if variant == 1 and beat == 2:
                deep = next(p for p in range(deep + 6, deep - 7, -1) if p % 12 == fifth)
            yield from _block(chord, (deep, deep + 12) if variant == 2 else (deep,), offset, 0.8, "bass")
        else:
            yield from _block(chord, voicing.upper, offset, 0.5, "inner")


def barcarolle(spot: Spot) -> Iterator[ScoreNote]:
    """Rocking eighths in dotted pulses."""
    chord, voicing, variant = spot.chord, spot.voicing, spot.variant
    ladder = (_deep(voicing.bass), *voicing.upper)
    order = ((0, 1, 3, 2, 3, 1), (0, 2, 3, 0, 2, 3), (0, 1, 2, 3, 2, 1))[variant]
    yield from _pattern(chord, ladder, order, 0.5, 1.5)


def ballad(spot: Spot) -> Iterator[ScoreNote]:
    """Held bass octave with chords on the beats, or a slow broken chord above it."""
    chord, voicing, variant = spot.chord, spot.voicing, spot.variant
    deep = _deep(voicing.bass)
    yield from _block(chord, (deep, deep + 12) if variant else (deep,), 0.0, chord.duration_beats, "bass")
    if variant == 2:
        low, middle, high = voicing.upper
        for index in range(round(chord.duration_beats * 2)):
            pitch = (low, middle, high, middle)[index % 4]
            yield ScoreNote(chord.onset_beat + index * 0.5, 0.5, pitch, "inner")
    else:
        for beat in range(round(chord.duration_beats)):
            yield from _block(chord, voicing.upper[: 2 + variant], float(beat), 1.0, "inner")


def hymn(spot: Spot) -> Iterator[ScoreNote]:
    """Four voices in even beats; where a voice will move by a third it passes through the step between."""
    chord = spot.chord
    inner = zip(spot.voicing.upper[: 2 + (spot.variant == 1)], spot.following.upper, strict=False)
    bass = _deep(spot.voicing.bass), _deep(spot.following.bass)
    yield from passing_voice(chord, *(bass if spot.variant == 2 else (spot.voicing.bass, spot.following.bass)), "bass")
    for pitch, goal in inner:
        yield from passing_voice(chord, pitch, goal, "inner")


def passing_voice(chord: Chord, pitch: int, goal: int, role: Role) -> Iterator[ScoreNote]:
    """A voice through a chord in beats, the last one split by a passing note if the way to ``goal`` is a third."""
    beats = round(chord.duration_beats)
    between = [p for p in range(min(pitch, goal) + 1, max(pitch, goal)) if p % 12 in chord.scale()]
    passes = abs(goal - pitch) in (3, 4) and len(between) == 1
    for beat in range(beats):
        last = beat == beats - 1
        yield ScoreNote(chord.onset_beat + beat, 0.5 if last and passes else 1.0, pitch, role)
        if last and passes:
            yield ScoreNote(chord.onset_beat + beat + 0.5, 0.5, between[0], role)


def sarabande(spot: Spot) -> Iterator[ScoreNote]:
    """Full chords on one and two, the second held; the bass alone moves on three."""
    chord, voicing = spot.chord, spot.voicing
    deep = _deep(voicing.bass)
    beats = chord.duration_beats
    yield ScoreNote(chord.onset_beat, min(beats, 2.0), deep, "bass")
    yield from _block(chord, voicing.upper, 0.0, 1.0, "inner")
    if beats >= 2.0:
        yield from _block(chord, voicing.upper if spot.variant else voicing.upper[:2], 1.0, beats - 1.0, "inner")
    if beats >= 3.0:
        step = deep + 12 if spot.variant != 1 else _approach(deep, _deep(spot.following.bass), chord)
        yield ScoreNote(chord.onset_beat + 2.0, 1.0, step, "bass")


def _approach(pitch: int, goal: int, chord: Chord) -> int:
    """A tone of the scale one step from ``goal``, on the side that ``pitch`` lies."""
    side = range(goal - 1, goal - 4, -1) if pitch < goal else range(goal + 1, goal + 4)
    return next((p for p in side if p % 12 in chord.scale()), pitch)


def ragtime(spot: Spot) -> Iterator[ScoreNote]:
    """Octaves and chords in turn; a chord's last bass may walk to the next."""
    chord, variant = spot.chord, spot.variant
    deep = _deep(spot.voicing.bass)
    fifth = next(p for p in range(deep - 1, deep - 12, -1) if p % 12 == chord.pitch_classes[2])
    beats = round(chord.duration_beats)
    for beat in range(beats):
        if variant == 2 and beats == 4 and beat >= 2:
            step = (deep, _approach(deep, _deep(spot.following.bass), chord))[beat - 2]
            yield from _block(chord, (step, step + 12), float(beat), 0.8, "bass")
        elif (chord.onset_beat + beat) % 2 == 0:
            low = fifth if beat == 2 and fifth >= 28 else deep
            yield from _block(chord, (low, low + 12) if variant == 1 else (low,), float(beat), 0.8, "bass")
        else:
            yield from _block(chord, spot.voicing.upper, float(beat), 0.5, "inner")


_BOOGIE_BASSES = (
    (0, 4, 7, 9, 10, 9, 7, 4),
    (0, 12, 0, 12, 0, 12, 0, 12),
    (0, 0, 4, 4, 7, 7, 9, 9),
    (0, 7, 9, 7, 0, 7, 10, 7),
    (0, 4, 7, 9, 12, 9, 7, 4),
)


def boogie(spot: Spot) -> Iterator[ScoreNote]:
    """One bar of bass in eighths, over and over from each chord's root; with stabs above it in variant 1."""
    chord = spot.chord
    root = _root_below(chord, 46)
    minor = (chord.pitch_classes[1] - chord.pitch_classes[0]) % 12 == 3
    bass = _BOOGIE_BASSES[(spot.cell[1] + spot.cell[2]) % len(_BOOGIE_BASSES)]
    for index in range(round(chord.duration_beats * 2)):
        rise = bass[index % 8]
        rise -= minor and rise in (4, 9)
        yield ScoreNote(chord.onset_beat + index / 2, 0.5, root + rise, "bass")
    if spot.variant == 1:
        for beat in (1.5, 3.5) if spot.cell[3] % 2 else (0.0, 1.5):
            if beat < chord.duration_beats:
                yield from _block(chord, spot.voicing.upper, beat, 0.5, "inner")


def _root_below(chord: Chord, highest: int) -> int:
    return next(p for p in range(highest, highest - 12, -1) if p % 12 == chord.pitch_classes[0])


def blues(spot: Spot) -> Iterator[ScoreNote]:
    """The shuffle: root with fifth and sixth in turn; or a slow walk with chords; or broken chords."""
    chord, voicing = spot.chord, spot.voicing
    root = _root_below(chord, 45)
    beats = round(chord.duration_beats)
    if spot.variant == 0:
        for index in range(beats * 2):
            rise = (7, 9, 10, 9)[index // 2 % 4] if spot.cell[1] % 2 else (7, 9)[index // 2 % 2]
            yield from _block(chord, (root,), index / 2, 0.45, "bass")
            yield from _block(chord, (root + rise,), index / 2, 0.45, "inner")
    elif spot.variant == 1:
        yield from walking_bass(spot)
        for beat in range(1, beats, 2):
            yield from _block(chord, voicing.upper, float(beat), 0.6, "inner")
    else:
        yield from _block(chord, (root, root + 7), 0.0, chord.duration_beats, "bass")
        for index in range(1, beats * 2):
            yield from _block(chord, (voicing.upper[spot.cell[index % len(spot.cell)] % 3],), index / 2, 0.5, "inner")


def walking_bass(spot: Spot) -> Iterator[ScoreNote]:
    """A walking bass: the chord's tones in beats, the last one a step or a semitone from the next bass."""
    chord = spot.chord
    tones = [p for p in range(spot.voicing.bass - 9, spot.voicing.bass + 10) if p % 12 in chord.pitch_classes]
    pitch = spot.voicing.bass
    beats = round(chord.duration_beats)
    for beat in range(beats):
        if beat and beat == beats - 1:
            goal = spot.following.bass
            near = goal + (1 if pitch > goal else -1)
            pitch = near if spot.cell[beat % len(spot.cell)] % 2 else _approach(pitch, goal, chord)
        elif beat:
            place = min(range(len(tones)), key=lambda k: abs(tones[k] - pitch))
            up = spot.cell[(beat + round(chord.onset_beat)) % len(spot.cell)] >= 2
            place += 1 if up else -1
            pitch = tones[-place if place < 0 else min(place, 2 * (len(tones) - 1) - place)]
        yield ScoreNote(chord.onset_beat + beat, 1.0, pitch, "bass")


_STABS = ((0.0, 1.5), (0.5, 2.5), (1.5, 3.0), (1.0, 3.0), (0.0, 2.5), (1.5, 3.5))


def jazz(spot: Spot) -> Iterator[ScoreNote]:
    """Walking bass with short chords off the beat (variant 2: long chords over two-beat bass)."""
    chord = spot.chord
    if spot.variant == 2:
        half = chord.duration_beats / 2 if chord.duration_beats >= 4 else chord.duration_beats
        for index in range(round(chord.duration_beats / half)):
            pitch = spot.voicing.bass if index == 0 else _approach(spot.voicing.bass, spot.following.bass, chord)
            yield ScoreNote(chord.onset_beat + index * half, half, pitch, "bass")
    else:
        yield from walking_bass(spot)
    stabs = _STABS[(spot.cell[1] + 2 * spot.variant + round(chord.onset_beat / spot.bar_beats) % 2) % len(_STABS)]
    for beat in stabs:
        if beat < chord.duration_beats:
            yield from _block(chord, spot.voicing.upper, beat, 1.5 if spot.variant == 2 else 0.6, "inner")


def etude(spot: Spot) -> Iterator[ScoreNote]:
    """Sparse left hand under fast figures: bass and chord, bass octaves, or chords in crotchets."""
    chord, voicing = spot.chord, spot.voicing
    deep = _deep(voicing.bass)
    beats = round(chord.duration_beats)
    yield from _block(chord, (deep, deep + 12) if spot.variant else (deep,), 0.0, min(1.0, beats), "bass")
    for beat in range(1, beats):
        if spot.variant == 1 or (spot.variant == 0 and beat % 2):
            yield from _block(chord, voicing.upper[:2], float(beat), 0.5, "inner")
        elif spot.variant == 2 and beat == 2:
            yield from _block(chord, (deep, deep + 12), 2.0, 1.0, "bass")


def minimal(spot: Spot) -> Iterator[ScoreNote]:
    """Two hands in patterns of their own lengths, which run on through the chords; no bass line to speak of."""
    chord = spot.chord
    low, middle, high = spot.voicing.upper
    right = (low + 12, middle + 12, high + 12, low + 24, middle)
    left = (spot.voicing.bass, low, spot.voicing.bass + 12, middle, low)
    length = (8, 6, 5)[spot.variant]
    for index in range(round(chord.duration_beats * 4)):
        at = round(chord.onset_beat * 4) + index
        onset = chord.onset_beat + index / 4
        yield ScoreNote(onset, 0.25, right[spot.cell[at % length]], "inner")
        if at % 2 == 0 and spot.cell[at // 2 % 7] != 4:
            yield ScoreNote(onset, 0.5, left[spot.cell[(at // 2) % 7]], "bass")


_TANGO_BEATS = ((0.0, 1.5, 2.0, 3.0), (0.0, 1.5, 2.0, 3.0), (0.0, 1.5, 3.0))


def tango(spot: Spot) -> Iterator[ScoreNote]:
    """The habanera's bass (dotted, then even), with chords off the beat."""
    chord = spot.chord
    deep = _deep(spot.voicing.bass)
    fifth = next(p for p in range(deep + 8, deep - 4, -1) if p % 12 == chord.pitch_classes[2])
    octave = deep + 12
    rises = ((deep, octave, fifth, octave), (deep, fifth, octave, fifth), (deep, fifth, octave))[spot.variant]
    beats = [beat for beat in _TANGO_BEATS[spot.variant] if beat < chord.duration_beats]
    for beat, pitch in zip(beats, rises, strict=False):
        yield ScoreNote(chord.onset_beat + beat, 0.5, pitch, "bass")
    for beat in (1.0, 2.5, 3.0) if spot.variant == 1 else (2.0, 3.0) if spot.variant == 0 else (0.5, 1.0, 2.5, 3.5):
        if beat < chord.duration_beats:
            yield from _block(chord, spot.voicing.upper, beat, 0.45, "inner")


def pop(spot: Spot) -> Iterator[ScoreNote]:
    """Driving chords over bass octaves; or an eighth-note arpeggio; or held chords pushed off the beat."""
    chord = spot.chord
    deep = _deep(spot.voicing.bass)
    beats = round(chord.duration_beats)
    if spot.variant == 1:
        ladder = (deep, *spot.voicing.upper, spot.voicing.upper[0] + 12)
        yield from _pattern(chord, ladder, spot.cell, 0.5, 1.5)
        return
    for beat in (0.0, 1.5, 2.0, 3.5):
        if beat < beats:
            yield from _block(chord, (deep, deep + 12), beat, 0.5 if beat % 1 else 1.0, "bass")
    chords = [float(beat) for beat in range(beats)] if spot.variant == 0 else [0.0, 1.5, 2.5, 3.0]
    for beat in chords:
        if beat < beats:
            yield from _block(chord, spot.voicing.upper, beat, 0.9, "inner")
