"""The player's heartbeat: with each beat it says how long the next one may take before it counts as hung."""

from __future__ import annotations

from bridge.player.preset_loading import LOADING_SECONDS
from bridge.player.state import HEARD_AT_ONCE_SECONDS, PlayerState
from bridge.processes.job import Job
from bridge.processes.messages import ExportTape, Load, PrimeFile

_STEP_PATIENCE = 2.0
"""A step of an engine may take so many times as long as expected, and the usual patience besides."""
_REPAINT_CONTEXT_SECONDS = 20.0
"""Before a part is repainted, about so much of what was heard before it is heard anew, in one step."""


def beat(state: PlayerState) -> None:
    """Show that this process lives; without it for too long, the daemon kills it."""
    state.output.beat(_extra_seconds(state))


def beat_before_disk(state: PlayerState) -> None:
    """The same, before something that may wait for the compiler or the disk."""
    state.output.beat(LOADING_SECONDS)


def _extra_seconds(state: PlayerState) -> float:
    """How much longer than usual the next beat may take."""
    request = state.running.request if state.running else (state.waiting[0] if state.waiting else None)
    if (state.load and state.load.loading) or isinstance(request, Load | PrimeFile | ExportTape):
        return LOADING_SECONDS
    at_once_seconds = HEARD_AT_ONCE_SECONDS
    if isinstance(request, Job) and request.kind == "inpaint":
        at_once_seconds = _REPAINT_CONTEXT_SECONDS + request.seconds  # all of it is one step
    elif isinstance(request, Job) and request.chunk_frames is not None:
        at_once_seconds = max(at_once_seconds, request.seconds)
    else:
        at_once_seconds = max(at_once_seconds, state.pace.block_seconds)
    return _STEP_PATIENCE * at_once_seconds / state.pace.rate
