"""Whose turn is when: how long takes are in the making, who may go before whom, and which line can be met.

All of it is told in seconds from now, as of one moment.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from bridge.clock.device_clock import DeviceClock, Line
from bridge.processes.messages import Job, Load, QueuedRequest, RequestError
from bridge.takes import start_time

_EASE_SECONDS = 2.0
"""A job that waits for its line is begun so much earlier than it must."""
_JOIN_SECONDS = 0.15
"""The same, where it goes on from the latest that is heard."""
_JOINING_RATE = 1.5
"""An engine must be so much faster than playing to go on from the latest that is heard."""
_BETWEEN_SECONDS = 0.3
"""A job goes before one that waits for its line only if it is over so much earlier."""
_TURN_SECONDS = 0.001
"""Turns that are nearer are one."""


@dataclass(frozen=True)
class Pace:
    """How fast an instrument makes takes: measured at load, then what the last take showed."""

    rate: float = 1.0
    """Audio seconds generated per second."""
    first_sound_seconds: float = 0.0
    """From the beginning of a take to its first new sound."""
    block_seconds: float = 0.0
    """Audio that it makes at once; 0: nothing is loaded."""

    @property
    def safe_rate(self) -> float:
        """To promise by."""
        return self.rate * start_time.CAUTION

    def making_seconds(self, job: Job) -> float:
        """How long its new audio takes."""
        return job.seconds / self.safe_rate

    def wait_seconds(self, job: Job) -> float:
        """How long after it is begun it may start to sound."""
        unplayed_seconds = job.skip_seconds + (job.phrase.seconds if job.phrase else 0.0)
        return unplayed_seconds / self.safe_rate + start_time.start_wait_seconds(
            job.lead_seconds, job.seconds, self.safe_rate, self.block_seconds, self.first_sound_seconds
        )


@dataclass(frozen=True)
class JobQueue:
    """Of what waits in the player, at one moment."""

    pace: Pace
    clock: DeviceClock | None
    """The sound device's; None: there is none, and no line to wait for."""
    now_seconds: float
    """Monotonic."""
    playing_seconds: float
    """For which the takes that are made or in the making keep the ring."""
    making_seconds: float
    """For which the engine is busy with those."""
    waiting: Sequence[QueuedRequest]
    listens: bool
    """Whether an input is heard that lies on the tape."""

    def seconds_until(self, line: Line) -> float:
        """How long until the device asks for the line; below 0: it has. Only where there is a clock."""
        assert self.clock is not None, "lines are its times"
        return self.clock.monotonic_at(line.sample) - self.now_seconds

    def joins(self, job: Job) -> bool:
        """Whether it goes on from the latest that is heard, in time with it, and enters on its line.

        An engine that is hardly faster than playing cannot: it goes on from what was heard when it was asked.
        """
        alone = not (job.lead_seconds or job.again)
        return job.kind == "continue" and alone and self.listens and self.pace.safe_rate >= _JOINING_RATE

    def turn_in_seconds(self, job: Job) -> float:
        """How long until a job is to be begun; others may go before it as long."""
        if job.line is None or self.clock is None or job.span:
            return 0.0
        line_in, wait = self.seconds_until(job.line), self.pace.wait_seconds(job)
        if not self.joins(job):
            return line_in - wait - (_JOIN_SECONDS if job.is_live else _EASE_SECONDS)
        # what is made while it is made has to be made as well
        return line_in - (wait + _JOIN_SECONDS) / (1 - 1 / self.pace.safe_rate)

    def fits_before(self, job: Job, far: Job) -> bool:
        """Whether a job that comes after one which waits for a far line is over before that one's turn."""
        return self._over_in_seconds(job) + _BETWEEN_SECONDS <= self.turn_in_seconds(far)

    def _ready_in_seconds(self, job: Job) -> float:
        """How long until a job that is begun as soon as it can is ready to sound, and the ring ready for it."""
        wait_seconds = self.pace.wait_seconds(job)
        if job.line is None or job.is_live or self.joins(job):
            return max(self.making_seconds, self.playing_seconds) + wait_seconds
        # it is made while others sound, and follows them without a pause
        return max(self.making_seconds + wait_seconds, self.playing_seconds - start_time.CHAIN_OVERLAP_SECONDS)

    def _over_in_seconds(self, job: Job) -> float:
        """How long until a job that is begun now leaves the ring to others."""
        if job.span:
            return self.playing_seconds + self.pace.making_seconds(job)
        ready_in = self._ready_in_seconds(job)
        line_in = self.seconds_until(job.line) if job.line and self.clock else 0.0
        return max(ready_in, line_in) + job.length_seconds

    def promise(self, job: Job, before_line_seconds: Callable[[Line], float]) -> tuple[Job, float]:
        """The job with the line that it will be ready for, or with none if it shall begin as soon as it can; and in how
        many seconds it is ready.

        Args:
            before_line_seconds: how long it takes to make what is not played before a line.

        Raises:
            RequestError: it is too late for the line that was asked for, and was to be dropped then.
        """
        while True:  # on a later line it may have to wait for jobs that it would have gone before
            ready_in = self._turns_until(job)
            if job.line is None:
                return job, ready_in
            ready_in += before_line_seconds(job.line)
            line = self._line_met(job, job.line, ready_in)
            if line == job.line:
                return job, ready_in
            job = replace(job, line=line)

    def _turns_until(self, last: Job) -> float:
        """How long until a job is ready that comes after all that wait, if they take turns as `next_place` says."""
        moment = replace(self, waiting=(*(each for each in self.waiting if isinstance(each, Job)), last))
        while True:
            place = moment.next_place()
            if place is None:
                rest_seconds = max(moment.ripe_in_seconds(), _TURN_SECONDS)
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

    def next_place(self) -> int | None:
        """Which waiting request begins: the first, but jobs may go before one that waits for its line."""
        before: list[Job] = []
        for place, request in enumerate(self.waiting):
            if not isinstance(request, Job):
                return place if place == 0 and not isinstance(request, Load) else None
            if self.turn_in_seconds(request) <= 0.0 and all(self.fits_before(request, far) for far in before):
                return place
            before.append(request)
        return None

    def ripe_in_seconds(self) -> float:
        """How long until the next job's turn comes by itself; one whose turn has come waits for something else."""
        turns = (self.turn_in_seconds(request) for request in self.waiting if isinstance(request, Job))
        return min((turn for turn in turns if turn > 0.0), default=math.inf)
