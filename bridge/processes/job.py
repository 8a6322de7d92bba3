"""A job, as the stage asks the player for it: all that a take depends on besides what was heard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from bridge.clock.device_clock import Line
from bridge.clock.transport import Timeline
from bridge.protocol.types import Follow, Late, Renew

JobKind = Literal["continue", "generate", "inpaint"]

Span: TypeAlias = tuple[int, int]
"""Device times on the tape: the first, and the one past the last."""

GivenNote: TypeAlias = tuple[float, float, int, int]
"""Onset and end in seconds from where a take's new sound begins, key and velocity."""

SoundingNote: TypeAlias = tuple[int, int, int, int]
"""Device times at which a note begins and ends, key and velocity."""


@dataclass(frozen=True)
class Again:
    """A take of this session that another attempt is made at: from the same prompt, in the same place."""

    take: int
    file: str
    """Its WAV file; empty: it could not be written."""
    renew: Renew = "sound"
    """What is drawn anew: the sound of the same notes; or its planned notes too."""
    notes_file: str = ""
    """A MIDI file of the notes that it is given in place of its own; empty: none is."""
    plays_seconds: float | None = None
    """Length of the take, if its sound is played once more; None: it is made again."""


@dataclass(frozen=True)
class Variation:
    """An alternative to a take, to be made from what that one went on from."""

    number: int
    """As a take."""
    seed: int


@dataclass(frozen=True)
class Phrase:
    """What was played, to be rendered by the instrument."""

    notes: tuple[GivenNote, ...]
    """Onsets and ends in seconds from the first onset."""
    seconds: float
    """From the first onset until the last note ended, or the phrase was said to be over."""
    ended_at_seconds: float
    """Monotonic time of that end."""


@dataclass(frozen=True)
class Planning:
    """How the notes of a take are planned: see `melnet_music.notes.score.settings.PlanSettings`, and when bars are."""

    temperature: float
    density: float
    scale: str
    register: float
    timeline: Timeline
    """In seconds of device time."""
    rate_hz: int
    """Of device time."""
    begins_at: float | None = None
    """Time of the timeline at which the plan begins, with the take's new sound; None: nothing is planned yet."""
    in_own_bars: bool = False
    """Whether the timeline is the take's own, which begins on a bar line at time 0; else it is the transport's."""
    by_preset: bool = False
    """Whether nobody asked for a plan: only a preset that plans by itself then has one, if one can be had at once."""


@dataclass(frozen=True)
class Job:
    """Make one take. A temperature, bias or chunk length of None is the preset's own."""

    number: int
    kind: JobKind
    seed: int
    seconds: float
    lead_seconds: float = 0.0
    tail_seconds: float = 0.0
    start_seconds: float = 0.0
    stop_seconds: float = 0.0
    skip_seconds: float = 0.0
    """Of a continuation: how much of its beginning is generated but not played, because its line comes so long after
    what was heard."""
    temperature: float | None = None
    bias: float | None = None
    chunk_frames: int | None = None
    line: Line | None = None
    """Where it shall begin to sound; None: as soon as it can."""
    late: Late = "next"
    """What to do if it cannot be ready for the line."""
    span: Span | None = None
    """The part of the tape to be repainted; it sounds where the loop plays it. None: nothing on the tape."""
    again: Again | None = None
    """The take that this one is another attempt at."""
    follow: Follow = "off"
    """What it does with the notes that are played meanwhile."""
    ahead_seconds: float = 0.25
    """Of a take that follows: how far ahead of what sounds it is made."""
    notes: tuple[GivenNote, ...] | None = None
    """That it was given; None: none were, or they are still to come."""
    ends_phrase: bool = False
    """Whether the phrase that is being played ends here: the take goes on from it."""
    phrase: Phrase | None = None
    """That phrase, once it has ended."""
    planning: Planning | None = None
    """How its notes are planned while it is made, if it was given none and follows none; of a take that is made: how
    they were, and can be again. None: they are not."""
    variations: tuple[Variation, ...] = ()
    """Alternatives to it that are to be made once it is made."""
    variation_of: int | None = None
    """The take that it is an alternative to: made beside what is more urgent, and heard only when it is recalled."""

    @property
    def is_live(self) -> bool:
        """Whether it is to follow what is played while it is made."""
        return self.follow != "off" and self.notes is None

    @property
    def is_planned(self) -> bool:
        """Whether its notes are to be planned while it is made."""
        return self.planning is not None and self.follow == "off" and self.notes is None

    @property
    def was_planned(self) -> bool:
        """Whether notes were planned after its prompt, its own or an earlier attempt's: so they can be again."""
        return self.planning is not None and self.planning.begins_at is not None

    @property
    def plays_plan(self) -> bool:
        """Whether the notes that it was given were planned, for an earlier attempt at it."""
        return self.planning is not None and self.follow == "off" and self.notes is not None

    @property
    def plays(self) -> bool:
        """Whether it plays the sound of a take that is there."""
        return self.again is not None and self.again.plays_seconds is not None

    @property
    def length_seconds(self) -> float:
        """With what is played before and after the new audio."""
        if self.again and self.again.plays_seconds is not None:
            return self.again.plays_seconds
        return self.lead_seconds + self.seconds + self.tail_seconds
