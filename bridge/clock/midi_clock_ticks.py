"""What is sent to a slave that follows our MIDI clock, and when: pure, for whoever sends it to bring the time."""

from __future__ import annotations

import math
from dataclasses import dataclass

from bridge.clock.device_clock import DeviceClock
from bridge.clock.midi_clock_follower import CONTINUE, SONG_POSITION, START, STOP, TICK, TICKS_A_BEAT, TICKS_A_SIXTEENTH
from bridge.clock.transport import Timeline

_LEAD_SECONDS = 0.05
"""Between Song Position Pointer and Continue at least: some machines take as long to find the place."""
_LATE_SECONDS = 0.5
"""Whoever sends later than that (the machine slept) leaves out what is past."""
_POSITIONS = 1 << 14


@dataclass(frozen=True)
class ClockPlan:
    """When the beats are heard. A value, so that another thread or process can go by it until a newer one comes."""

    timeline: Timeline
    clock: DeviceClock
    latency_seconds: float
    """From when the device asks for a sample to when it is heard."""
    places: int
    """Another number: the music went somewhere else."""

    def seconds_of(self, tick: int) -> float:
        """Monotonic time of a tick."""
        sample = self.timeline.seconds_at(tick / TICKS_A_BEAT) * self.clock.rate_hz
        return self.clock.monotonic_at(sample) + self.latency_seconds

    def tick_after(self, seconds: float) -> int:
        """The first tick that is not before a monotonic time."""
        sample = self.clock.sample_at(seconds - self.latency_seconds)
        return math.ceil(self.timeline.beat_at(sample / self.clock.rate_hz) * TICKS_A_BEAT - 1e-6)


class ClockScript:
    """The messages one after the other. All methods belong to one thread."""

    def __init__(self) -> None:
        self._plan: ClockPlan | None = None
        self._tick = 0
        self._begins_at = 0
        """The tick with which the slave plays."""
        self._playing = False

    @property
    def due_seconds(self) -> float | None:
        """Monotonic time of the next tick; None: there is nothing to be sent."""
        return self._plan.seconds_of(self._tick) if self._plan else None

    def follow(self, plan: ClockPlan | None, seconds: float) -> list[bytes]:
        """Go by another plan from now on, None: by none. Returns what is to be sent at once."""
        before, self._plan = self._plan, plan
        if plan is None:
            return self._stop()
        if before is None or plan.places != before.places:
            return self._go(plan, seconds)
        return []

    def tick(self, seconds: float) -> list[bytes]:
        """What is to be sent now, as it is due."""
        assert self._plan is not None, "due_seconds was None"
        if seconds - self._plan.seconds_of(self._tick) > _LATE_SECONDS:
            return self._go(self._plan, seconds)
        messages = [bytes([TICK])]
        if self._tick == self._begins_at:
            self._playing = True
            messages.insert(0, bytes([CONTINUE if self._tick else START]))
        self._tick += 1
        return messages

    def _go(self, plan: ClockPlan, seconds: float) -> list[bytes]:
        """Have the slave play from the next place on that can be told: sixteenths, from the beginning of the song."""
        self._tick = plan.tick_after(seconds)
        sixteenth = max(0, -(-plan.tick_after(seconds + _LEAD_SECONDS) // TICKS_A_SIXTEENTH))
        self._begins_at = sixteenth * TICKS_A_SIXTEENTH
        position = sixteenth % _POSITIONS
        return [*self._stop(), bytes([SONG_POSITION, position & 0x7F, position >> 7])]

    def _stop(self) -> list[bytes]:
        was_playing, self._playing = self._playing, False
        return [bytes([STOP])] if was_playing else []
