"""The main function of the player process."""

from __future__ import annotations

import importlib
import logging
import os
from multiprocessing.connection import Connection
from operator import attrgetter

from bridge.audio.input_ring import InputRing
from bridge.audio.loop_player import LoopPlayer
from bridge.audio.output_ring import OutputRing
from bridge.player.loop import PlayerLoop
from bridge.player.settings import PlayerSettings
from bridge.player.state import PlayerState
from bridge.tape.live_input import LiveInput
from bridge.tape.prompt_memory import PromptMemory
from bridge.tape.session_tape import SessionTape
from bridge.tape.tape_commands import TapeCommands
from bridge.tape.tape_memory import TapeMemory

_LOG = logging.getLogger(__name__)

_NICENESS = 5  # the audio device's callback must get the processor first


def play(connection: Connection, settings: PlayerSettings) -> None:
    """Main function of the player process: runs until it is told to stop, or the daemon is gone, and ends it."""
    if hasattr(os, "nice"):
        os.nice(_NICENESS)
    output, audio_input = OutputRing.attach(settings.output_ring), InputRing.attach(settings.input_ring)
    prompt_memory, tape_memory = PromptMemory.attach(settings.prompt_memory), TapeMemory.attach(settings.tape_memory)
    loop_player = LoopPlayer.attach(settings.loop_memory)
    output.answer_hush()  # of a dead predecessor's take nothing more is coming
    try:
        # Imported here, and by name: the instrument brings numba along, which no other process needs.
        module_name, _, factory = settings.instrument_factory.partition(":")
        module = importlib.import_module(module_name)
        tape = SessionTape(tape_memory, loop_player)
        state = PlayerState(
            tell=connection.send,
            settings=settings,
            make_instrument=attrgetter(factory)(module),
            request_type=module.TakeRequest,
            output=output,
            prompt_memory=prompt_memory,
            tape=tape,
            tape_commands=TapeCommands(tape),
            live_input=LiveInput(audio_input, tape),
        )
        PlayerLoop(connection, state).run()
    except (EOFError, BrokenPipeError, ConnectionResetError):
        _LOG.info("the daemon is gone, and so is its player")
    finally:
        output.close()
        audio_input.close()
        prompt_memory.close()
        tape_memory.close()
        loop_player.close()
    # all that is left is memory, and to take numba's apart would take this process half a second more
    logging.shutdown()
    os._exit(0)
