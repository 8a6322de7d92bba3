"""Sends MIDI clock: a thread of its own that sleeps until a tick is due, by absolute times.

It shares one thing with the thread that leads it: the plan, a value that is replaced whole, under a lock that is held
for as long as that takes. Nothing here is real-time safe, nor has to be: no audio callback is near. Each tick is late
by what the system takes to wake a thread; that is no drift, as the next one is due at its own time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from bridge.clock.midi_clock_ticks import ClockPlan, ClockScript


class MidiClockSender:
    """``lead`` and ``close`` may be called from any thread; neither waits for a tick."""

    def __init__(self, send: Callable[[bytes], None]) -> None:
        """``send`` is called from the thread, with one message, and must not raise."""
        self._send = send
        self._changed = threading.Condition()
        self._plan: ClockPlan | None = None
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="clock", daemon=True)
        self._thread.start()

    def lead(self, plan: ClockPlan | None) -> None:
        """Go by this plan from now on; None: stop the slave, and be silent."""
        with self._changed:
            self._plan = plan
            self._changed.notify()

    def close(self) -> None:
        """Stop the slave, and end the thread."""
        with self._changed:
            self._plan, self._closing = None, True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        script, plan = ClockScript(), None
        while True:
            with self._changed:
                if self._plan is plan and not self._closing:
                    due = script.due_seconds
                    self._changed.wait(None if due is None else max(0.0, due - time.monotonic()))
                plan, closing = self._plan, self._closing
            messages = script.follow(plan, time.monotonic())
            due, now = script.due_seconds, time.monotonic()
            if due is not None and due <= now:
                messages += script.tick(now)
            for message in messages:
                self._send(message)
            if closing:
                return
