"""Keeps C libraries from talking: libsndfile's MP3 decoder prints what it finds wrong, and takes no other order."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

_STDERR = 2
_ALONE = Lock()
"""Two threads that redirect at once would put back each other's redirection."""


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Meanwhile, what this process writes to file descriptor 2 is lost, Python's own writes too: keep it short."""
    with _ALONE:
        try:
            kept = os.dup(_STDERR)
        except OSError:  # closed: nothing to keep quiet
            yield
            return
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, _STDERR)
            yield
        finally:
            os.dup2(kept, _STDERR)
            os.close(kept)
            os.close(nowhere)
