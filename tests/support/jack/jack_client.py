"""A JACK client of a test's helper process: a server on a busy machine may refuse one, and later take it."""

from __future__ import annotations

import time
from typing import Any

import jack

DEADLINE_SECONDS = 60.0


def open_client(name: str) -> Any:
    """Try until the server takes it.

    Raises:
        jack.JackOpenError: it does not.
    """
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        try:
            return jack.Client(name, no_start_server=True)
        except jack.JackOpenError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.1)
