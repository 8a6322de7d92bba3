"""Handing a sounding take over to another preset on a line: which line can be met, and the take that continues there.

The new instrument hears the old take's prompt and the old take up to the line, and continues that. The old take's sound
stays in the ring until enough of the new take is made; then the new take's replaces it. Whatever goes wrong before that
leaves the old take as it is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from bridge.audio.output_ring import TAKE_BACK_GUARD_SAMPLES, OutputRing
from bridge.audio.shared_samples import Samples
from bridge.clock.device_clock import DeviceClock, Line
from bridge.processes.job import GivenNote, Job, Planning
from bridge.processes.messages import AT_SAMPLE, Load, Moved, PlayerEvent, Report, RequestError
from bridge.protocol.types import INT32_MAX
from bridge.takes import start_time
from bridge.takes.take import Take
from bridge.takes.take_chain import Join, Successor, join_of, least_seconds
from melnet_music.sound.resample import resample

if TYPE_CHECKING:
    from melnet_music.instrument.instrument import Instrument
    from melnet_music.instrument.take_speed import TakeSpeed

_AT_ONCE_SECONDS = 1.0
_LEAST_LEFT_SECONDS = 0.25
"""A take that ends so soon after the line is played to its end by the old preset."""
_CROSSFADE_SECONDS = 0.03
"""The new sound begins about so long before its line."""
_EASE_SECONDS = 0.1
_FOLLOWED_AHEAD_SECONDS = 1.5
"""So long before the line, the rest up to the line of a take that follows notes is made at once."""

Steps: TypeAlias = Generator[None, None, None]
Make: TypeAlias = "Callable[[Instrument, Successor], Steps]"


class PresetSwap:
    """The hand-over to one loaded preset. Belongs to the player's one thread."""

    def __init__(
        self,
        request: Load,
        instrument: Instrument,
        speed: TakeSpeed,
        *,
        ring: OutputRing,
        make: Make,
        tell: Callable[[PlayerEvent], None],
    ) -> None:
        self._request = request
        self._instrument, self._speed = instrument, speed
        self._ring, self._make, self._tell = ring, make, tell
        self._reported_line: Line | None = None
        """The line that was reported."""
        self._retimed = False
        self._hearing: _Hearing | None = None
        self.active = False
        """Whether a take is being handed over; no other job is started meanwhile."""
        self.wants_sound = False
        """Whether a take that follows notes is to be made ahead, up to the line."""
        self.making = False
        """Whether the new take is being made; nothing may delay it."""
        self.taken_over: tuple[Successor, Steps, Join] | None = None
        """The new take, once it has replaced the old one in the ring, and the steps that make the rest of it."""

    @property
    def promised(self) -> bool:
        """Whether a line was reported."""
        return self._reported_line is not None

    @property
    def line_sample(self) -> int:
        """Device time of the line that was reported."""
        assert self._reported_line is not None
        return self._reported_line.first_sample

    def retime(self, line: Line) -> None:
        """Move the line; without effect once the new take has replaced the old one."""
        self._request = replace(self._request, line=line)
        self._retimed = True

    # --- the line ---------------------------------------------------------------------------------------

    def _line_met(self, old: Take, clock: DeviceClock, primed_seconds: float) -> Line | None:
        """The first line for which the new take can be ready; None: the old take ends before.

        Args:
            primed_seconds: how much of the old take the new instrument has heard already.

        Raises:
            RequestError: it is too late for the line, and was to be dropped then.
        """
        began = self._ring.device_time(old.origin_count)
        earliest = began + least_seconds(_CROSSFADE_SECONDS) * clock.rate_hz
        last = began + (old.expected_seconds - _LEAST_LEFT_SECONDS) * clock.rate_hz
        late = self._request.late if self._request.line else "play"
        line = self._request.line or Line(earliest, 1.0)
        while line.sample < last:
            position = (line.sample - began) / clock.rate_hz
            ready_in = self._ready_in(old, position, position - primed_seconds)
            ready = max(earliest, clock.sample_at(time.monotonic() + ready_in))
            if ready <= line.sample:
                return line
            if late == "drop":
                due_in = clock.monotonic_at(line.sample) - time.monotonic()
                raise RequestError(
                    "too_late",
                    f"the preset would be ready in {ready_in:.2f} s, but its line is {due_in:.2f} s from now",
                )
            eased = ready + _EASE_SECONDS * clock.rate_hz
            line = Line(eased, 1.0) if late == "play" else line.at_or_after(ready)
        return None

    def _ready_in(self, old: Take, position_seconds: float, unprimed_seconds: float) -> float:
        """How long until a take that continues the old one from a position in it can replace it."""
        rate = self._speed.real_time_factor * start_time.CAUTION
        left = old.expected_seconds - position_seconds
        first_sound = self._speed.first_sound_seconds
        making = start_time.start_wait_seconds(0.0, left, rate, self._instrument.chunk_seconds, first_sound)
        making += max(0.0, unprimed_seconds) / rate  # hearing is no slower
        made_in = 0.0
        if not old.complete:
            old_rate = old.estimate.rate * start_time.CAUTION
            hurried = making > old.spare_seconds(self._ring) - start_time.MARGIN_SECONDS
            until = old.expected_seconds if hurried else position_seconds
            made_in = max(0.0, until - old.generated_seconds) / old_rate
        return made_in + making + _CROSSFADE_SECONDS + self._guard_seconds(old)

    def _guard_seconds(self, old: Take) -> float:
        return TAKE_BACK_GUARD_SAMPLES / (old.output_hz or 1)

    # --- the new take -----------------------------------------------------------------------------------

    def steps(self, old: Take, clock: Callable[[], DeviceClock | None]) -> Generator[bool, None, None]:
        """Make the take that continues at the line, until it has replaced the old one in the ring or the old one ends.

        Yields whether there is nothing to do just now.

        Raises:
            RequestError: it was to be dropped if it is late.
            ValueError: the new instrument cannot continue this.
        """
        if self._hearing is None or self._hearing.old is not old:
            self._hearing = _Hearing(self._instrument, old)
        self.active = True
        try:
            while (now := clock()) and (yield from self._try(old, now, self._hearing)):
                pass
        finally:
            self.active = False

    def _try(self, old: Take, clock: DeviceClock, hearing: _Hearing) -> Generator[bool, None, bool]:
        """One attempt, for the first line that can be met; False: it is done, or there is no such line."""
        sounded, new_hz = self._ring.read - old.origin_count, self._instrument.sample_rate_hz
        yield from hearing.up_to(sounded * new_hz // clock.rate_hz)
        self._retimed = False
        line = self._line_met(old, clock, sounded / clock.rate_hz)
        if line is None:
            return False
        self._promise(line, clock)
        line_count = old.origin_count + line.first_sample - self._ring.device_time(old.origin_count)
        join = join_of(old, line_count, new_hz, clock.rate_hz, self._instrument.crossfade_samples)
        try:
            yield from self._make_for(join, old, hearing)
        finally:
            self.making = self.wants_sound = False
        return self.taken_over is None

    def _make_for(self, join: Join, old: Take, hearing: _Hearing) -> Generator[bool, None, None]:
        """Make the new take until it has replaced the old one, or is too late."""
        while old.sound_until < join.first_count + join.fade_samples or (
            not old.complete and old.generated_seconds * old.sample_rate_hz < join.old_samples
        ):
            if self._is_late(join):
                return
            self.wants_sound = join.first_count - self._ring.read < _FOLLOWED_AHEAD_SECONDS * (old.output_hz or 1)
            yield True
        self.making, self.wants_sound = True, False
        yield from hearing.up_to(join.line_sample)
        successor = self._successor(old, join, hearing.beside)
        making = self._make(hearing.beside, successor)
        try:
            while not self._is_late(join):
                ready = successor.is_ready(self._ring)
                if ready and self._ring.written >= join.first_count:
                    if successor.take_over(self._ring, old):
                        self.taken_over = successor, making, join
                    break
                if not ready:
                    next(making)
                yield ready
        finally:
            if not self.taken_over:
                making.close()

    def _is_late(self, join: Join) -> bool:
        """Whether the line cannot be met any more, or has moved."""
        return self._retimed or self._ring.read + TAKE_BACK_GUARD_SAMPLES > join.first_count

    def _successor(self, old: Take, join: Join, beside: Instrument) -> Successor:
        rate_hz = beside.sample_rate_hz
        left_samples = round(old.expected_seconds * rate_hz) - join.line_sample
        seed = old.job.seed
        job = replace(
            old.job,
            number=self._request.take,
            kind="continue",
            seed=seed + 1 if seed < INT32_MAX else 0,
            seconds=left_samples / rate_hz,
            lead_seconds=join.lead_samples / rate_hz,
            skip_seconds=0.0,
            notes=_notes_after(old.job, join.line_sample / rate_hz),
            ends_phrase=False,
            phrase=None,
            chunk_frames=None,
            line=None,
            again=None,
            variations=(),
            planning=_planning_after(old.job, join.line_sample / rate_hz),
        )
        assert old.output_hz is not None
        values = (("preset", beside.preset_name), ("take", job.number), (AT_SAMPLE, self.line_sample))
        return Successor(
            job,
            join,
            old,
            Report(self._request.number, "started", values),
            sample_rate_hz=rate_hz,
            output_hz=old.output_hz,
            rate=self._speed.real_time_factor,
            block_seconds=beside.chunk_seconds,
        )

    def _promise(self, line: Line, clock: DeviceClock) -> None:
        if self._reported_line is None:
            values = (
                ("preset", self._instrument.preset_name),
                ("real_time_factor", self._speed.real_time_factor),
                (AT_SAMPLE, line.first_sample),
                ("start_in", clock.monotonic_at(line.sample) - time.monotonic()),
            )
            self._tell(Report(self._request.number, "done", values))
        elif abs(line.sample - self._reported_line.sample) >= 1.0:
            self._tell(Moved(self._request.number, line.first_sample))
        self._reported_line = line


def _notes_after(job: Job, seconds: float) -> tuple[GivenNote, ...] | None:
    """The notes that a job was given, as its successor is given them, which begins so many seconds after the take."""
    if job.notes is None:
        return None
    passed = _new_seconds(job, seconds)
    left = ((onset_s - passed, end_s - passed, key, velocity) for onset_s, end_s, key, velocity in job.notes)
    return tuple((max(0.0, onset_s), end_s, key, velocity) for onset_s, end_s, key, velocity in left if end_s > 0.0)


def _planning_after(job: Job, seconds: float) -> Planning | None:
    """How the successor's notes are planned: in the bars of the take's own plan."""
    if job.planning is None or job.planning.begins_at is None:
        return job.planning
    return replace(job.planning, begins_at=job.planning.begins_at + _new_seconds(job, seconds))


def _new_seconds(job: Job, seconds: float) -> float:
    """How long a take's new sound has gone on when so much of the take has sounded."""
    return seconds - job.lead_seconds + job.skip_seconds


class _Hearing:
    """Has an instrument that shares the new one's weights hear the old take as it is made."""

    def __init__(self, instrument: Instrument, old: Take) -> None:
        self._instrument, self.old = instrument, old
        self._begin()

    def _begin(self) -> None:
        self.beside = self._instrument.beside(np.zeros(0, np.float32))
        self._unheard = self._at_new_rate(self.old.prompt_audio)
        self._heard_samples = 0

    def _at_new_rate(self, audio: Samples) -> Samples:
        old_hz, new_hz = self.old.sample_rate_hz, self._instrument.sample_rate_hz
        return audio if old_hz == new_hz else resample(audio, old_hz, new_hz)

    def up_to(self, sample: int) -> Generator[bool, None, None]:
        """Hear the old take's prompt and the old take up to a sample at the new rate."""
        if sample < self._heard_samples:  # the line is earlier than before
            self._begin()
        made = self._at_new_rate(self.old.audio)[self._heard_samples : sample]
        self._heard_samples += len(made)
        audio = np.concatenate([self._unheard, made])
        self._unheard = audio[:0]
        at_once = round(_AT_ONCE_SECONDS * self._instrument.sample_rate_hz)
        for first in range(0, len(audio), at_once):
            self.beside.hear(audio[first : first + at_once])
            yield False
