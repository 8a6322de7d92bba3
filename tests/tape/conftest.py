"""A daemon whose sound device is played into, one for each file of tests, and a client of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from bars import TEMPO
from jack_rig import jack_server
from live_daemon import Player, client, end_all, live_daemon, pairs, wait_ready

from bridge.osc.datagrams import Message
from bridge.stage.daemon import Daemon

DEVICE = "system"


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tape").resolve() / "exports"
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def daemon(exports: Path) -> Iterator[Daemon]:
    takes = exports.parent / "takes"
    with jack_server(), live_daemon(takes, output=DEVICE, audio_input=DEVICE, allowed=(exports,)) as running:
        yield running


@pytest.fixture
def player(daemon: Daemon) -> Iterator[Player]:
    """Without edits that could be undone, in bars of `bars.BAR_SAMPLES`."""
    with client(daemon) as one:
        wait_ready(one)
        undo_all(one)
        one.send("set", "tempo", TEMPO)
        one.wait_for("done", "set")
        one.heard.clear()
        yield one
        end_all(one)


def undo_all(player: Player) -> None:
    def answered(message: Message) -> bool:
        return message.address in ("/melnet/done", "/melnet/fail") and message.values[0] == "take/undo"

    edits: object = None
    while edits != 0:
        player.send("take/undo")
        answer = player.wait_until(answered, "answer to take/undo", 20.0)
        edits = pairs(answer.values)["edits"] if answer.address == "/melnet/done" else 0
