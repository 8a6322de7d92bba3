"""A daemon with a scripted instrument and no sound device, for each face in turn."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from bad_input import make_prime_files
from live_daemon import Player, client, live_daemon, wait_ready

from bridge.stage.daemon import Daemon

FACES = Path(__file__).parent.parent.parent / "faces"


@pytest.fixture(scope="session")
def allowed_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With ``good.wav`` of one second."""
    return make_prime_files(tmp_path_factory.mktemp("faces"))


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory, allowed_folder: Path) -> Iterator[Daemon]:
    with live_daemon(tmp_path_factory.mktemp("takes"), allowed=(allowed_folder,)) as running:
        yield running


@pytest.fixture
def player(daemon: Daemon) -> Iterator[Player]:
    """A client that looks on; the daemon is ready, and forgets afterwards what was played."""
    with client(daemon) as one:
        wait_ready(one)
        one.send("subscribe")
        one.wait_for("done", "subscribe")
        one.heard.clear()
        yield one
        for name in ("panic", "prime/clear"):
            one.send(name)
            one.wait_for("done", name)
