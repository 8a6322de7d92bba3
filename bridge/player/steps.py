"""Carrying out a request step by step, and telling why one failed."""

from __future__ import annotations

import logging
from collections.abc import Generator
from dataclasses import dataclass

from bridge.player.cancelling import drop
from bridge.player.state import PlayerState
from bridge.processes.messages import Refusal, RequestError
from bridge.protocol.errors import FailCode

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Failed:
    """Why a request failed."""

    code: FailCode
    message: str


def advance(state: PlayerState, steps: Generator[object, None, None], number: int) -> bool:
    """One step of a request; False: it is over, and if it failed, that is told.

    Raises:
        BrokenPipeError, ConnectionResetError: the daemon is gone.
    """
    outcome = tried(steps, number)
    if isinstance(outcome, Failed):
        drop(state, number)
        state.tell(Refusal(number, outcome.code, outcome.message))
    return outcome is True


def tried(steps: Generator[object, None, None], number: int) -> bool | Failed:
    """One step of a request, or of an alternative; False: it is over.

    Raises:
        BrokenPipeError, ConnectionResetError: the daemon is gone.
    """
    try:
        next(steps)
        return True
    except StopIteration:
        return False
    except RequestError as error:
        return Failed(error.code, str(error))
    except ValueError as error:
        return Failed("refused", str(error))
    except (BrokenPipeError, ConnectionResetError):
        raise
    except Exception as error:
        _LOG.exception("request %d failed", number)
        return Failed("failed", f"{type(error).__name__}: {error}")
