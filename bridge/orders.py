"""What the stage orders of the player, and what the player reports back: the pipe between the two.

Every order but ``UseSound`` has a number and is closed by exactly one report with that number: a ``Refusal``,
or a ``Report`` that says ``done`` (``finished`` for a ``Job``, whose ``done`` says that it was accepted).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from bridge.commands import FailCode, Value

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
Order: TypeAlias = NumberedOrder | UseSound

Stop = Literal["stop"]
STOP: Stop = "stop"


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


PlayerEvent: TypeAlias = Report | Refusal | Warn | Loaded | Heard
