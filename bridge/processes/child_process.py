"""A child process with a pipe: the player and the audio device process are the daemon's."""

from __future__ import annotations

import logging
import multiprocessing
import signal
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

_LOG = logging.getLogger(__name__)
# fork would copy threads' locks and the parent's sockets.
_CONTEXT = multiprocessing.get_context("spawn")
_MOST_UNSENT = 100_000
"""Requests that wait for a child that reads none: a hung one, until it is replaced."""

Settings = TypeVar("Settings")


class ChildProcess(Generic[Settings]):
    """Runs ``target(connection, settings)`` in a fresh process, as often as it is started."""

    def __init__(self, name: str, target: Callable[[Connection, Settings], None], settings: Settings) -> None:
        self.name = name
        self._target = target
        self._settings = settings
        self._process: BaseProcess | None = None
        self._connection: Connection | None = None
        self._unsent: SimpleQueue[object] = SimpleQueue()
        self._sender: threading.Thread | None = None

    def start(self) -> None:
        ours, theirs = _CONTEXT.Pipe()
        level = logging.getLogger().getEffectiveLevel()
        process = _CONTEXT.Process(
            target=_enter, args=(self._target, theirs, self._settings, level), name=self.name, daemon=True
        )
        process.start()
        theirs.close()  # so that either side's death ends the other's pipe
        self._process, self._connection = process, ours
        self._unsent = SimpleQueue()
        self._sender = threading.Thread(
            target=_send_all, args=(ours, self._unsent), name=f"to the {self.name}", daemon=True
        )
        self._sender.start()

    @property
    def running(self) -> bool:
        return self._process is not None

    @property
    def connection(self) -> Connection:
        assert self._connection is not None, f"{self.name} is not started"
        return self._connection

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def send(self, request: object) -> None:
        """Send a request, without waiting for a child that reads none; a dead one is noticed where its pipe is read."""
        if self._unsent.qsize() < _MOST_UNSENT:
            self._unsent.put(request)

    def receive(self, most: int | None = None) -> list[Any]:
        """What the child has sent, at most so much.

        Raises:
            EOFError: the child is dead, and nothing it sent is left.
        """
        events: list[Any] = []
        try:
            while (most is None or len(events) < most) and self.connection.poll():
                events.append(self.connection.recv())
        except (EOFError, OSError):
            if not events:
                raise EOFError(f"the {self.name} process died") from None
        return events

    def kill(self) -> None:
        """End it at once, whatever it is doing: even stopped (SIGSTOP), it dies. That is noticed at its pipe."""
        if self._process is not None:
            self._process.kill()

    def stop(self, deadline_seconds: float) -> int | None:
        """Wait for the end, kill after the deadline; returns the exit code."""
        if self._process is None:
            return None
        self._process.join(deadline_seconds)
        if self._process.is_alive():
            _LOG.warning("the %s process did not stop; killing it", self.name)
            self._process.kill()
            self._process.join()
        code = self._process.exitcode
        self._unsent.put(None)
        if self._sender is not None:
            self._sender.join()  # nobody is left to read: what it is sending fails
        self.connection.close()
        self._process.close()
        self._process = self._connection = None
        return code


def _send_all(connection: Connection, requests: SimpleQueue[object]) -> None:
    """Send until there is nobody to send to, or None comes: in a thread, for a full pipe makes the sender wait."""
    while (request := requests.get()) is not None:
        try:
            connection.send(request)
        except OSError as error:
            _LOG.debug("no requests are taken any more: %s", error)
            return


def _enter(
    target: Callable[[Connection, Settings], None], connection: Connection, settings: Settings, level: int
) -> None:
    # A terminal's Ctrl-C and a service manager's SIGTERM reach the whole group; the daemon ends its children
    # in good order, and their pipe ends when the daemon is gone.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    configure_logging(level)
    target(connection, settings)


def configure_logging(level: int) -> None:
    """Log to standard error, the same way in every process."""
    logging.basicConfig(level=level, format="%(asctime)s %(processName)s %(levelname)s %(name)s: %(message)s")
