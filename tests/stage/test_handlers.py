"""Every command of the table has exactly one handler."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from bridge.audio.loop_player import LoopPlayer
from bridge.audio.output_ring import OutputRing
from bridge.midi.controller import MidiController
from bridge.osc.answers import Asked
from bridge.player.process import play
from bridge.player.settings import PlayerSettings
from bridge.processes.child_process import ChildProcess
from bridge.protocol.table import COMMANDS
from bridge.protocol.types import NAMESPACE
from bridge.stage.commands.handlers import Handlers, one_handler_each
from bridge.stage.stage import Stage
from bridge.tape.tape_memory import TapeMemory

CLIENT = ("127.0.0.1", 9000)


def do_nothing(asked: Asked) -> None:
    pass


def handlers_but(*names: str) -> Handlers:
    return {name: do_nothing for name in COMMANDS if name not in names}


def test_one_for_each() -> None:
    assert one_handler_each([handlers_but("ping"), {"ping": do_nothing}]).keys() == COMMANDS.keys()


def test_none_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"without a handler: ping;"):
        one_handler_each([handlers_but("ping")])


def test_two_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"two handlers: ping;"):
        one_handler_each([handlers_but(), {"ping": do_nothing}])


def test_one_for_no_command_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"no command: pong;"):
        one_handler_each([handlers_but(), {"pong": do_nothing}])


@pytest.fixture
def told() -> list[str]:
    """The addresses of all answers."""
    return []


@pytest.fixture
def stage(tmp_path: Path, told: list[str]) -> Iterator[Stage]:
    """A stage whose player is never started; to build one is to have one handler for each command."""
    with ExitStack() as stack:
        output_ring = stack.enter_context(closing(OutputRing.create(1024)))
        tape = stack.enter_context(closing(TapeMemory.create(1024)))
        loop = stack.enter_context(closing(LoopPlayer.create(1024)))
        settings = PlayerSettings("", "", "", "", "", "cpu", None, tmp_path, "")
        yield Stage(
            send=lambda address, what, values: told.append(what),
            player=ChildProcess("player", play, settings),
            output_ring=output_ring,
            tape=tape,
            loop=loop,
            controller=MidiController(lambda message: None, None),
            preset="none",
            allowed_folders=[tmp_path],
            takes_folder=tmp_path,
            dropped_datagrams=lambda: 0,
            publish=[],
            reply_hosts={},
        )


def test_the_stage_has_one_for_each(stage: Stage, told: list[str]) -> None:
    stage.receive(CLIENT, f"{NAMESPACE}/ping".encode().ljust(16, b"\0") + b",\0\0\0")
    assert told == [f"{NAMESPACE}/pong"]
