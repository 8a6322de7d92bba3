"""One take, from the blocks that the engine makes to the output ring."""

from __future__ import annotations

import time
from collections import deque

import numpy as np

from bridge.audio.output_ring import OutputRing
from bridge.audio.shared_samples import Samples
from bridge.clock.device_clock import DeviceClock, Line
from bridge.processes.job import Job
from bridge.takes import start_time
from bridge.takes.notes_in_sound import NotesInSound
from melnet_music.sound.resample import StreamResampler

CHAIN_SECONDS = 0.5
"""So long before a take ends, the take that begins on a line there is appended to it in the ring; earlier, a cancel
or a change of tempo would still be likely."""
_CHAIN_GAP_SECONDS = 0.25
"""A take whose line is later than this after the other's end is opened by itself."""


class Take:
    """Holds all generated audio for the file, and at the device's rate what is not in the ring yet.

    It starts to sound when what is ready lasts until the rest is there (`bridge.takes.start_time`), and on its line
    if it has one. Without a sound device it never sounds, and is over when it is complete.
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
        """Where it is to begin, in device time; None: as soon as it can."""
        self.expected_seconds = job.length_seconds
        self.complete = False
        """Whether all of it has been generated."""
        self.opened = False
        """Whether the device may play it, from its line on if it has one."""
        self.held = False
        """Whether it cannot be made yet, for a time that nobody knows: it opens on no line until then."""
        self.answers = False
        """Whether keys that are played while it sounds change how it goes on."""
        self.told_started = self.told_sounding = False
        self.prompt_audio: Samples = np.zeros(0, np.float32)
        """Of a continuation: the audio that it continues, up to its first new sample; else empty."""
        self.follows: int | None = None
        """The number of the take that it continues with another preset."""
        self.file = ""
        self.heard_at: int | None = None
        """Of a take that repaints the tape: the device time from which the loop plays it."""
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
        """The ring's count of its first sample there."""
        self._ended = False
        self._chained = False
        """Whether it is appended in the ring to another take, which sounds."""
        self._left_out_samples = 0
        """Of its beginning, which the end of the take before it covers."""
        self.planned: NotesInSound | None = None
        """The notes that were planned for it, to be told."""
        self._underruns_before = 0
        self._missing_before = 0

    # --- generation -------------------------------------------------------------------------------------

    def add(self, block: Samples, spent_seconds: float) -> None:
        """Add a block that the engine made in ``spent_seconds``: float32[n] at the instrument's rate."""
        before = max(self.generated_seconds, self.job.lead_seconds)
        self._generated.append(np.array(block, np.float32))
        self._generated_samples += len(block)
        made = max(0.0, self.generated_seconds - before)  # the lead was only copied and says nothing of the rate
        self.estimate.add(made, spent_seconds)
        self._block_seconds = max(self._block_seconds, made)
        if self._resampler:
            self._hold(self._resampler.push(self._generated[-1]))

    def finish_generation(self) -> None:
        """All blocks are added."""
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
        """Audio that was generated."""
        return self._generated_samples / self.sample_rate_hz

    @property
    def unmade_seconds(self) -> float:
        """Audio that is still to be generated."""
        return 0.0 if self.complete else max(0.0, self.expected_seconds - self.generated_seconds)

    @property
    def audio(self) -> Samples:
        """All that was generated: float32[N] at the instrument's rate."""
        return np.concatenate([np.zeros(0, np.float32), *self._generated])

    def keep_first(self, samples: int) -> None:
        """Drop all but the first samples, at the instrument's rate: another take continues it there."""
        self._generated = [self.audio[:samples]]
        self._generated_samples = len(self._generated[0])

    # --- sound ------------------------------------------------------------------------------------------

    @property
    def origin_count(self) -> int:
        """The ring's count of its audio's first sample, at `sound_from` or before. Only of a take that sounds."""
        return self.sound_from - self._left_out_samples

    def origin_sample(self, ring: OutputRing) -> int | None:
        """Device time of its audio's first sample; None: it is not known yet."""
        if not self.opened or self._first_count is None:
            return None
        if ring.read > self._first_count:
            return ring.device_time(self.origin_count)
        if self.line and (self._chained or ring.clock()[0] < self.line.first_sample):
            return self.line.first_sample
        return None

    @property
    def sound_from(self) -> int:
        """The ring's count of its first sample there. Only of a take that sounds."""
        assert self._first_count is not None
        return self._first_count

    @property
    def sound_until(self) -> int:
        """The ring's count of the end of its sound, as far as that is made. Only of a take that sounds."""
        return self.sound_from + self._sound_samples

    def sound_between(self, first_count: int, stop_count: int) -> Samples:
        """Its sound between two of the ring's counts, float32[n] at the device's rate. Only of a take that sounds."""
        return np.concatenate(self._sound)[first_count - self.sound_from : stop_count - self.sound_from]

    @property
    def has_sound(self) -> bool:
        """Whether it is made for a sound device that is still there."""
        return self._resampler is not None

    def drop_sound(self) -> None:
        """The device is gone: the rest is only generated for the file."""
        self._resampler = None
        self._sound.clear()
        self._sound_samples = 0
        self._backlog.clear()
        self._backlog_samples = 0

    def sounded(self, ring: OutputRing) -> tuple[int, Samples] | None:
        """Device time where an ended take began, and its sound, float32[N] at the device's rate; None: no sound."""
        if not self.opened or self._first_count is None or not self._sound:
            return None
        return ring.device_time(self._first_count), np.concatenate(self._sound)

    @property
    def backlog_seconds(self) -> float:
        """Audio that is generated but not in the ring yet."""
        return self._backlog_samples / self.output_hz if self.output_hz else 0.0

    def feed(self, ring: OutputRing, clock: DeviceClock | None) -> None:
        """Move as much into the ring as fits, and let the device play it once that is safe."""
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
            self._open(ring, 0)  # the take that it waits for is before it in the ring
        elif not self.opened and self._may_open(ring, clock):
            self.begin_sounding(ring)
        if self.complete and not self._backlog and not self._ended:
            self._ended = True
            ring.finish()

    def begin_sounding(self, ring: OutputRing) -> None:
        """Let the device play it, from its line on if it has one."""
        self._open(ring, self.line.first_sample if self.line else 0)

    def _open(self, ring: OutputRing, at: int) -> None:
        self.opened = True
        self._underruns_before, self._missing_before = ring.underruns, ring.missing_samples
        ring.open(at)

    def chain(self, ring: OutputRing, before: Take) -> None:
        """Append it without a pause to a take that is about to end at its line, if enough of it is made."""
        if self.opened or self.held or self.line is None or not before.ends_soon(ring):
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
        """Whether it sounds, the rest of it is in the ring, and that is short."""
        if not (self._ended and self.sounds(ring) and self.output_hz and ring.read > self.sound_from):
            return False
        left_seconds = (self.sound_until - ring.read) / self.output_hz
        return start_time.LINE_GUARD_SECONDS < left_seconds <= CHAIN_SECONDS

    def _leave_out(self, samples: int) -> None:
        """Drop so many samples from its beginning, of which nothing is in the ring yet."""
        sound = np.concatenate(self._sound)[samples:]
        self._sound, self._backlog = [sound], deque([sound])
        self._sound_samples = self._backlog_samples = len(sound)
        self._left_out_samples += samples

    def rewind(self) -> None:
        """Its samples in the ring were dropped: write them there again."""
        self._backlog = deque(self._sound)
        self._backlog_samples = self._sound_samples
        self._first_count = None
        self.opened = self._ended = self._chained = self.told_sounding = False

    def _may_open(self, ring: OutputRing, clock: DeviceClock | None) -> bool:
        if self.complete or self.held:
            return self.complete
        return self.spare_seconds(ring) + self.line_in_seconds(clock) >= start_time.MARGIN_SECONDS

    def line_in_seconds(self, clock: DeviceClock | None) -> float:
        """How long until its line; 0: it has none, or the line is past."""
        if self.line is None or clock is None:
            return 0.0
        return max(0.0, clock.monotonic_at(self.line.first_sample) - time.monotonic())

    def misses_its_line(self, clock: DeviceClock | None) -> bool:
        """Whether it is not open, and its line too near to be met."""
        if self.opened or self.held or self.line is None or clock is None:
            return False
        return self.line_in_seconds(clock) < start_time.LINE_GUARD_SECONDS

    def move_to(self, line: Line, ring: OutputRing) -> None:
        """Begin on another line, unless it sounds already or is about to."""
        if self._chained or self.sounds(ring):
            return
        self.line = line
        if self.opened:
            ring.hold_until(line.first_sample)

    def sounds(self, ring: OutputRing) -> bool:
        """Whether it has begun to sound."""
        return self.opened and (self.line is None or ring.clock()[0] >= self.line.first_sample)

    def spare_seconds(self, ring: OutputRing) -> float:
        """Ready audio beyond what is needed for the rest to come in time; negative: it will run dry."""
        if not self.output_hz:
            return 0.0
        ready = self._ahead_samples(ring) / self.output_hz + self.backlog_seconds
        rate = start_time.CAUTION * self.estimate.rate
        return ready - start_time.ready_seconds_needed(self.unmade_seconds, rate, self._block_seconds)

    def _ahead_samples(self, ring: OutputRing) -> int:
        """Samples in the ring that sound before its backlog."""
        return ring.available_samples

    def needs_block(self, ring: OutputRing, before_seconds: float, least_seconds: float = 0.0) -> bool:
        """Whether a take that follows notes needs its next block now: it is made as little ahead as the job says.

        Args:
            before_seconds: how long other takes will sound before it.
            least_seconds: it is made so far ahead at least.
        """
        ahead_seconds = max(self.job.ahead_seconds, least_seconds)
        if self.output_hz is None or not self.has_sound:  # it is made at the pace at which it would sound
            return self.generated_seconds - (time.monotonic() - self._began_at) < ahead_seconds
        ready = before_seconds + self.backlog_seconds
        if before_seconds:
            return ready < ahead_seconds
        ready += ring.available_samples / self.output_hz
        return ready < ahead_seconds or self.spare_seconds(ring) < start_time.MARGIN_SECONDS

    def played_seconds(self, ring: OutputRing) -> float:
        """Audio that the device has played."""
        if not self.output_hz or not self.opened or self._first_count is None:
            return 0.0
        return max(0, ring.read - self._first_count) / self.output_hz

    def left_seconds(self, ring: OutputRing, clock: DeviceClock | None, before_seconds: float = 0.0) -> float:
        """How long until it is over, as far as is known.

        Args:
            before_seconds: how long other takes will sound before it.
        """
        left = self.expected_seconds - self.played_seconds(ring)
        begins_in = max(before_seconds, self.line_in_seconds(clock))
        if self.opened:
            return left + begins_in
        return left + max(begins_in, start_time.MARGIN_SECONDS - self.spare_seconds(ring))

    def over(self, ring: OutputRing) -> bool:
        """Whether all of it is generated, and played if it has sound."""
        if self.has_sound:
            return self._ended and ring.read >= self.sound_until
        return self.complete

    def gaps(self, ring: OutputRing) -> tuple[int, int]:
        """The number of underruns since it began to sound, and of samples that were missing in them."""
        if not self.opened:
            return 0, 0
        return ring.underruns - self._underruns_before, ring.missing_samples - self._missing_before
