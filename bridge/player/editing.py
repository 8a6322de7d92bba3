"""Requests that change or export the tape, and a sound device that changes under it."""

from __future__ import annotations

from bridge.player.cancelling import drop_jobs_on_tape
from bridge.player.state import PlayerState, Steps
from bridge.processes.messages import AT_SAMPLE, ExportTape, Refusal, Report, RequestError, RestoreTape, UseSound
from bridge.protocol.types import Value
from bridge.takes.take_chain import Successor
from bridge.tape.tape_commands import TapeRequest


def change_tape(state: PlayerState, request: TapeRequest) -> None:
    """Change the loop or the edits; tell them, and when the change is heard."""
    try:
        at = state.tape_commands.change(request, state.now_sample())
    except ValueError as error:
        code = error.code if isinstance(error, RequestError) else "refused"
        state.tell(Refusal(request.number, code, str(error)))
        return
    state.tell(state.tape_commands.edited)
    values: tuple[tuple[str, Value], ...] = (("edits", len(state.tape.takes)),)
    if at is not None and state.clock():  # while the device is gone nobody knows when
        values += ((AT_SAMPLE, at),)
    state.tell(Report(request.number, "done", values))


def restore_tape(state: PlayerState, request: RestoreTape) -> None:
    """Go on with the edits and the loop of a dead player."""
    state.tape_commands.restore(request)
    state.tell(state.tape_commands.edited)


def export_tape(state: PlayerState, request: ExportTape) -> Steps:
    """Write bars of the tape to files.

    Raises:
        RequestError: no preset is loaded, the bars are on the tape no more, or cannot be written.
    """
    yield from state.tape_commands.export(request, state.loaded_instrument())
    seconds = (request.span[1] - request.span[0]) / state.tape.rate_hz
    state.tell(Report(request.number, "done", (("seconds", seconds), ("file", request.path))))


def use_sound(state: PlayerState, request: UseSound) -> None:
    """Go on with the devices that are open now; takes lose one that is gone, and a tape of another rate is blank."""
    if request.output_hz != state.sound.output_hz:
        state.output.cut()
        for take in state.takes:
            take.drop_sound()
            if isinstance(take, Successor) and not take.told_started:
                state.tell_started(take)
    state.sound = request
    if state.tape.use_device(request.output_hz):
        drop_jobs_on_tape(state)
    state.live_input.use_device(request.input_hz)
