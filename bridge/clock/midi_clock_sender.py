"""Sends MIDI clock from a thread of its own, by the latest plan."""

from __future__ import annotations

from collections.abc import Callable

from bridge.clock.due_sender import DueSender
from bridge.clock.midi_clock_ticks import ClockPlan, ClockScript


class MidiClockSender:
    """``lead`` and ``close`` may be called from any thread; neither waits for a tick."""

    def __init__(self, send: Callable[[bytes], None]) -> None:
        """``send`` is called from the thread, with one message, and must not raise."""
        self._sender: DueSender[ClockPlan | None] = DueSender("clock", ClockScript(), send)

    def lead(self, plan: ClockPlan | None) -> None:
        """Go by this plan from now on; None: stop the slave, and be silent."""
        self._sender.put(plan)

    def close(self) -> None:
        """Stop the slave, and end the thread."""
        self._sender.close(None)
