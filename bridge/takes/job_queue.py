"""When each job starts: how long takes take to make, which job may go before which, and which line it can meet.

A queue is the state of one moment; all times are in seconds from then.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from bridge.clock.device_clock import DeviceClock, Line
from bridge.processes.job import Job
from bridge.processes.messages import Load, QueuedRequest, RequestError
from bridge.takes import start_time

_EASE_SECONDS = 2.0
"""A job that waits for its line is started so much earlier than it must be."""
_JOIN_SECONDS = 0.15
"""The same for a job that continues the input up to the last moment."""
_JOINING_RATE = 1.5
"""An engine must be so much faster than real time to continue the input up to the last moment."""
_BETWEEN_SECONDS = 0.3
"""A job goes before one that waits for its line only if it is done so much earlier than that one starts."""
_LEAST_WAIT_SECONDS = 0.001
"""Starts that are nearer to each other are taken as one."""


@dataclass(frozen=True)
class Pace:
    """How fast an instrument makes takes: measured when it is loaded, then on the last take."""

    rate: float = 1.0
    """Audio seconds generated per second."""
    first_sound_seconds: float = 0.0
    """From the beginning of a take to its first new sound."""
    block_seconds: float = 0.0
    """Audio that it makes in one step; 0: nothing is loaded."""

    @property
    def safe_rate(self) -> float:
        """The rate, with a margin, that promises are made with."""
        return self.rate * start_time.CAUTION

    def making_seconds(self, job: Job) -> float:
        """How long the job's new audio takes to make."""
        return 0.0 if job.plays else job.seconds / self.safe_rate

    def wait_seconds(self, job: Job) -> float:
        """How long after its start a job may begin to sound."""
        if job.plays:
            return start_time.MARGIN_SECONDS
        unplayed_seconds = job.skip_seconds + (job.phrase.seconds if job.phrase else 0.0)
        return unplayed_seconds / self.safe_rate + start_time.start_wait_seconds(
            job.lead_seconds, job.seconds, self.safe_rate, self.block_seconds, self.first_sound_seconds
        )


@dataclass(frozen=True)
class JobQueue:
    """The requests that wait in the player, at one moment."""

    pace: Pace
    clock: DeviceClock | None
    """The sound device's; None: there is none, and no line to wait for."""
    now_seconds: float
    """Monotonic."""
    playing_seconds: float
    """How long the takes that are made or being made keep the output ring busy."""
    making_seconds: float
    """How long those keep the engine busy."""
    waiting: Sequence[QueuedRequest]
    listens: bool
    """Whether input is heard whose place on the tape is known."""

    def seconds_until(self, line: Line) -> float:
        """How long until the device plays the line; below 0: it has. Only if there is a clock."""
        assert self.clock is not None, "lines are its times"
        return self.clock.monotonic_at(line.sample) - self.now_seconds

    def continues_input(self, job: Job) -> bool:
        """Whether a job continues the input up to the last moment, and begins on its line in time with it.

        An engine that is hardly faster than real time cannot: its take continues what was heard at the trigger.
        """
        alone = not (job.lead_seconds or job.again)
        return job.kind == "continue" and alone and self.listens and self.pace.safe_rate >= _JOINING_RATE

    def start_due_in_seconds(self, job: Job) -> float:
        """How long until a job has to be started for its line; until then others may go before it."""
        if job.line is None or self.clock is None or job.span:
            return 0.0
        line_in, wait = self.seconds_until(job.line), self.pace.wait_seconds(job)
        if not self.continues_input(job):
            return line_in - wait - (_JOIN_SECONDS if job.is_live else _EASE_SECONDS)
        # what is made while it is made has to be made as well
        return line_in - (wait + _JOIN_SECONDS) / (1 - 1 / self.pace.safe_rate)

    def fits_before(self, job: Job, far: Job) -> bool:
        """Whether a job is done before an earlier one, which waits for a far line, has to be started."""
        return self._over_in_seconds(job) + _BETWEEN_SECONDS <= self.start_due_in_seconds(far)

    def _ready_in_seconds(self, job: Job) -> float:
        """How long until a job that is started as soon as possible is ready to sound, and the ring is free for it."""
        wait_seconds = self.pace.wait_seconds(job)
        if job.line is None or job.is_live or self.continues_input(job):
            return max(self.making_seconds, self.playing_seconds) + wait_seconds
        # it is made while others sound, and follows them without a pause
        return max(self.making_seconds + wait_seconds, self.playing_seconds - start_time.CHAIN_OVERLAP_SECONDS)

    def _over_in_seconds(self, job: Job) -> float:
        """How long until a job that is started now leaves the ring to others."""
        if job.span:
            return self.playing_seconds + self.pace.making_seconds(job)
        ready_in = self._ready_in_seconds(job)
        line_in = self.seconds_until(job.line) if job.line and self.clock else 0.0
        return max(ready_in, line_in) + job.length_seconds

    def promise(self, job: Job, before_line_seconds: Callable[[Line], float]) -> tuple[Job, float]:
        """The job with the line that it will be ready for, or with none if it is to begin as soon as it can; and in how
        many seconds it is ready.

        Args:
            before_line_seconds: how long it takes to make what is not played before a line.

        Raises:
            RequestError: it is too late for the line that was asked for, and was to be dropped then.
        """
        while True:  # on a later line it may have to wait for jobs that it would have gone before
            ready_in = self._ready_in_queue_seconds(job)
            if job.line is None:
                return job, ready_in
            ready_in += before_line_seconds(job.line)
            line = self._line_met(job, job.line, ready_in)
            if line == job.line:
                return job, ready_in
            job = replace(job, line=line)

    def _ready_in_queue_seconds(self, last: Job) -> float:
        """How long until a job is ready that comes after all that wait, if they are started as `next_index` says."""
        moment = replace(self, waiting=(*(each for each in self.waiting if isinstance(each, Job)), last))
        while True:
            place = moment.next_index()
            if place is None:
                rest_seconds = max(moment.next_start_in_seconds(), _LEAST_WAIT_SECONDS)
                moment = replace(
                    moment,
                    now_seconds=moment.now_seconds + rest_seconds,
                    playing_seconds=max(0.0, moment.playing_seconds - rest_seconds),
                    making_seconds=max(0.0, moment.making_seconds - rest_seconds),
                )
                continue
            job = moment.waiting[place]
            assert isinstance(job, Job)
            if job is last:
                return moment.now_seconds - self.now_seconds + moment._ready_in_seconds(job)
            left = (*moment.waiting[:place], *moment.waiting[place + 1 :])
            over = moment._over_in_seconds(job)
            making = over if job.is_live else moment.making_seconds + self.pace.making_seconds(job)
            moment = replace(moment, waiting=left, playing_seconds=over, making_seconds=making)

    def _line_met(self, job: Job, line: Line, ready_in_seconds: float) -> Line | None:
        assert self.clock is not None
        ready = self.clock.sample_at(self.now_seconds + max(ready_in_seconds, start_time.LINE_GUARD_SECONDS))
        met = line.at_or_after(ready)
        if met == line or job.late == "next":
            return met
        if job.late == "play":
            return None
        raise RequestError(
            "too_late",
            f"it would be ready in {ready_in_seconds:.2f} s, but its line is {self.seconds_until(line):.2f} s from now",
        )

    def next_index(self) -> int | None:
        """The index of the request to start now, the first unless a job may go before one that waits for a line; None:
        there is none."""
        before: list[Job] = []
        for place, request in enumerate(self.waiting):
            if not isinstance(request, Job):
                return place if place == 0 and not isinstance(request, Load) else None
            if self.start_due_in_seconds(request) <= 0.0 and all(self.fits_before(request, far) for far in before):
                return place
            before.append(request)
        return None

    def next_start_in_seconds(self) -> float:
        """How long until the next job has to be started. One that is overdue waits for something else."""
        starts = (self.start_due_in_seconds(request) for request in self.waiting if isinstance(request, Job))
        return min((start for start in starts if start > 0.0), default=math.inf)
