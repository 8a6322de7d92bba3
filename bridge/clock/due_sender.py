"""Sends MIDI messages when they are due: a thread of its own that sleeps until then, by absolute times.

It shares one thing with the threads that lead it: the requests that they put, under a lock that is held for as long as
that takes. Nothing here is real-time safe, nor has to be: no audio callback is near. Each message is late by what the
system takes to wake a thread; that is no drift, as the next one is due at its own time.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

Request = TypeVar("Request")
Taken = TypeVar("Taken", contravariant=True)


class Script(Protocol[Taken]):
    """What is sent, and when: pure, and told the time. All methods are called on one thread."""

    @property
    def due_seconds(self) -> float | None:
        """Monotonic time at which the next message is due; None: there is none."""

    def follow(self, request: Taken, seconds: float, /) -> list[bytes]:
        """Go by a request from now on; returns what is to be sent at once."""

    def tick(self, seconds: float, /) -> list[bytes]:
        """What is to be sent now, as it is due."""


class DueSender(Generic[Request]):
    """``put`` and ``close`` may be called from any thread; neither waits for what is due."""

    def __init__(self, name: str, script: Script[Request], send: Callable[[bytes], None]) -> None:
        """
        Args:
            name: of the thread.
            send: is called from the thread, with one message, and must not raise.
        """
        self._script, self._send = script, send
        self._changed = threading.Condition()
        self._requests: deque[Request] = deque()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def put(self, request: Request) -> None:
        """Have the script follow a request."""
        with self._changed:
            self._requests.append(request)
            self._changed.notify()

    def close(self, last: Request) -> None:
        """Have the script follow a last request, and end the thread."""
        with self._changed:
            self._requests.append(last)
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        script = self._script
        while True:
            with self._changed:
                if not self._requests:
                    due = script.due_seconds
                    self._changed.wait(None if due is None else max(0.0, due - time.monotonic()))
                requests, closing = list(self._requests), self._closing
                self._requests.clear()
            messages: list[bytes] = []
            for request in requests:
                messages += script.follow(request, time.monotonic())
            due, now = script.due_seconds, time.monotonic()
            if due is not None and due <= now:
                messages += script.tick(now)
            for message in messages:
                self._send(message)
            if closing:
                return
