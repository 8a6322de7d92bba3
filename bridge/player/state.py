"""The state that the parts of the player share, and the questions about it that several of them ask."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from bridge.audio.output_ring import OutputRing
from bridge.clock.device_clock import DeviceClock, read_device_clock
from bridge.midi.played_notes import PlayedNotes
from bridge.player.preset_loading import PresetLoading
from bridge.player.settings import PlayerSettings
from bridge.player.variations.queue import VariationQueue
from bridge.processes.messages import Load, PlayerEvent, QueuedRequest, RequestError, UseBars, UseSound
from bridge.takes import start_time
from bridge.takes.job_queue import JobQueue, Pace
from bridge.takes.planning import TakePlanner
from bridge.takes.preset_swap import PresetSwap
from bridge.takes.take import Take
from bridge.takes.take_reports import started_report
from bridge.tape.live_input import LiveInput
from bridge.tape.prompt_memory import PromptMemory
from bridge.tape.session_tape import SessionTape
from bridge.tape.tape_commands import TapeCommands

if TYPE_CHECKING:
    from melnet_music.instrument.instrument import Instrument
    from melnet_music.instrument.take_request import TakeRequest

HEARD_AT_ONCE_SECONDS = 1.0
"""The most audio that an instrument hears in one step."""

Steps: TypeAlias = Generator[None, None, None]
"""A request being carried out: yields between steps; closing it cancels the request."""


class CutShortError(Exception):
    """Thrown into the steps that make a take: what is made by now is saved, and the take ends there."""


@dataclass(frozen=True)
class RunningRequest:
    """The queued request that is being carried out."""

    request: QueuedRequest
    steps: Steps


@dataclass
class LoadInProgress:
    """A preset on its way to being played."""

    request: Load
    """With its line where it is now."""
    loading: PresetLoading | None = None
    """Until the instrument is there."""
    swap: PresetSwap | None = None
    """From then on."""
    idle: bool = False
    """Whether it only waits for others just now."""
    primed_until: int | None = None
    """Up to which sample the new instrument has heard what is in the prompt memory; None: nothing."""


@dataclass
class PlayerState:
    """Belongs to the player process's one thread."""

    tell: Callable[[PlayerEvent], None]
    """Sends an event to the stage."""
    settings: PlayerSettings
    make_instrument: Callable[..., Instrument]
    request_type: type[TakeRequest]
    output: OutputRing
    prompt_memory: PromptMemory
    tape: SessionTape
    tape_commands: TapeCommands
    live_input: LiveInput
    sound: UseSound = field(default_factory=lambda: UseSound(None, None))
    """Rates and latencies of the devices that are open."""
    bars: UseBars | None = None
    """Where bars are, as the stage told last."""
    measures_surprise: bool = False
    instrument: Instrument | None = None
    """None: no preset is loaded yet."""
    pace: Pace = field(default_factory=Pace)
    """How fast the instrument makes takes."""
    played: PlayedNotes = field(default_factory=PlayedNotes)
    planner: TakePlanner = field(default_factory=TakePlanner)
    variations: VariationQueue = field(default_factory=VariationQueue)
    waiting: deque[QueuedRequest] = field(default_factory=deque)
    """Requests that are not begun yet, oldest first."""
    running: RunningRequest | None = None
    load: LoadInProgress | None = None
    takes: deque[Take] = field(default_factory=deque)
    """Takes in the making or not played out yet, oldest first; only the first one feeds the ring."""
    accepted_at: dict[int, float] = field(default_factory=dict)
    """Monotonic time at which a job came, by its number, until its take is begun."""
    round_began: float = 0.0
    """Monotonic time at which this round of the loop began."""

    def tell_started(self, take: Take) -> None:
        """Tell once that a take begins to sound."""
        take.told_started = True
        self.tell(started_report(take, self.sound.output_latency_seconds))

    def loaded_instrument(self) -> Instrument:
        """The instrument.

        Raises:
            RequestError: no preset is loaded.
        """
        if self.instrument is None:
            raise RequestError("refused", "no preset is loaded")
        return self.instrument

    def clock(self) -> DeviceClock | None:
        """The sound device's; None: there is none, or it has not begun."""
        return read_device_clock(self.output.clock, self.sound.output_hz) if self.sound.output_hz else None

    def now_sample(self) -> float:
        """Device time of now; 0: there is no device."""
        clock = self.clock()
        return clock.sample_at(time.monotonic()) if clock else 0.0

    def heard_sample_at(self, monotonic_seconds: float) -> float:
        """Device time of what a musician heard at that moment; 0: there is no device."""
        clock = self.clock()
        return clock.sample_at(monotonic_seconds - self.sound.output_latency_seconds) if clock else 0.0

    def job_queue(self) -> JobQueue:
        """What waits and what is in the making, as of now."""
        clock, playing, making = self.clock(), 0.0, 0.0
        for take in self.takes:
            if take.has_sound:
                playing = take.left_seconds(self.output, clock, playing)
            if not take.complete:  # one that follows is made while it plays
                making = playing if take.job.is_live else making + take.unmade_seconds / self.pace.safe_rate
        listens = self.live_input.listening and self.tape.input_begin is not None
        return JobQueue(self.pace, clock, time.monotonic(), playing, making, tuple(self.waiting), listens)

    def can_spare_time(self, reserve_seconds: float = start_time.MARGIN_SECONDS) -> bool:
        """Whether other work now cannot make a sounding take run dry."""
        sounding = next((take for take in self.takes if take.opened and not take.complete), None)
        return sounding is None or sounding.spare_seconds(self.output) > reserve_seconds
