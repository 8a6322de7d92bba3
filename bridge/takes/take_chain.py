"""The take that goes on with another one's music: where it begins, and how it takes over the ring from one that sounds.

Both are counted on one grid. The new take's sound begins a little before the line with the old take's own, on a place
where samples of its rate and of the device's meet, so that both are equal there, to the phase. In the ring the old one
is left at the end of that stretch; the seam from old to new follows it, and ends on the line.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from bridge.audio.output_ring import OutputRing
from bridge.audio.shared_samples import Samples
from bridge.processes.messages import Job, Report
from bridge.takes import start_time
from bridge.takes.take import Take

_FADE_SECONDS = 0.005
"""From the old take's sound to the new one's where both are the same music: nothing, if their rates are equal."""
_SETTLING_SECONDS = 0.05
"""After its beginning, resampled sound is what it would be in the middle of a stream."""


@dataclass(frozen=True)
class Join:
    """Where a take goes on as another."""

    line_sample: int
    """New samples from the old take's beginning to the line, or just before it."""
    lead_samples: int
    """Of the old take's sound, seam included, that the new take begins with."""
    old_samples: int
    """What is kept of the old take, at its own rate."""
    origin_count: int
    """The ring's count of the new take's first sample, at the device's rate."""
    first_count: int
    """From here on its sound is in the ring."""
    fade_samples: int
    """At the device's rate, from there on."""


def least_seconds(seam_seconds: float) -> float:
    """What a take must have sounded to be handed over."""
    return 2 * (seam_seconds + _FADE_SECONDS + _SETTLING_SECONDS)


def join_of(old: Take, line_count: int, new_hz: int, device_hz: int, seam_samples: int) -> Join:
    """
    Args:
        line_count: the ring's count of the line.
        seam_samples: of the new instrument.
    """
    step = new_hz // math.gcd(new_hz, device_hz)  # whole steps lie on samples of both rates
    line = (line_count - old.origin_count) * new_hz // device_hz
    wanted = seam_samples + math.ceil((_FADE_SECONDS + _SETTLING_SECONDS) * new_hz)
    begin = (line - wanted) // step * step
    origin_count = old.origin_count + begin * device_hz // new_hz
    fade = round(_FADE_SECONDS * device_hz)
    seam_begins = (line - begin - seam_samples) * device_hz // new_hz
    return Join(
        line, line - begin, line * old.sample_rate_hz // new_hz, origin_count, origin_count + seam_begins - fade, fade
    )


class Successor(Take):
    """Waits beside the takes until it is safe to begin on its line, and then takes the ring over."""

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
        """What is told when it begins to sound."""
        self.before: tuple[int, Samples] | None = None
        """What sounds of the old take, and its device time: known from when this one takes over until it sounds."""

    @property
    def origin_count(self) -> int:
        return self._join.origin_count

    def _hold(self, samples: Samples) -> None:
        unsounded = min(self._unsounded, len(samples))
        self._unsounded -= unsounded
        super()._hold(self._faded_over(samples[unsounded:]))

    def _faded_over(self, samples: Samples) -> Samples:
        """Its beginning, faded over from the old take's sound."""
        count = min(len(self._old_sound), len(samples))
        if not count:
            return samples
        fade = self._join.fade_samples
        done = fade - len(self._old_sound)
        weights = np.arange(done + 1, done + count + 1, dtype=np.float32) / np.float32(fade + 1)
        old, self._old_sound = self._old_sound[:count], self._old_sound[count:]
        return np.concatenate([old + weights * (samples[:count] - old), samples[count:]])

    def is_ready(self, ring: OutputRing) -> bool:
        """Whether it would sound without a gap, as far as its first new sound shows. All of it is not made before."""
        made = len(self.audio)
        if made >= round(self.expected_seconds * self.sample_rate_hz):
            return True
        return made > self._join.lead_samples and self.spare_seconds(ring) >= start_time.MARGIN_SECONDS

    def take_over(self, ring: OutputRing, old: Take) -> bool:
        """Put its sound into the ring instead of the old take's; False: it is too late for its line."""
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
