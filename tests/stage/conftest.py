"""A daemon with a scripted instrument and no sound device, one for each file of tests, and a client of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from bad_input import make_prime_files
from live_daemon import OTHER_HOST, Player, client, live_daemon, wait_ready
from melnet_music_client import MelNet

from bridge.stage.daemon import Daemon


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The takes folder and the allowed folder."""
    root = tmp_path_factory.mktemp("daemon")
    return root / "takes", make_prime_files(root)


@pytest.fixture(scope="module")
def daemon(folders: tuple[Path, Path]) -> Iterator[Daemon]:
    takes, allowed = folders
    with live_daemon(takes, allowed=(allowed,), reply_hosts=(OTHER_HOST,)) as running:
        yield running


@pytest.fixture
def player(daemon: Daemon) -> Iterator[Player]:
    with client(daemon) as one:
        wait_ready(one)
        one.heard.clear()
        yield one
        one.send("panic")
        one.wait_for("done", "panic")
        one.send("prime/clear")
        one.wait_for("done", "prime/clear")


@pytest.fixture
def net(daemon: Daemon, player: Player) -> Iterator[MelNet]:
    """The same daemon, ready, through the client that musicians use."""
    with MelNet(*daemon.address) as one:
        yield one
