"""Pads, keyboards and fader boxes on JACK: MIDI ports of another client, that a daemon can open."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import wait
from pathlib import Path
from typing import NamedTuple, TypeVar

from bridge.midi.ports import MidiReport, MidiSettings
from bridge.midi.ports_process import MidiProcess

DEADLINE_SECONDS = 60.0
_LOOK_SECONDS = 0.1

Kind = TypeVar("Kind")


class MidiHeard(NamedTuple):
    at_seconds: float
    """Monotonic."""
    data: bytes


class Controller:
    """See ``midi_controller.py``."""

    def __init__(self, name: str) -> None:
        script = Path(__file__).with_name("midi_controller.py")
        self._process = subprocess.Popen(
            [sys.executable, str(script), name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._next_line() == "ready"

    def send(self, *data: int) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{bytes(data).hex()}\n")
        self._process.stdin.flush()

    def next_shown(self) -> bytes:
        """Wait for what it is sent next."""
        return self.next_heard().data

    def next_heard(self) -> MidiHeard:
        """Wait for what it is sent next.

        Raises:
            EOFError: it is unplugged, or was sent nothing for a minute.
        """
        line = self._next_line()
        if not line:
            raise EOFError
        data, at_seconds = line.split()
        return MidiHeard(float(at_seconds), bytes.fromhex(data))

    def _next_line(self) -> str:
        assert self._process.stdout is not None
        hung = threading.Timer(DEADLINE_SECONDS, self._process.kill)  # then there is no line
        hung.start()
        try:
            return self._process.stdout.readline().strip()
        finally:
            hung.cancel()

    def end(self) -> None:
        """Have it end, while another thread waits for what it is sent."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.stdin = None

    def unplug(self) -> None:
        self._process.communicate(timeout=DEADLINE_SECONDS)


@contextmanager
def controller(name: str) -> Iterator[Controller]:
    plugged = Controller(name)
    try:
        yield plugged
    finally:
        plugged.unplug()


class Listener:
    """The daemon's MIDI process without the daemon."""

    def __init__(self, process: MidiProcess) -> None:
        self.process = process
        self._unread: deque[MidiReport] = deque()

    def wait_for(self, kind: type[Kind], wanted: Callable[[Kind], bool] = lambda _: True) -> Kind:
        """The next report of that kind; others before it are skipped."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while time.monotonic() < deadline:
            self._unread += self.process.reports()
            while self._unread:
                report = self._unread.popleft()
                if isinstance(report, kind) and wanted(report):
                    return report
            wait(self.process.connections, _LOOK_SECONDS)
        raise AssertionError(f"no such {kind.__name__} within {DEADLINE_SECONDS:g} s")


@contextmanager
def midi_process(*inputs: str, outputs: tuple[str, ...] = ()) -> Iterator[Listener]:
    process = MidiProcess(MidiSettings(inputs, outputs, "jack"))
    try:
        yield Listener(process)
    finally:
        process.stop(DEADLINE_SECONDS)
