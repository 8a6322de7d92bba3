"""What each style asks of a work: the piano's styles, and the fields that an ensemble's styles share with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from melnet_music.composing.score import accompaniment
from melnet_music.composing.score.accompaniment import Figure
from melnet_music.composing.score.harmony import Language

Tune = Literal["sung", "figured", "answered", "bare"]
"""``figured``: broken into sixteenths; ``answered``: a second voice takes it up; ``bare``: in some works left out."""


@dataclass(frozen=True)
class Style:
    """What a style asks of a work. Tempo is in quarter notes a minute, also in 6/8 (a dotted pulse is 1.5 of them)."""

    name: str
    share: float
    meters: tuple[str, ...]
    slowest_bpm: float
    fastest_bpm: float
    motions: tuple[str, ...]
    half_bar_chords: float
    """Chance that a bar holds two chords (where the meter can be halved)."""
    figure: Figure | None
    """The piano's accompaniment; none where the left hand is a voice of its own, and for ensembles."""
    register: tuple[int, int]
    introduces: bool = False
    doubles: bool = False
    """Whether the tune is played in octaves when it comes back."""
    language: Language = "functional"
    swing: tuple[float, float] = (0.5, 0.5)
    """Where the second eighth of a beat falls, at least and at most: 0.5 is even, 0.667 a triplet."""
    tune: Tune = "sung"
    crush: float = 0.0
    """Chance that a longer note of the tune is crushed in from the semitone below."""
    minor_share: float = 0.4


STYLES: dict[str, Style] = {
    s.name: s
    for s in (
        Style(
            "chorale", 0.8, ("4/4", "3/4"), 60, 84, ("calm", "calm", "singing"), 0.75,
            accompaniment.chorale, (64, 79),
        ),
        Style("alberti", 1.0, ("4/4",), 92, 138, ("singing", "flowing"), 0.35, accompaniment.alberti, (67, 86)),
        Style(
            "nocturne", 1.3, ("4/4", "3/4"), 56, 80, ("calm", "singing"), 0.3,
            accompaniment.nocturne, (67, 86), introduces=True,
        ),
        Style(
            "waltz", 1.1, ("3/4",), 108, 176, ("calm", "singing", "flowing"), 0.0,
            accompaniment.waltz, (67, 88), introduces=True, doubles=True,
        ),
        Style("prelude", 1.1, ("4/4",), 52, 88, ("calm",), 0.3, accompaniment.prelude, (72, 86), tune="bare"),
        Style(
            "invention", 1.0, ("4/4", "3/4"), 72, 120, ("flowing", "running"), 0.45, None, (64, 83), tune="answered"
        ),
        Style(
            "stride", 0.9, ("4/4",), 92, 132, ("singing", "flowing"), 0.4, accompaniment.stride, (69, 86), doubles=True
        ),
        Style(
            "barcarolle", 1.0, ("6/8",), 66, 112, ("calm", "singing", "flowing"), 0.3,
            accompaniment.barcarolle, (67, 86), introduces=True, doubles=True,
        ),
        Style(
            "ballad", 1.1, ("4/4",), 60, 96, ("singing", "flowing"), 0.4,
            accompaniment.ballad, (65, 82), introduces=True, doubles=True,
        ),
        Style(
            "hymn", 0.9, ("4/4", "3/4"), 66, 108, ("calm", "singing"), 1.0,
            accompaniment.hymn, (64, 79), minor_share=0.3,
        ),
        Style(
            "sarabande", 0.9, ("3/4",), 46, 70, ("grave",), 0.15,
            accompaniment.sarabande, (65, 82), minor_share=0.6,
        ),
        Style(
            "ragtime", 1.0, ("4/4",), 150, 210, ("syncopated",), 0.3,
            accompaniment.ragtime, (69, 89), introduces=True, doubles=True, swing=(0.5, 0.55), minor_share=0.15,
        ),
        Style(
            "boogie", 0.9, ("4/4",), 120, 184, ("swung", "syncopated"), 0.0,
            accompaniment.boogie, (67, 88), language="blues", swing=(0.58, 0.67), crush=0.25, minor_share=0.1,
        ),
        Style(
            "blues", 1.0, ("4/4",), 60, 104, ("swung", "singing"), 0.0,
            accompaniment.blues, (64, 84), introduces=True, language="blues", swing=(0.62, 0.68), crush=0.3,
            minor_share=0.35,
        ),
        Style(
            "jazz", 1.2, ("4/4", "4/4", "3/4"), 96, 200, ("swung", "syncopated"), 0.35,
            accompaniment.jazz, (64, 84), introduces=True, language="jazz", swing=(0.57, 0.67), crush=0.06,
        ),
        Style(
            "etude", 1.1, ("4/4", "3/4"), 84, 138, ("calm",), 0.3,
            accompaniment.etude, (67, 91), tune="figured", minor_share=0.55,
        ),
        Style(
            "minimal", 0.9, ("4/4", "5/4", "6/8"), 84, 132, ("sparse",), 0.0,
            accompaniment.minimal, (69, 86), language="loop", tune="bare", minor_share=0.5,
        ),
        Style(
            "tango", 1.0, ("4/4",), 100, 132, ("singing", "syncopated"), 0.25,
            accompaniment.tango, (65, 84), introduces=True, doubles=True, minor_share=0.75,
        ),
        Style(
            "pop", 1.2, ("4/4",), 72, 132, ("singing", "syncopated", "flowing"), 0.2,
            accompaniment.pop, (65, 84), introduces=True, doubles=True, language="loop",
        ),
    )
}  # fmt: skip
"""The piano's styles by name."""
