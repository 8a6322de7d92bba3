"""Accompaniments: how each style breaks a voiced chord into the left hand's (and inner voices') notes.

Every figure is a function ``(chord, voicing, variant) -> notes``; ``variant`` (0, 1, 2) picks one of three
ways of playing it, so that a section can come back changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from melnet_music.composing.harmony import Chord, Voicing

Role = Literal["melody", "inner", "bass"]


@dataclass(frozen=True)
class ScoreNote:
    """One note as written: beats are quarter notes from the start of the work, pitch is MIDI."""

    onset_beat: float
    duration_beats: float
    pitch: int
    role: Role


Figure = Callable[[Chord, Voicing, int], Iterator[ScoreNote]]


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


def chorale(chord: Chord, voicing: Voicing, variant: int) -> Iterator[ScoreNote]:
    """Bass and two inner voices under the tune, moving with the chords."""
    bass = _deep(voicing.bass) if variant == 2 else voicing.bass
    inner = voicing.upper[:2] if variant else voicing.upper
    yield from _block(chord, (bass,), 0.0, chord.duration_beats, "bass")
    yield from _block(chord, inner, 0.0, chord.duration_beats, "inner")


def alberti(chord: Chord, voicing: Voicing, variant: int) -> Iterator[ScoreNote]:
    """Low, high, middle, high in eighths (sixteenths in variant 2)."""
    low = voicing.bass if voicing.bass >= 43 else voicing.bass + 12
    middle, high = sorted(voicing.upper)[:2]
    ladder = (min(low, middle - 3), middle, high)
    order = ((0, 2, 1, 2), (0, 1, 2, 1), (0, 2, 1, 2))[variant]
    yield from _pattern(chord, ladder, order, 0.25 if variant == 2 else 0.5, 0.5)


def nocturne(chord: Chord, voicing: Voicing, variant: int) -> Iterator[ScoreNote]:
    """Wide broken chords up from a deep, held bass."""
    deep = _deep(voicing.bass)
    low, middle, high = voicing.upper
    ladder = (deep, low if low - deep >= 12 else middle, middle, high)
    order = ((0, 1, 2, 3, 2, 1), (0, 2, 1, 3, 2, 1), (0, 1, 2, 3, 1, 2))[variant]
    step = 0.5 if variant == 2 else 1.0 / 3.0
    yield from _pattern(chord, ladder, order, step, chord.duration_beats)


def waltz(chord: Chord, voicing: Voicing, variant: int) -> Iterator[ScoreNote]:
    """Bass on one, chord on two and three."""
    pair = voicing.upper if variant == 2 else voicing.upper[:2]
    yield from _block(chord, (_deep(voicing.bass),), 0.0, 1.0, "bass")
    for beat in range(1, round(chord.duration_beats)):
        if variant != 1 or beat == 1:
            yield from _block(chord, pair, float(beat), 0.7 if variant != 1 else 1.8, "inner")


def prelude(chord: Chord, voicing: Voicing, variant: int) -> Iterator[ScoreNote]:
    """One rising arpeggio in sixteenths through the whole chord, the bass held."""
    ladder = (voicing.bass, *voicing.upper, voicing.upper[0] + 12)
    order = ((0, 1, 2, 3, 4, 2, 3, 4), (0, 1, 2, 3, 4, 3, 2, 1), (0, 2, 1, 3, 2, 4, 3, 2))[variant]
    yield from _pattern(chord, ladder, order, 0.25, min(2.0, chord.duration_beats))


def stride(chord: Chord, voicing: Voicing, variant: int) -> Iterator[ScoreNote]:
    """Bass octave or tenth on the strong beats, chord on the weak ones."""
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


def barcarolle(chord: Chord, voicing: Voicing, variant: int) -> Iterator[ScoreNote]:
    """Rocking eighths in dotted pulses."""
    ladder = (_deep(voicing.bass), *voicing.upper)
    order = ((0, 1, 3, 2, 3, 1), (0, 2, 3, 0, 2, 3), (0, 1, 2, 3, 2, 1))[variant]
    yield from _pattern(chord, ladder, order, 0.5, 1.5)


def ballad(chord: Chord, voicing: Voicing, variant: int) -> Iterator[ScoreNote]:
    """Held bass octave with chords on the beats, or a slow broken chord above it."""
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
