"""Requests from the stage to the player, and the reports that come back: the pipe between the two.

Every request but ``UseSound``, ``Retime``, ``RestoreTape``, ``Key`` and ``Pedal`` has a number and is closed by exactly
one report with that number: a ``Refusal``, or a ``Report`` that says ``done`` (``finished`` for a ``Job``, whose
``done`` says that it was accepted). A ``Load`` that hands a take over on a line says ``done`` when the line is known,
and is closed by ``started``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from bridge.clock.device_clock import Line
from bridge.protocol.errors import FailCode
from bridge.protocol.types import Follow, Late, Value


class RequestError(ValueError):
    """A request that cannot be obeyed, with the code for ``/melnet/fail``."""

    def __init__(self, code: FailCode, message: str) -> None:
        super().__init__(message)
        self.code: FailCode = code


JobKind = Literal["continue", "generate", "inpaint"]


Span: TypeAlias = tuple[int, int]
"""Device times on the tape: the first, and the one past the last."""


GivenNote: TypeAlias = tuple[float, float, int, int]
"""Onset and end in seconds from where a take's new sound begins, key and velocity."""


@dataclass(frozen=True)
class Again:
    """A take of this session, whose prompt and place another attempt takes."""

    take: int
    file: str
    """Its WAV file; empty: it could not be written."""


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
class Job:
    """Make one take. None means the preset's own."""

    number: int
    kind: JobKind
    seed: int
    seconds: float
    lead_seconds: float = 0.0
    tail_seconds: float = 0.0
    start_seconds: float = 0.0
    stop_seconds: float = 0.0
    skip_seconds: float = 0.0
    """Of a continuation: how much of its beginning is made but not played: its line is so long after what was heard."""
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

    @property
    def is_live(self) -> bool:
        """Whether it is to follow what is played while it is made."""
        return self.follow != "off" and self.notes is None

    @property
    def length_seconds(self) -> float:
        """With what is played before and after the new audio."""
        return self.lead_seconds + self.seconds + self.tail_seconds


@dataclass(frozen=True)
class Load:
    """Load a preset, and hand over to it the take that sounds, if one does."""

    number: int
    preset: str
    take: int
    """The number of the take that goes on from there."""
    line: Line | None = None
    """Where it is handed over; None: as soon as the preset is loaded."""
    late: Late = "next"
    """What to do if the preset is not ready for the line."""


@dataclass(frozen=True)
class PrimeFile:
    number: int
    path: str
    start_seconds: float
    seconds: float


@dataclass(frozen=True)
class PrimeClear:
    number: int


@dataclass(frozen=True)
class BarLine:
    """A bar of the tape."""

    bar: int
    """Its number, from 1."""
    first_sample: int
    """Device time."""
    tempo_bpm: float
    meter: str


@dataclass(frozen=True)
class ExportTape:
    """Write bars of the tape, edits included, to a WAV file and what belongs to it."""

    number: int
    path: str
    span: Span
    bars: tuple[BarLine, ...]


@dataclass(frozen=True)
class Key:
    """A key was struck, or let go (velocity 0), at a monotonic time."""

    key: int
    velocity: int
    at_seconds: float


@dataclass(frozen=True)
class Pedal:
    """The sustain pedal went down or up, at a monotonic time."""

    down: bool
    at_seconds: float


@dataclass(frozen=True)
class BeginPhrase:
    """What is played from now on is a phrase."""

    number: int


@dataclass(frozen=True)
class RenderPhrase:
    """The phrase is over: the instrument is to play it to itself."""

    number: int
    seed: int
    phrase: Phrase | None = None
    """Once the player has taken it."""


@dataclass(frozen=True)
class Listen:
    number: int
    listening: bool


@dataclass(frozen=True)
class Cancel:
    number: int
    job_number: int


@dataclass(frozen=True)
class Retime:
    """The line of a job that does not sound yet is elsewhere in device time: tempo or place have changed."""

    job_number: int
    line: Line


@dataclass(frozen=True)
class StartLoop:
    """Repeat a part of the tape from a device time on."""

    number: int
    span: Span
    at: int


@dataclass(frozen=True)
class StopLoop:
    number: int
    at: int
    """Device time."""


@dataclass(frozen=True)
class Undo:
    """Take back the last change of the tape; or make it again."""

    number: int
    redo: bool = False


@dataclass(frozen=True)
class Recall:
    """Lay a take over the tape once more."""

    number: int
    take: PlacedTake


@dataclass(frozen=True)
class PlacedTake:
    """A take on the tape."""

    take: int
    file: str
    span: Span


@dataclass(frozen=True)
class Edited:
    """The changes of the tape, by the numbers of the takes that lie on it: also said by the player, after each."""

    versions: tuple[tuple[int, ...], ...]
    """From the oldest that can be undone to the last that can be redone; in each the last take lies over the others."""
    place: int
    """Which of them is in force."""

    @property
    def takes(self) -> tuple[int, ...]:
        """That lie on it now."""
        return self.versions[self.place]


@dataclass(frozen=True)
class RestoreTape:
    """What a dead player had of the tape besides its sound."""

    takes: tuple[PlacedTake, ...]
    """All that the changes name, as far as they are known still."""
    edited: Edited
    loop: StartLoop | None


@dataclass(frozen=True)
class Panic:
    number: int


@dataclass(frozen=True)
class ListPresets:
    """Answered by the names and titles of the presets that can be loaded."""

    number: int


@dataclass(frozen=True)
class UseSound:
    """Rates of the opened devices; None: there is no such device (any more)."""

    output_hz: int | None
    input_hz: int | None
    output_latency_seconds: float = 0.0
    input_latency_seconds: float = 0.0
    input_offset_seconds: float = 0.0
    """The input lies so much later on the tape than by the latencies alone."""


QueuedRequest: TypeAlias = Job | Load | PrimeFile | PrimeClear | RenderPhrase | ExportTape
"""Orders that are obeyed one after the other."""
NumberedRequest: TypeAlias = (
    QueuedRequest | Listen | Cancel | Panic | ListPresets | StartLoop | StopLoop | Undo | Recall | BeginPhrase
)
"""Orders that are reported on."""
PlayerRequest: TypeAlias = NumberedRequest | UseSound | Retime | RestoreTape | Key | Pedal

Stop = Literal["stop"]
STOP: Stop = "stop"


AT_SAMPLE = "at_sample"
"""In a report: the device time where a job begins; the stage makes bar and beat of it."""


@dataclass(frozen=True)
class Report:
    number: int
    answer: Literal["done", "started", "progress", "finished"]
    values: tuple[tuple[str, Value], ...] = ()


@dataclass(frozen=True)
class Refusal:
    number: int
    code: FailCode
    message: str


@dataclass(frozen=True)
class Warn:
    """Something went wrong that does not end the request."""

    number: int
    message: str


@dataclass(frozen=True)
class Moved:
    """A job begins on another line than was told, at this device time."""

    number: int
    at_sample: int


@dataclass(frozen=True)
class HandedOver:
    """A job's take ends, and another one with another preset goes on with it for the same job.

    The values are of the take that ends."""

    number: int
    job: Job
    """The one that goes on; its number is the job's own from now on."""
    values: tuple[tuple[str, Value], ...]


@dataclass(frozen=True)
class Loaded:
    """Which instrument plays now."""

    preset: str
    digest: str
    engine: str
    real_time_factor: float
    chunk_seconds: float
    midi_map: str = ""
    """The text of the preset's own, if it brings one."""


@dataclass(frozen=True)
class Heard:
    """Length of what was heard since the last clear, and input that had to be left out."""

    seconds: float
    missed_seconds: float


PlayerEvent: TypeAlias = Report | Refusal | Warn | Moved | HandedOver | Loaded | Heard | Edited
