"""What the stage orders of the player, and what the player reports back: the pipe between the two.

Every order but ``UseSound`` and ``Retime`` has a number and is closed by exactly one report with that number: a
``Refusal``, or a ``Report`` that says ``done`` (``finished`` for a ``Job``, whose ``done`` says that it was accepted).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from bridge.commands import FailCode, Late, Value
from bridge.device_clock import Line

JobKind = Literal["continue", "generate", "inpaint"]


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
    temperature: float | None = None
    bias: float | None = None
    chunk_frames: int | None = None
    line: Line | None = None
    """Where it shall begin to sound; None: as soon as it can."""
    late: Late = "next"
    """What to do if it cannot be ready for the line."""


@dataclass(frozen=True)
class Load:
    number: int
    preset: str


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


InTurn: TypeAlias = Job | Load | PrimeFile | PrimeClear
"""Orders that are obeyed one after the other."""
NumberedOrder: TypeAlias = InTurn | Listen | Cancel | Panic | ListPresets
"""Orders that are reported on."""
Order: TypeAlias = NumberedOrder | UseSound | Retime

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
    """Something went wrong that does not end the order."""

    number: int
    message: str


@dataclass(frozen=True)
class Moved:
    """A job begins on another line than was told, at this device time."""

    number: int
    at_sample: int


@dataclass(frozen=True)
class Loaded:
    """Which instrument plays now."""

    preset: str
    digest: str
    engine: str
    real_time_factor: float
    chunk_seconds: float


@dataclass(frozen=True)
class Heard:
    """Length of what was heard since the last clear, and input that had to be left out."""

    seconds: float
    missed_seconds: float


PlayerEvent: TypeAlias = Report | Refusal | Warn | Moved | Loaded | Heard
