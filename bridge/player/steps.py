"""Carrying out a request step by step, and telling why one failed."""

from __future__ import annotations

import logging
from collections.abc import Generator

from bridge.player.cancelling import drop
from bridge.player.state import PlayerState
from bridge.processes.messages import Refusal, RequestError

_LOG = logging.getLogger(__name__)


def advance(state: PlayerState, steps: Generator[object, None, None], number: int) -> bool:
    """One step of a request; False: it is over, and if it failed, that is told.

    Raises:
        BrokenPipeError, ConnectionResetError: the daemon is gone.
    """
    try:
        next(steps)
        return True
    except StopIteration:
        return False
    except RequestError as error:
        code, message = error.code, str(error)
    except ValueError as error:
        code, message = "refused", str(error)
    except (BrokenPipeError, ConnectionResetError):
        raise
    except Exception as error:
        _LOG.exception("request %d failed", number)
        code, message = "failed", f"{type(error).__name__}: {error}"
    drop(state, number)
    state.tell(Refusal(number, code, message))
    return False
