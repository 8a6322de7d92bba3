"""One take on its way from the engine to the output ring."""

from __future__ import annotations

import time
from collections import deque

import numpy as np

from bridge.audio.output_ring import OutputRing
from bridge.audio.shared_samples import Samples
from bridge.clock.device_clock import DeviceClock, Line
from bridge.processes.messages import Job
from bridge.takes import start_time
from melnet_music.sound.resample import StreamResampler

_CHAIN_SECONDS = 0.5
"""So long before a take ends the one that begins on a line there is put behind it; sooner, much could still change."""
_CHAIN_GAP_SECONDS = 0.25
"""A line that is farther from the take's end has time to be opened for itself."""


class Take:
    """Holds what was generated: all of it for the file, and at the device's rate what is not in the ring yet.

    It starts to sound when what is ready lasts until the rest is there (`bridge.takes.start_time`), and on its line
    if it has one. Without a sound device it never does, and is over when it is complete.
    """

    def __init__(
        self,
        job: Job,
        *,
        accepted_at: float,
        sample_rate_hz: int,
        output_hz: int | None,
        rate: float,
        block_seconds: float,
    ) -> None:
        self.job = job
        self.line = job.line
        """Where it shall begin, in device time; None: as soon as it can."""
        self.expected_seconds = job.length_seconds
        self.complete = False
        """Whether all of it has been generated."""
        self.opened = False
        """Whether it may sound, if only from its line on."""
        self.told_started = False
        self.heard: Samples = np.zeros(0, np.float32)
        """What it goes on from, up to its first new sample; none: nothing, or this is not of its kind."""
        self.follows: int | None = None
        """The take that was handed over to it."""
        self.file = ""
        self.heard_at: int | None = None
        """Of a take on the tape: the device time from which the loop plays it."""
        self.accepted_at = accepted_at
        """Monotonic time of the trigger."""
        self._began_at = self.told_progress_at = time.monotonic()
        self.estimate = start_time.RateEstimate(rate)
        self._block_seconds = block_seconds
        self.sample_rate_hz = sample_rate_hz
        self._generated: list[Samples] = []
        self._generated_samples = 0
        self.output_hz = output_hz
        self._resampler = StreamResampler(sample_rate_hz, output_hz) if output_hz else None
        self._backlog: deque[Samples] = deque()
        self._backlog_samples = 0
        self._sound: list[Samples] = []
        self._sound_samples = 0
        self._first_count: int | None = None
        """The ring's count of the first sample that it puts there."""
        self._ended = False
        self._chained = False
        """Whether it is in the ring behind another take, which sounds."""
        self._underruns_before = 0
        self._missing_before = 0

    # --- generation -------------------------------------------------------------------------------------

    def add(self, block: Samples, spent_seconds: float) -> None:
        """Take in what the engine made in ``spent_seconds``: float32[n] at the instrument's rate."""
        before = max(self.generated_seconds, self.job.lead_seconds)
        self._generated.append(np.array(block, np.float32))
        self._generated_samples += len(block)
        made = max(0.0, self.generated_seconds - before)  # the lead was only fetched and tells no rate
        self.estimate.add(made, spent_seconds)
        self._block_seconds = max(self._block_seconds, made)
        if self._resampler:
            self._hold(self._resampler.push(self._generated[-1]))

    def finish_generation(self) -> None:
        self.complete = True
        if self._resampler:
            self._hold(self._resampler.flush())

    def _hold(self, samples: Samples) -> None:
        if len(samples):
            self._sound.append(samples)
            self._sound_samples += len(samples)
            self._backlog.append(samples)
            self._backlog_samples += len(samples)

    @property
    def generated_seconds(self) -> float:
        return self._generated_samples / self.sample_rate_hz

    @property
    def unmade_seconds(self) -> float:
        """Of its audio, still to be generated."""
        return 0.0 if self.complete else max(0.0, self.expected_seconds - self.generated_seconds)

    @property
    def audio(self) -> Samples:
        """All that was generated: float32[N] at the instrument's rate."""
        return np.concatenate([np.zeros(0, np.float32), *self._generated])

    def keep_first(self, samples: int) -> None:
        """It ends there: the rest is another take's."""
        self._generated = [self.audio[:samples]]
        self._generated_samples = len(self._generated[0])

    # --- sound ------------------------------------------------------------------------------------------

    @property
    def origin_count(self) -> int:
        """The ring's count of its audio's first sample, which may be from before it sounds. Of a take that sounds."""
        return self.sound_from

    @property
    def sound_from(self) -> int:
        """The ring's count of the first sample that it put there. Of a take that sounds."""
        assert self._first_count is not None
        return self._first_count

    @property
    def sound_until(self) -> int:
        """The ring's count up to which its sound is made. Of a take that sounds."""
        return self.sound_from + self._sound_samples

    def sound_between(self, first_count: int, stop_count: int) -> Samples:
        """Its sound at the device's rate between two of the ring's counts. Of a take that sounds."""
        return np.concatenate(self._sound)[first_count - self.sound_from : stop_count - self.sound_from]

    @property
    def has_sound(self) -> bool:
        return self._resampler is not None

    def drop_sound(self) -> None:
        """The device is gone: what is left goes to the file only."""
        self._resampler = None
        self._sound.clear()
        self._sound_samples = 0
        self._backlog.clear()
        self._backlog_samples = 0

    def sounded(self, ring: OutputRing) -> tuple[int, Samples] | None:
        """Of a take that is over: the device time where it began, and its sound at the device's rate; None: it is not
        known to have sounded."""
        if not self.opened or self._first_count is None or not self._sound:
            return None
        return ring.device_time(self._first_count), np.concatenate(self._sound)

    @property
    def backlog_seconds(self) -> float:
        return self._backlog_samples / self.output_hz if self.output_hz else 0.0

    def feed(self, ring: OutputRing, clock: DeviceClock | None) -> None:
        """Move into the ring what fits, and let it sound once that is safe."""
        if self._first_count is None:
            self._first_count = ring.written
        while self._backlog:
            written = ring.write(self._backlog[0])
            self._backlog_samples -= written
            if written < len(self._backlog[0]):
                self._backlog[0] = self._backlog[0][written:]
                break
            self._backlog.popleft()
        if self._chained and not self.opened:
            self._open(ring, 0)  # what it waits for lies before it in the ring
        elif not self.opened and self._may_open(ring, clock):
            self.begin_sounding(ring)
        if self.complete and not self._backlog and not self._ended:
            self._ended = True
            ring.finish()

    def begin_sounding(self, ring: OutputRing) -> None:
        self._open(ring, self.line.first_sample if self.line else 0)

    def _open(self, ring: OutputRing, at: int) -> None:
        self.opened = True
        self._underruns_before, self._missing_before = ring.underruns, ring.missing_samples
        ring.open(at)

    def chain(self, ring: OutputRing, before: Take) -> None:
        """Follow a take that is about to end on its line without a pause, if that is so and enough of it is made."""
        if self.opened or self.line is None or not before.ends_soon(ring):
            return
        if not self.has_sound or not self.output_hz:
            return
        if not self.complete and self.spare_seconds(ring) < start_time.MARGIN_SECONDS:
            return
        pause = self.line.first_sample - ring.device_time(before.sound_until)
        if not -start_time.CHAIN_OVERLAP_SECONDS <= pause / self.output_hz <= _CHAIN_GAP_SECONDS:
            return
        if pause >= 0:
            ring.write(np.zeros(pause, np.float32))
        else:
            self._leave_out(-pause)
        self._chained = True
        self.feed(ring, None)

    def ends_soon(self, ring: OutputRing) -> bool:
        """Whether it sounds, and all the rest of it is in the ring and short."""
        if not (self._ended and self.sounds(ring) and self.output_hz and ring.read > self.sound_from):
            return False
        left_seconds = (self.sound_until - ring.read) / self.output_hz
        return start_time.LINE_GUARD_SECONDS < left_seconds <= _CHAIN_SECONDS

    def _leave_out(self, samples: int) -> None:
        """Of the beginning of its sound, of which nothing is in the ring yet."""
        sound = np.concatenate(self._sound)[samples:]
        self._sound, self._backlog = [sound], deque([sound])
        self._sound_samples = self._backlog_samples = len(sound)

    def rewind(self) -> None:
        """What it has in the ring is dropped there: put it there again."""
        self._backlog = deque(self._sound)
        self._backlog_samples = self._sound_samples
        self._first_count = None
        self.opened = self._ended = self._chained = False

    def _may_open(self, ring: OutputRing, clock: DeviceClock | None) -> bool:
        if self.complete:
            return True
        return self.spare_seconds(ring) + self.line_in_seconds(clock) >= start_time.MARGIN_SECONDS

    def line_in_seconds(self, clock: DeviceClock | None) -> float:
        """How long until its line; 0 where it has none, or it is past."""
        if self.line is None or clock is None:
            return 0.0
        return max(0.0, clock.monotonic_at(self.line.first_sample) - time.monotonic())

    def misses_its_line(self, clock: DeviceClock | None) -> bool:
        """Whether the line is so near that what is not open now will not begin on it."""
        if self.opened or self.line is None or clock is None:
            return False
        return self.line_in_seconds(clock) < start_time.LINE_GUARD_SECONDS

    def move_to(self, line: Line, ring: OutputRing) -> None:
        """Begin there instead, unless it sounds already, or is about to."""
        if self._chained or self.sounds(ring):
            return
        self.line = line
        if self.opened:
            ring.hold_until(line.first_sample)

    def sounds(self, ring: OutputRing) -> bool:
        """Whether it has begun to sound."""
        return self.opened and (self.line is None or ring.clock()[0] >= self.line.first_sample)

    def spare_seconds(self, ring: OutputRing) -> float:
        """Ready audio beyond what is needed for the rest to come in time; negative when it does not."""
        if not self.output_hz:
            return 0.0
        ready = self._ahead_samples(ring) / self.output_hz + self.backlog_seconds
        rate = start_time.CAUTION * self.estimate.rate
        return ready - start_time.ready_seconds_needed(self.unmade_seconds, rate, self._block_seconds)

    def _ahead_samples(self, ring: OutputRing) -> int:
        """What will sound before its backlog."""
        return ring.available_samples

    def is_short(self, ring: OutputRing, before_seconds: float) -> bool:
        """Whether a take that follows notes is to be made further: as little ahead as it may be.

        Args:
            before_seconds: how long other takes will sound before it.
        """
        if self.output_hz is None or not self.has_sound:  # it keeps time as if it sounded
            return self.generated_seconds - (time.monotonic() - self._began_at) < self.job.ahead_seconds
        ready = before_seconds + self.backlog_seconds
        if before_seconds:
            return ready < self.job.ahead_seconds
        ready += ring.available_samples / self.output_hz
        return ready < self.job.ahead_seconds or self.spare_seconds(ring) < start_time.MARGIN_SECONDS

    def played_seconds(self, ring: OutputRing) -> float:
        if not self.output_hz or not self.opened or self._first_count is None:
            return 0.0
        return max(0, ring.read - self._first_count) / self.output_hz

    def left_seconds(self, ring: OutputRing, clock: DeviceClock | None, before_seconds: float = 0.0) -> float:
        """How long until it is over, as far as can be told.

        Args:
            before_seconds: how long other takes will sound before it.
        """
        left = self.expected_seconds - self.played_seconds(ring)
        begins_in = max(before_seconds, self.line_in_seconds(clock))
        if self.opened:
            return left + begins_in
        return left + max(begins_in, start_time.MARGIN_SECONDS - self.spare_seconds(ring))

    def over(self, ring: OutputRing) -> bool:
        """Whether nothing of it is left to be generated or to be played."""
        if self.has_sound:
            return self._ended and ring.read >= self.sound_until
        return self.complete

    def gaps(self, ring: OutputRing) -> tuple[int, int]:
        """Underruns since it began to sound, and the samples that were missing in them."""
        if not self.opened:
            return 0, 0
        return ring.underruns - self._underruns_before, ring.missing_samples - self._missing_before
