"""The pipe between stage and player: requests one way, reports the other.

Every request but ``UseSound``, ``UseBars``, ``MeasureSurprise``, ``Retime``, ``RestoreTape``, ``Key`` and ``Pedal`` has
a number and is closed by exactly one report with that number: a ``Refusal``, or a ``Report`` that says ``done``
(``finished`` for a ``Job``, whose ``done`` says that it was accepted). A ``Load`` that hands a take over on a line says
``done`` when the line is known, and is closed by ``started``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from bridge.clock.device_clock import Line
from bridge.clock.transport import Timeline
from bridge.processes.job import Job, Phrase, SoundingNote, Span
from bridge.protocol.errors import FailCode
from bridge.protocol.types import Late, Value


class RequestError(ValueError):
    """A request that cannot be carried out, with the code for ``/melnet/fail``."""

    def __init__(self, code: FailCode, message: str) -> None:
        super().__init__(message)
        self.code: FailCode = code


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
    """Hear part of an audio file."""

    number: int
    path: str
    start_seconds: float
    seconds: float


@dataclass(frozen=True)
class PrimeClear:
    """Forget all that was heard."""

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
    """A key was struck or released (velocity 0) at a monotonic time."""

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
    """Record what is played from now on as a phrase."""

    number: int


@dataclass(frozen=True)
class RenderPhrase:
    """End the phrase, and have the instrument render and hear it."""

    number: int
    seed: int
    phrase: Phrase | None = None
    """None until the player has ended it."""


@dataclass(frozen=True)
class Listen:
    """Begin or end listening to the audio input."""

    number: int
    listening: bool


@dataclass(frozen=True)
class Cancel:
    """Drop a job, and alternatives that are not made yet."""

    number: int
    job_number: int | None
    """None: it is over, or shall go on."""
    variations: tuple[int, ...] = ()
    """Numbers of those alternatives."""


@dataclass(frozen=True)
class Retime:
    """Move the line of a job or load that waits for it: tempo or song position have changed."""

    job_number: int
    line: Line
    timeline: Timeline | None = field(default=None, compare=False)
    """When bars are now, in seconds of device time."""


@dataclass(frozen=True)
class UseBars:
    """Bars and tempo are these from now on: planned takes go over to them where they have no notes yet."""

    timeline: Timeline
    """In seconds of device time."""
    rate_hz: int
    """Of device time."""


@dataclass(frozen=True)
class StartLoop:
    """Repeat a part of the tape from a device time on."""

    number: int
    span: Span
    at: int


@dataclass(frozen=True)
class StopLoop:
    """End the loop."""

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
    """Put a take on the tape once more: in place of an alternative to it, or over what is there."""

    number: int
    take: PlacedTake
    alternatives: tuple[int, ...] = ()
    """Takes that it is an alternative to, itself included."""


@dataclass(frozen=True)
class PlacedTake:
    """A take on the tape."""

    take: int
    file: str
    span: Span


@dataclass(frozen=True)
class Edited:
    """The tape's edit history, as take numbers. The player sends it after each change."""

    versions: tuple[tuple[int, ...], ...]
    """From the oldest that can be undone to the last that can be redone; in each the last take is on top."""
    place: int
    """Which of them is in force."""

    @property
    def takes(self) -> tuple[int, ...]:
        """Numbers of those on the tape now."""
        return self.versions[self.place]


@dataclass(frozen=True)
class RestoreTape:
    """What a player that died knew of the tape besides its sound, which is in shared memory."""

    takes: tuple[PlacedTake, ...]
    """All that the edit history names and the stage still knows."""
    edited: Edited
    loop: StartLoop | None


@dataclass(frozen=True)
class Panic:
    """Drop all jobs, release all keys, silence output and loop."""

    number: int


@dataclass(frozen=True)
class ListPresets:
    """Report the names and titles of the presets that can be loaded."""

    number: int


@dataclass(frozen=True)
class UseSound:
    """Rates of the opened devices; None: there is no such device (any more)."""

    output_hz: int | None
    input_hz: int | None
    output_latency_seconds: float = 0.0
    input_latency_seconds: float = 0.0
    input_offset_seconds: float = 0.0
    """The input is placed so much later on the tape than the latencies alone would have it."""


@dataclass(frozen=True)
class MeasureSurprise:
    """Judge what is heard by how surprising it is, or do not any more."""

    on: bool


QueuedRequest: TypeAlias = Job | Load | PrimeFile | PrimeClear | RenderPhrase | ExportTape
"""Requests that are carried out one after the other."""
NumberedRequest: TypeAlias = (
    QueuedRequest | Listen | Cancel | Panic | ListPresets | StartLoop | StopLoop | Undo | Recall | BeginPhrase
)
"""Requests that are reported on."""
PlayerRequest: TypeAlias = NumberedRequest | UseSound | UseBars | MeasureSurprise | Retime | RestoreTape | Key | Pedal

Stop = Literal["stop"]
STOP: Stop = "stop"


AT_SAMPLE = "at_sample"
"""In a report: the device time where a job begins; the stage makes bar and beat of it."""


@dataclass(frozen=True)
class Report:
    """A numbered request was carried out, or a job has begun to sound, gone on or ended."""

    number: int
    answer: Literal["done", "started", "progress", "finished"]
    values: tuple[tuple[str, Value], ...] = ()


@dataclass(frozen=True)
class Refusal:
    """A numbered request was not carried out, or a job was dropped."""

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
    """A job begins on another line than was reported, at this device time."""

    number: int
    at_sample: int


@dataclass(frozen=True)
class Sounding:
    """Where a take sounds, in device time: told once it does, and again when it is over."""

    number: int
    first: int
    new_from: int
    """Before it is the lead: what was heard, played once more."""
    stop: int | None = None
    """None: it still sounds."""


@dataclass(frozen=True)
class VariationMade:
    """An alternative to a take is made."""

    number: int
    seconds: float
    file: str


@dataclass(frozen=True)
class VariationLost:
    """An alternative to a take is not made, and will not be."""

    number: int
    code: FailCode
    message: str


@dataclass(frozen=True)
class HandedOver:
    """A job's take ends, and a take with another preset continues it for the same job.

    The values are of the take that ends.
    """

    number: int
    job: Job
    """Of the take that continues it; its number is the job's own from now on."""
    values: tuple[tuple[str, Value], ...]


@dataclass(frozen=True)
class Loaded:
    """Which instrument plays now."""

    preset: str
    """Its name."""
    requested: str
    """The name or folder that it was loaded by."""
    digest: str
    engine: str
    real_time_factor: float
    chunk_seconds: float
    midi_map: str = ""
    """The text of the preset's own; empty: it has none."""
    plans_notes: bool = False
    """Whether it has the notes of takes planned, where nobody says otherwise."""
    engine_why: str = ""
    """Why it is this engine, where it was chosen by measuring, or took over from one that failed."""


@dataclass(frozen=True)
class EngineReplaced:
    """The engine failed, and another goes on in its place."""

    engine: str
    engine_why: str


@dataclass(frozen=True)
class Heard:
    """Length of what was heard since the last clear, and of input that was missed because the player was too busy."""

    seconds: float
    missed_seconds: float


@dataclass(frozen=True)
class PlannedNotesKnown:
    """Planned notes of a take whose place on the sound device is known. Each is told once.

    They count until the take is over: finished, refused, or handed over on a line.
    """

    number: int
    notes: tuple[SoundingNote, ...]


@dataclass(frozen=True)
class PlannedNotesMoved:
    """A take sounds so many samples later than was told, and so does what is left of its planned notes."""

    number: int
    by_samples: int


@dataclass(frozen=True)
class PlannedNotesDropped:
    """A take that does not sound yet is made anew: what was told of its planned notes counts no more."""

    number: int


@dataclass(frozen=True)
class Surprised:
    """How surprising a chunk that was heard was, see `melnet_music.sampling.surprise.Surprise`."""

    nats: float
    over_usual: float


PlayerEvent: TypeAlias = (
    Report
    | Refusal
    | Warn
    | Moved
    | Sounding
    | HandedOver
    | VariationMade
    | VariationLost
    | Loaded
    | EngineReplaced
    | Heard
    | Surprised
    | Edited
    | PlannedNotesKnown
    | PlannedNotesMoved
    | PlannedNotesDropped
)
