"""The MIDI process as the daemon sees it: restarted when it dies, killed when it hangs."""

from __future__ import annotations

import logging
import time
from multiprocessing.connection import Connection

from bridge.midi.ports import (
    MidiAlive,
    MidiPorts,
    MidiReport,
    MidiRequest,
    MidiSettings,
    check_midi_installed,
    serve_midi,
)
from bridge.processes.child_process import ChildProcess
from bridge.processes.messages import STOP
from bridge.processes.watchdog import Watchdog

_LOG = logging.getLogger(__name__)

_REPORTS_AT_ONCE = 64  # so that a flood does not keep the daemon from its other work
_STARTING_SECONDS = 30.0
_HUNG_SECONDS = 10.0  # it gives a sign of life every half second, but a busy machine can hold it up
_RESTART_SECONDS = 1.0
_DYING_SECONDS = 1.0


class MidiProcess:
    """All methods belong to the daemon's one thread, and none but ``stop`` waits."""

    def __init__(self, settings: MidiSettings) -> None:
        """
        Raises:
            ValueError: ports are wanted, and python-rtmidi is not installed.
        """
        is_wanted = bool(settings.inputs or settings.outputs or settings.clocks or settings.notes)
        if is_wanted:
            check_midi_installed()
        self._child = ChildProcess("midi", serve_midi, settings)
        self._watch = Watchdog(_STARTING_SECONDS)
        self._signs_of_life = 0
        self._hung = False
        self.next_due_seconds: float | None = time.monotonic() if is_wanted else None
        """Monotonic time at which the process is to be started."""

    @property
    def connections(self) -> list[Connection]:
        """To wait on: readable when there are reports."""
        return [self._child.connection] if self._child.running else []

    @property
    def pid(self) -> int | None:
        return self._child.pid

    def send(self, request: MidiRequest) -> None:
        """Have the process send a message or a clock to the outputs, if there are any."""
        if self._child.running:
            self._child.send(request)

    def reports(self) -> list[MidiReport]:
        """The next reports of the process, 64 at most; starts it when that is due, and kills it if it hangs."""
        now = time.monotonic()
        if self.next_due_seconds is not None and now >= self.next_due_seconds:
            self.next_due_seconds = None
            self._child.start()
        if not self._child.running:
            return []
        try:
            reports: list[MidiReport] = self._child.receive(_REPORTS_AT_ONCE)
        except EOFError:
            self._child.stop(_DYING_SECONDS)
            self.next_due_seconds = now + _RESTART_SECONDS
            how = "hung, and was killed" if self._hung else "ended"
            self._hung = False
            return [MidiPorts((), (), f"the MIDI process {how}; another one starts")]
        self._signs_of_life += len(reports)
        if self._watch.is_hung(self._child.pid, self._signs_of_life, _HUNG_SECONDS, now):
            _LOG.error("the MIDI process shows no sign of life; killing it")
            self._hung = True
            self._child.kill()
        return [report for report in reports if not isinstance(report, MidiAlive)]

    def stop(self, deadline_seconds: float) -> None:
        """Have the process send all notes off and close its ports; kill it after the deadline."""
        if self._child.running:
            self._child.send(STOP)
        self._child.stop(deadline_seconds)
