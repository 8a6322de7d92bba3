"""The selected clock: the daemon's own, or a master that it follows; and the MIDI clock that it sends to slaves."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from bridge.clock.clock_source import ClockSource
from bridge.clock.device_clock import HeardClock
from bridge.clock.link import LinkClock
from bridge.clock.midi_clock_follower import State
from bridge.clock.midi_clock_source import MidiClockSource
from bridge.clock.midi_clock_ticks import ClockPlan
from bridge.protocol.types import Clock
from bridge.stage.device_transport import DeviceTransport, Followed

_LOG = logging.getLogger(__name__)

_LOOK_SECONDS = 0.05
_PLAN_SECONDS = 1.0
"""Between two plans for the MIDI clock sender, or two clocks: the sound device drifts against monotonic time."""
_SHOWN_SECONDS = 0.25
"""Between two changes of the property ``tempo`` while a master's tempo moves."""
_SHOWN_BPM = 0.08
"""A smaller change of a master's tempo is not shown: the property has a resolution of 0.1."""


@dataclass(frozen=True)
class Looked:
    """What has changed since the last look at the clock."""

    followed: Followed = "still"
    state: State | None = None
    tempo_bpm: float | None = None
    """The new value of the property ``tempo``; None: it stays as it is."""


class ClockSelection:
    """All methods belong to the daemon's one thread; none waits."""

    def __init__(
        self,
        transport: DeviceTransport,
        send_plan: Callable[[ClockPlan | None], None] | None,
        send_heard_clock: Callable[[HeardClock], None] | None = None,
    ) -> None:
        """
        Args:
            send_plan: passes a plan to the MIDI clock sender, None to stop it; None: there is no sender.
            send_heard_clock: passes the sound device's clock to what sends notes in time with the sound; None: nothing.
        """
        self._transport = transport
        self._send_plan, self._send_heard_clock = send_plan, send_heard_clock
        self._heard_sent_at = 0.0
        self.midi = MidiClockSource()
        self.name: Clock = "internal"
        self._source: ClockSource | None = None
        self.state: State = "running"
        self._shown_bpm = transport.tempo_bpm
        self._shown_at = 0.0
        self._sends = True
        self._plan: ClockPlan | None = None
        self._planned_at = 0.0
        self._due_seconds = 0.0

    @property
    def next_due_seconds(self) -> float | None:
        """Monotonic time of the next ``look``; None: none is needed."""
        return self._due_seconds if self._source or self._send_plan or self._send_heard_clock else None

    def choose(self, name: Clock) -> None:
        """Follow another clock from now on. Raises ValueError: it is not available; the old one is kept."""
        if name == self.name:
            return
        source = {"internal": lambda: None, "midi": lambda: self.midi, "link": self._join_link}[name]()
        if self._source:
            self._source.close()
        self.name, self._source = name, source
        self._transport.follow(source)
        if source is None:
            self._transport.set_tempo(self._shown_bpm)
        self.state = "running" if source is None else "waiting"
        self._due_seconds = 0.0

    def _join_link(self) -> LinkClock:
        return LinkClock(self._transport.tempo_bpm)

    def set_tempo(self, bpm: float) -> None:
        """Change the tempo, the master's if there is one. Raises ValueError: the master cannot be set."""
        if self._source:
            self._source.set_tempo(bpm)
        else:
            self._transport.set_tempo(bpm)
        self._shown_bpm = bpm

    def send_out(self, sends: bool) -> None:
        """Send MIDI clock, or stop sending it."""
        self._sends = sends

    def look(self) -> Looked:
        """Follow the master, and update the plan of the MIDI clock sender and the clock of what sends notes."""
        now = time.monotonic()
        self._due_seconds = now + _LOOK_SECONDS
        followed, state, shown = self._transport.keep_up(), None, None
        if self._source:
            state_now = self._source.state_at(now)
            if state_now != self.state:
                self.state = state = state_now
                _LOG.info("the %s clock is %s", self.name, state)
            tempo_bpm = self._source.tempo_bpm
            if tempo_bpm and now - self._shown_at > _SHOWN_SECONDS and abs(tempo_bpm - self._shown_bpm) > _SHOWN_BPM:
                self._shown_at, self._shown_bpm = now, round(tempo_bpm, 1)
                shown = self._shown_bpm
        if self._send_plan:
            self._update_plan(self._send_plan, now)
        if self._send_heard_clock:
            heard_clock = self._transport.heard_clock()
            if now - self._heard_sent_at > _PLAN_SECONDS:
                self._heard_sent_at = now
                self._send_heard_clock(heard_clock)
        return Looked(followed, state, shown)

    def _update_plan(self, send_plan: Callable[[ClockPlan | None], None], now: float) -> None:
        if not self._sends or self.state == "stopped":
            if self._plan:
                self._plan = None
                send_plan(None)
            return
        plan, before = self._transport.plan(), self._plan
        same = before and before.timeline == plan.timeline and before.places == plan.places
        if not same or now - self._planned_at > _PLAN_SECONDS:
            self._plan, self._planned_at = plan, now
            send_plan(plan)

    def close(self) -> None:
        """Leave the master, and stop the MIDI clock sender."""
        if self._source:
            self._source.close()
        if self._send_plan:
            self._send_plan(None)
