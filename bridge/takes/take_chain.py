"""The take that continues a sounding one with another preset: where it begins, and how it replaces it in the ring.

The new take's sound begins a little before the line with a copy of the old take's, at a sample where the grids of its
rate and of the device's rate meet, so that both are equal there, to the phase. The ring changes from the old take to
the new one at the end of that copy; the new instrument's crossfade to the new music follows, and ends on the line.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from bridge.audio.output_ring import OutputRing
from bridge.audio.shared_samples import Samples
from bridge.processes.job import Job
from bridge.processes.messages import Report
from bridge.takes import start_time
from bridge.takes.take import Take

_FADE_SECONDS = 0.005
"""Of the crossfade in the ring, where both takes hold the same music: without effect if their rates are equal."""
_SETTLING_SECONDS = 0.05
"""So long after its beginning, resampled sound is what it would be in the middle of a stream."""


@dataclass(frozen=True)
class Join:
    """Where one take continues another."""

    line_sample: int
    """New samples from the old take's beginning to the line, or just before it."""
    lead_samples: int
    """Samples of the old take's sound, crossfade included, that the new take begins with."""
    old_samples: int
    """Samples that are kept of the old take, at its own rate."""
    origin_count: int
    """The ring's count of the new take's first sample."""
    first_count: int
    """The ring's count from which on the new take's sound is in the ring."""
    fade_samples: int
    """Length of the crossfade in the ring, from there on."""


def least_seconds(crossfade_seconds: float) -> float:
    """How long a take must have sounded before it can be handed over."""
    return 2 * (crossfade_seconds + _FADE_SECONDS + _SETTLING_SECONDS)


def join_of(old: Take, line_count: int, new_hz: int, device_hz: int, crossfade_samples: int) -> Join:
    """Where a take continues ``old`` on a line.

    Args:
        line_count: the ring's count of the line.
        crossfade_samples: length of the new instrument's crossfade, at its rate.
    """
    step = new_hz // math.gcd(new_hz, device_hz)  # whole steps lie on samples of both rates
    line = (line_count - old.origin_count) * new_hz // device_hz
    wanted = crossfade_samples + math.ceil((_FADE_SECONDS + _SETTLING_SECONDS) * new_hz)
    begin = (line - wanted) // step * step
    origin_count = old.origin_count + begin * device_hz // new_hz
    fade = round(_FADE_SECONDS * device_hz)
    fade_begins = (line - begin - crossfade_samples) * device_hz // new_hz
    return Join(
        line, line - begin, line * old.sample_rate_hz // new_hz, origin_count, origin_count + fade_begins - fade, fade
    )


class Successor(Take):
    """A take that is made beside the others until enough of it is ready, and then replaces the old one in the ring."""

    def __init__(
        self,
        job: Job,
        join: Join,
        old: Take,
        entry: Report,
        *,
        sample_rate_hz: int,
        output_hz: int,
        rate: float,
        block_seconds: float,
    ) -> None:
        super().__init__(
            job,
            accepted_at=old.accepted_at,
            sample_rate_hz=sample_rate_hz,
            output_hz=output_hz,
            rate=rate,
            block_seconds=block_seconds,
        )
        self.follows = old.job.number
        self._join = join
        self._first_count = join.first_count
        self._old_sound = old.sound_between(join.first_count, join.first_count + join.fade_samples)
        self._unsounded = join.first_count - join.origin_count
        self.entry = entry
        """The report for when it begins to sound."""
        self.old_begins_at = old.job.lead_seconds - old.job.skip_seconds - join.line_sample / sample_rate_hz
        """Where the new sound of the old take begins, in seconds from the line, so below 0."""
        self.planned_before = old.planned.planned if old.planned else ()
        """The notes that were planned for the old take, in seconds from there."""
        self.before: tuple[int, Samples] | None = None
        """Device time and sound of the old take up to here; from when this one replaces it until that is recorded."""

    @property
    def origin_count(self) -> int:
        return self._join.origin_count

    def origin_sample(self, ring: OutputRing) -> int | None:
        return ring.device_time(self.origin_count) if self.opened else None  # the old take sounds before it

    def _hold(self, samples: Samples) -> None:
        unsounded = min(self._unsounded, len(samples))
        self._unsounded -= unsounded
        super()._hold(self._faded_over(samples[unsounded:]))

    def _faded_over(self, samples: Samples) -> Samples:
        """Samples of its beginning, crossfaded with the old take's sound."""
        count = min(len(self._old_sound), len(samples))
        if not count:
            return samples
        fade = self._join.fade_samples
        done = fade - len(self._old_sound)
        weights = np.arange(done + 1, done + count + 1, dtype=np.float32) / np.float32(fade + 1)
        old, self._old_sound = self._old_sound[:count], self._old_sound[count:]
        return np.concatenate([old + weights * (samples[:count] - old), samples[count:]])

    def is_ready(self, ring: OutputRing) -> bool:
        """Whether it could sound without a gap; known once its first new sound is made."""
        made = len(self.audio)
        if made >= round(self.expected_seconds * self.sample_rate_hz):
            return True
        return made > self._join.lead_samples and self.spare_seconds(ring) >= start_time.MARGIN_SECONDS

    def take_over(self, ring: OutputRing, old: Take) -> bool:
        """Replace the old take's sound in the ring from the line on; False: it is too late for that."""
        began = ring.device_time(old.sound_from)
        if not ring.take_back(self._join.first_count):
            return False
        self.before = began, old.sound_between(old.sound_from, self._join.first_count)
        self.begin_sounding(ring)
        self.feed(ring, None)
        return True

    def _ahead_samples(self, ring: OutputRing) -> int:
        return super()._ahead_samples(ring) if self.opened else self._join.first_count - ring.read

    def sounds(self, ring: OutputRing) -> bool:
        return self.opened and ring.read >= self._join.first_count
