"""Who plays together: General MIDI instruments with their ranges, grooves, and ensembles of the two."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from melnet_music.composing.score.styles import Style

Job = Literal["lead", "inner", "bass", "comp", "arp", "pad", "figure", "drums"]
"""What a part does: the tune; one voice of the chord; the bass; whole chords in rhythm; broken chords; held chords;
a piano's two hands; drums."""


@dataclass(frozen=True)
class Voice:
    """A General MIDI instrument: its program (0-127) and its range (MIDI pitches), where it sounds at ease."""

    program: int
    lowest: int
    highest: int


VOICES: dict[str, Voice] = {
    "piano": Voice(0, 28, 100),
    "electric piano": Voice(4, 36, 96),
    "fm piano": Voice(5, 36, 96),
    "harpsichord": Voice(6, 36, 88),
    "glockenspiel": Voice(9, 79, 104),
    "vibraphone": Voice(11, 53, 89),
    "marimba": Voice(12, 45, 91),
    "xylophone": Voice(13, 65, 100),
    "drawbar organ": Voice(16, 36, 91),
    "rock organ": Voice(18, 36, 91),
    "church organ": Voice(19, 36, 91),
    "accordion": Voice(21, 53, 89),
    "harmonica": Voice(22, 60, 88),
    "nylon guitar": Voice(24, 40, 83),
    "steel guitar": Voice(25, 40, 83),
    "jazz guitar": Voice(26, 40, 83),
    "clean guitar": Voice(27, 40, 86),
    "overdriven guitar": Voice(29, 40, 86),
    "distorted guitar": Voice(30, 40, 86),
    "double bass": Voice(32, 28, 55),
    "finger bass": Voice(33, 28, 55),
    "picked bass": Voice(34, 28, 55),
    "synth bass": Voice(38, 28, 55),
    "violin": Voice(40, 55, 93),
    "viola": Voice(41, 48, 81),
    "cello": Voice(42, 36, 72),
    "contrabass": Voice(43, 28, 52),
    "pizzicato": Voice(45, 40, 86),
    "harp": Voice(46, 31, 96),
    "strings": Voice(48, 40, 88),
    "choir": Voice(52, 48, 79),
    "trumpet": Voice(56, 55, 82),
    "trombone": Voice(57, 40, 70),
    "tuba": Voice(58, 28, 55),
    "horn": Voice(60, 41, 75),
    "brass": Voice(61, 45, 82),
    "soprano sax": Voice(64, 58, 86),
    "alto sax": Voice(65, 50, 80),
    "tenor sax": Voice(66, 45, 75),
    "oboe": Voice(68, 59, 86),
    "bassoon": Voice(70, 35, 69),
    "clarinet": Voice(71, 50, 87),
    "flute": Voice(73, 60, 96),
    "recorder": Voice(74, 65, 93),
    "square lead": Voice(80, 50, 91),
    "saw lead": Voice(81, 50, 91),
    "warm pad": Voice(89, 45, 84),
    "polysynth": Voice(90, 45, 88),
    "banjo": Voice(105, 48, 84),
    "kalimba": Voice(108, 55, 88),
    "fiddle": Voice(110, 55, 91),
    "steel drums": Voice(114, 55, 88),
    "standard kit": Voice(0, 35, 81),
    "power kit": Voice(16, 35, 81),
    "electronic kit": Voice(24, 35, 81),
    "jazz kit": Voice(32, 35, 81),
    "brush kit": Voice(40, 35, 81),
}


@dataclass(frozen=True)
class Groove:
    """A style for ensembles: beside what it asks of a work, the rhythms that its bass, chords and drums may have."""

    style: Style
    inner: tuple[str, ...]
    bass: tuple[str, ...]
    comp: tuple[str, ...]
    drums: tuple[str, ...] = ()


def _style(name: str, meters: tuple[str, ...], bpm: tuple[float, float], motions: tuple[str, ...]) -> Style:
    return Style(name, 1.0, meters, *bpm, motions, 0.3, None, (64, 83), introduces=True)


_SWUNG = (0.57, 0.67)
GROOVES: dict[str, Groove] = {
    g.style.name: g
    for g in (
        Groove(
            _style("allegro", ("4/4", "3/4"), (96, 144), ("singing", "flowing")),
            ("held", "eighths", "moving", "offbeats"), ("held", "quarters", "root-fifth"), ("eighths", "quarters"),
        ),
        Groove(
            _style("adagio", ("4/4", "3/4"), (50, 76), ("calm", "singing")),
            ("held", "moving", "eighths"), ("held", "moving"), ("quarters", "held"),
        ),
        Groove(
            _style("minuet", ("3/4",), (100, 168), ("singing", "flowing", "calm")),
            ("waltz", "held", "moving"), ("downbeat", "quarters"), ("waltz",), ("waltz",),
        ),
        Groove(
            _style("pastorale", ("6/8",), (72, 112), ("calm", "singing", "flowing")),
            ("held", "pulses", "moving"), ("pulses", "held"), ("eighths", "pulses"),
        ),
        Groove(
            replace(_style("processional", ("4/4",), (60, 96), ("calm", "singing")), half_bar_chords=1.0),
            ("held", "moving"), ("moving", "quarters"), ("quarters", "held"), ("march",),
        ),
        Groove(
            replace(_style("counterpoint", ("4/4", "3/4"), (76, 116), ("flowing", "running")), minor_share=0.5),
            ("moving", "quarters"), ("quarters", "moving"), ("quarters",),
        ),
        Groove(
            replace(_style("march", ("4/4",), (96, 126), ("singing", "flowing")), minor_share=0.2),
            ("offbeats", "held"), ("root-fifth",), ("offbeats", "backbeat"), ("march",),
        ),
        Groove(
            replace(_style("swing", ("4/4",), (112, 210), ("swung", "syncopated")), language="jazz", swing=_SWUNG),
            ("held", "charleston", "stabs"), ("walk",), ("charleston", "stabs", "four"), ("swing",),
        ),
        Groove(
            replace(_style("jazz ballad", ("4/4", "3/4"), (56, 84), ("singing", "swung")), language="jazz",
                    swing=_SWUNG),
            ("held",), ("downbeat", "root-fifth"), ("held", "charleston"), ("brushes",),
        ),
        Groove(
            replace(_style("bossa nova", ("4/4",), (112, 148), ("syncopated", "singing")), language="jazz"),
            ("held", "charleston"), ("bossa",), ("bossa",), ("bossa",),
        ),
        Groove(
            replace(_style("shuffle", ("4/4",), (84, 136), ("swung", "singing")), language="blues",
                    swing=(0.6, 0.67), crush=0.2, minor_share=0.3),
            ("held", "stabs"), ("boogie", "walk"), ("backbeat", "charleston", "offbeats"), ("shuffle",),
        ),
        Groove(
            replace(_style("rock", ("4/4",), (96, 152), ("syncopated", "flowing", "singing")), language="loop",
                    minor_share=0.5),
            ("held",), ("eighths", "syncopated"), ("eighths", "strum", "held"), ("rock", "half time"),
        ),
        Groove(
            replace(_style("slow rock", ("4/4", "6/8"), (60, 88), ("singing", "calm")), language="loop"),
            ("held",), ("syncopated", "pulses"), ("arpeggio", "held", "quarters"), ("half time", "rock"),
        ),
        Groove(
            replace(_style("radio pop", ("4/4",), (88, 128), ("syncopated", "singing")), language="loop",
                    minor_share=0.35),
            ("held", "eighths"), ("syncopated", "eighths"), ("strum", "eighths", "charleston"), ("rock", "disco"),
        ),
        Groove(
            replace(_style("dance", ("4/4",), (112, 132), ("syncopated", "flowing")), language="loop",
                    minor_share=0.65),
            ("held", "offbeats"), ("octaves", "offbeats"), ("offbeats", "sixteenths"), ("disco", "electro"),
        ),
        Groove(
            replace(_style("funk", ("4/4",), (88, 116), ("syncopated",)), language="loop", minor_share=0.6,
                    swing=(0.5, 0.54)),
            ("stabs", "held"), ("syncopated", "octaves"), ("sixteenths", "stabs", "offbeats"), ("funk",),
        ),
        Groove(
            replace(_style("reel", ("4/4",), (152, 208), ("flowing", "running")), minor_share=0.4),
            ("held", "offbeats"), ("root-fifth",), ("backbeat", "strum"), ("folk",),
        ),
        Groove(
            replace(_style("jig", ("6/8",), (132, 180), ("flowing",)), minor_share=0.4),
            ("pulses", "held"), ("pulses",), ("pulses", "eighths"), ("folk",),
        ),
        Groove(
            replace(_style("habanera", ("4/4",), (96, 128), ("singing", "syncopated")), minor_share=0.75),
            ("held", "offbeats"), ("habanera",), ("habanera", "offbeats"), ("latin",),
        ),
        Groove(
            replace(_style("patterns", ("4/4", "5/4", "6/8"), (92, 132), ("sparse",)), language="loop",
                    minor_share=0.5),
            ("eighths", "held", "sixteenths"), ("held", "quarters"), ("eighths", "sixteenths"),
        ),
    )
}  # fmt: skip


@dataclass(frozen=True)
class Seat:
    """One part of an ensemble: the instruments it may have, and its jobs; the first is what it does by default."""

    names: tuple[str, ...]
    jobs: tuple[Job, ...]


@dataclass(frozen=True)
class Ensemble:
    """Parts and the grooves that they play in."""

    name: str
    seats: tuple[Seat, ...]
    grooves: tuple[str, ...]
    share: float = 1.0


def _seat(names: str, *jobs: Job) -> Seat:
    return Seat(tuple(names.split("/")), jobs)


_CLASSICAL = ("allegro", "adagio", "minuet", "pastorale", "counterpoint")
_JAZZ = ("swing", "jazz ballad", "bossa nova", "shuffle")

ENSEMBLES: dict[str, Ensemble] = {
    e.name: e
    for e in (
        Ensemble(
            "string quartet",
            (_seat("violin", "lead", "inner"), _seat("violin", "inner", "lead"), _seat("viola", "inner", "lead"),
             _seat("cello", "bass")),
            _CLASSICAL, 1.3,
        ),
        Ensemble(
            "wind quintet",
            (_seat("flute", "lead", "inner"), _seat("oboe", "inner", "lead"), _seat("clarinet", "inner", "lead"),
             _seat("horn", "inner"), _seat("bassoon", "bass")),
            _CLASSICAL,
        ),
        Ensemble(
            "brass quintet",
            (_seat("trumpet", "lead", "inner"), _seat("trumpet", "inner", "lead"), _seat("horn", "inner", "lead"),
             _seat("trombone", "inner"), _seat("tuba", "bass")),
            ("allegro", "adagio", "processional", "march", "minuet"),
        ),
        Ensemble(
            "chamber orchestra",
            (_seat("violin", "lead", "inner"), _seat("flute/oboe", "lead", "inner"), _seat("clarinet", "inner", "lead"),
             _seat("horn", "inner"), _seat("strings", "pad"), _seat("cello", "inner", "lead"),
             _seat("contrabass", "bass")),
            ("allegro", "adagio", "minuet", "pastorale", "processional"), 1.3,
        ),
        Ensemble(
            "piano trio",
            (_seat("violin", "lead", "inner"), _seat("cello", "inner", "lead"), _seat("piano", "figure", "lead")),
            ("allegro", "adagio", "minuet", "pastorale"),
        ),
        Ensemble(
            "sonata",
            (_seat("violin/cello/clarinet/flute/horn/oboe", "lead"), _seat("piano", "figure")),
            ("allegro", "adagio", "minuet", "pastorale"), 1.2,
        ),
        Ensemble("flute and harp", (_seat("flute", "lead"), _seat("harp", "figure")),
                 ("adagio", "pastorale", "minuet", "patterns"), 0.8),
        Ensemble(
            "baroque group",
            (_seat("recorder/oboe/violin", "lead", "inner"), _seat("violin", "inner", "lead"),
             _seat("harpsichord", "comp"), _seat("cello", "bass")),
            ("allegro", "adagio", "minuet", "counterpoint"),
        ),
        Ensemble(
            "choir and organ",
            (_seat("choir", "pad", "lead"), _seat("church organ", "lead", "inner"), _seat("church organ", "bass")),
            ("adagio", "processional"), 0.8,
        ),
        Ensemble(
            "jazz trio",
            (_seat("piano", "comp", "lead"), _seat("double bass", "bass"), _seat("jazz kit/brush kit", "drums")),
            _JAZZ, 1.2,
        ),
        Ensemble(
            "jazz quartet",
            (_seat("tenor sax/alto sax/trumpet", "lead"), _seat("vibraphone/jazz guitar/piano", "comp", "lead"),
             _seat("double bass", "bass"), _seat("jazz kit", "drums")),
            _JAZZ, 1.3,
        ),
        Ensemble(
            "big band",
            (_seat("trumpet", "lead", "inner"), _seat("alto sax", "inner", "lead"), _seat("tenor sax", "inner", "lead"),
             _seat("trombone", "inner"), _seat("brass", "pad"), _seat("piano", "comp"), _seat("double bass", "bass"),
             _seat("jazz kit", "drums")),
            ("swing", "shuffle", "jazz ballad"),
        ),
        Ensemble(
            "organ trio",
            (_seat("drawbar organ", "lead", "comp"), _seat("jazz guitar", "comp", "lead"),
             _seat("finger bass", "bass"), _seat("jazz kit/standard kit", "drums")),
            ("swing", "shuffle", "funk", "bossa nova"),
        ),
        Ensemble(
            "bossa group",
            (_seat("flute/tenor sax/vibraphone", "lead"), _seat("nylon guitar", "comp", "lead"),
             _seat("double bass", "bass"), _seat("brush kit/standard kit", "drums")),
            ("bossa nova",),
        ),
        Ensemble("guitar duo", (_seat("nylon guitar/steel guitar", "lead"), _seat("nylon guitar/steel guitar", "arp")),
                 ("allegro", "adagio", "habanera", "pastorale", "minuet")),
        Ensemble(
            "rock band",
            (_seat("overdriven guitar/distorted guitar", "lead"), _seat("clean guitar/overdriven guitar", "comp"),
             _seat("rock organ", "pad", "lead"), _seat("picked bass/finger bass", "bass"),
             _seat("power kit/standard kit", "drums")),
            ("rock", "slow rock", "shuffle"), 1.2,
        ),
        Ensemble(
            "synth pop",
            (_seat("saw lead/square lead", "lead"), _seat("polysynth", "arp", "lead"), _seat("warm pad", "pad"),
             _seat("synth bass", "bass"), _seat("electronic kit/standard kit", "drums")),
            ("dance", "radio pop"), 1.2,
        ),
        Ensemble(
            "pop band",
            (_seat("electric piano/piano/clean guitar", "lead", "comp"), _seat("steel guitar", "comp", "arp"),
             _seat("strings", "pad"), _seat("finger bass", "bass"), _seat("standard kit", "drums")),
            ("radio pop", "slow rock"), 1.2,
        ),
        Ensemble(
            "electric piano combo",
            (_seat("alto sax/soprano sax/clean guitar", "lead"), _seat("electric piano/fm piano", "comp", "lead"),
             _seat("finger bass", "bass"), _seat("standard kit", "drums")),
            ("funk", "jazz ballad", "bossa nova", "slow rock"),
        ),
        Ensemble(
            "folk band",
            (_seat("fiddle", "lead"), _seat("accordion", "comp", "lead"), _seat("steel guitar/banjo", "comp"),
             _seat("double bass", "bass")),
            ("reel", "jig", "minuet"), 1.2,
        ),
        Ensemble(
            "tango band",
            (_seat("accordion", "lead", "comp"), _seat("violin", "inner", "lead"), _seat("piano", "comp"),
             _seat("contrabass", "bass")),
            ("habanera",),
        ),
        Ensemble("marimba and bass", (_seat("marimba", "lead", "arp"), _seat("marimba/vibraphone", "arp", "lead"),
                                      _seat("double bass", "bass")),
                 ("patterns", "habanera", "allegro"), 0.8),
        Ensemble(
            "mallets and bells",
            (_seat("glockenspiel/xylophone", "lead"), _seat("vibraphone", "pad", "lead"), _seat("marimba", "arp"),
             _seat("kalimba", "arp")),
            ("patterns", "pastorale"), 0.7,
        ),
        Ensemble(
            "island band",
            (_seat("steel drums", "lead"), _seat("clean guitar", "comp"), _seat("finger bass", "bass"),
             _seat("standard kit", "drums")),
            ("bossa nova", "radio pop"), 0.7,
        ),
        Ensemble("pizzicato strings", (_seat("pizzicato", "lead", "inner"), _seat("pizzicato", "inner", "lead"),
                                       _seat("pizzicato", "inner"), _seat("contrabass", "bass")),
                 ("allegro", "minuet", "march"), 0.6),
        Ensemble(
            "harmonica blues",
            (_seat("harmonica", "lead"), _seat("steel guitar/clean guitar", "comp", "lead"),
             _seat("finger bass", "bass"), _seat("standard kit", "drums")),
            ("shuffle",), 0.8,
        ),
    )
}  # fmt: skip
"""The ensembles by name; solo piano is none of them, and has its own styles."""
SOLO_PIANO_SHARE = 3.0
"""Weight of solo piano among the ensembles' shares."""
