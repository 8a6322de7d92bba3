"""Carries out commands: at once or at the time of their bundle, each by its own handler."""

from __future__ import annotations

import logging
import time

from bridge.osc.answers import Answers, Asked
from bridge.protocol.errors import CommandError
from bridge.protocol.timed_bundles import TimedBundles
from bridge.stage.commands.handlers import Handlers

_LOG = logging.getLogger(__name__)

HELD_COMMANDS = 1024
"""Most commands of dated bundles that are held at once."""
HORIZON_SECONDS = 3600.0
"""A bundle dated farther ahead is refused."""


class CommandDispatcher:
    """Belongs to the daemon's one thread."""

    def __init__(self, answers: Answers, held: TimedBundles[Asked], handlers: Handlers) -> None:
        """``held``: the commands that wait for their time."""
        self._answers, self._held, self._handlers = answers, held, handlers

    def dispatch(self, asked: Asked, due_unix_seconds: float | None = None) -> None:
        """Carry out a command, or hold it until it is due; an error becomes a ``fail``, and is never raised."""
        try:
            ahead_seconds = 0.0 if due_unix_seconds is None else due_unix_seconds - time.time()
            if ahead_seconds > 0.0:
                self._hold(asked, ahead_seconds)
            else:
                self._handlers[asked.invocation.command.name](asked)
        except CommandError as error:
            self._answers.fail(asked, error.code, str(error))
        except Exception as error:  # one command must never end the daemon
            _LOG.exception("carrying out %s", asked.invocation.command.name)
            self._answers.fail(asked, "failed", f"{type(error).__name__}: {error}")

    def run_due(self) -> None:
        """Carry out the held commands whose time has come."""
        while (due := self._held.pop_due(time.monotonic())) is not None:
            self.dispatch(due)

    def _hold(self, asked: Asked, ahead_seconds: float) -> None:
        if ahead_seconds > HORIZON_SECONDS:
            raise CommandError(
                "too_far_ahead", f"it is {ahead_seconds:.4g} s ahead; at most {HORIZON_SECONDS:g} s are held"
            )
        if not self._held.put(time.monotonic() + ahead_seconds, asked):
            raise CommandError("busy", f"{HELD_COMMANDS} commands are held already")
