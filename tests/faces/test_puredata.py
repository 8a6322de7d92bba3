"""The Pure Data abstractions in a real Pd against a daemon: trigger, answer, take."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from bad_input import bundle
from live_daemon import Player
from pd_session import FACE, PdSession, complaints, needs_pd, pd_session

from bridge.osc.datagrams import encode_message
from bridge.stage.daemon import Daemon

PATCHES = sorted(FACE.glob("*.pd"))
ABSTRACTIONS = [path for path in PATCHES if not path.stem.endswith("-help")]


@pytest.fixture(scope="module")
def pd(daemon: Daemon, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PdSession]:
    """With a connection, takes of ``generate``, and a socket for bytes that no patch sends."""
    port = daemon.address[1]
    objects = [
        f"melnet {port}",  # 7
        "list prepend answer",
        "melnet-take generate",  # 9
        "list prepend accepted",
        "list prepend finished",
        "list prepend failed",
        "melnet-value file",  # 13
        "list prepend file",
        "netsend -u -b",  # 15
        f"list append connect 127.0.0.1 {port}",
        "list trim",
        "oscparse",  # 18
        "list prepend bytes",
        "list prepend port",  # 20
        "list prepend send",
        "list trim",
    ]
    wires = ["3 0 7 0", "7 0 8 0", "8 0 4 0", "3 1 9 0", "9 0 10 0", "10 0 4 0", "9 3 11 0", "11 0 4 0", "9 3 13 0"]
    wires += ["9 4 12 0", "12 0 4 0", "13 0 14 0", "14 0 4 0", "0 0 16 0", "16 0 17 0", "17 0 15 0", "15 1 18 0"]
    wires += ["18 0 19 0", "19 0 4 0", "3 3 21 0", "21 0 22 0", "22 0 15 0", "7 1 20 0", "20 0 4 0"]
    with pd_session(tmp_path_factory.mktemp("pd"), objects, wires) as session:
        yield session


@pytest.fixture
def fresh(pd: PdSession, player: Player) -> PdSession:
    pd.heard.clear()
    return pd


def test_a_take_from_trigger_to_file(fresh: PdSession) -> None:
    fresh.say("take seconds 0.25 seed 5")
    assert fresh.wait_for("accepted") == "accepted seed 5 seconds 0.25"
    finished = fresh.wait_for("finished").split()
    assert dict(zip(finished[1::2], finished[2::2], strict=True)).items() >= {"seed": "5", "gaps": "0"}.items()
    assert Path(fresh.wait_for("file ").removeprefix("file ")).is_file()


def test_a_take_follows_its_own_answers_only(fresh: PdSession, player: Player) -> None:
    fresh.say("command generate 100001 seconds 0.25")
    fresh.say("take seconds 0.125 seed 9")
    assert fresh.wait_for("accepted") == "accepted seed 9 seconds 0.125"
    fresh.wait_for("answer finished generate 100001")
    fresh.wait_for("finished")
    assert sum(line.startswith(("accepted", "failed")) for line in fresh.heard) == 1


def test_a_take_is_cancelled(fresh: PdSession) -> None:
    fresh.say("take seconds 300")
    fresh.wait_for("accepted")
    fresh.say("take cancel")
    assert fresh.wait_for("failed").startswith("failed cancelled")


def test_commands_of_every_shape_are_answered(fresh: PdSession) -> None:
    for command, answer in (
        ("ping", "answer pong"),
        ("set tempo 97", "answer done set -1 tempo 97"),
        ("set/tempo 120", "answer done set/tempo -1 tempo 120"),
        ("pedal 1", "answer done pedal -1 down 1"),
        ("note 60 90", "answer done note -1 key 60 velocity 90"),
        ("transport", "answer transport.reply bar"),
        ("generate 100002 secnds 4", "answer fail generate 100002 unknown_key"),
        ("generate 1.5", "answer fail generate -1 wrong_type id must be a whole number, got 1.5"),
    ):
        fresh.say(f"command {command}")
        fresh.wait_for(answer)


def test_floats_in_bundles_from_the_past_lose_nothing(fresh: PdSession) -> None:
    past = time.time() - 3600.0
    wanted = [encode_message("/melnet/generate", [float(100100 + number), "seconds", 0.125]) for number in range(3)]
    for each in wanted:
        fresh.say("bytes " + " ".join(map(str, bundle(past, each, encode_message("/melnet/note", [60.0, 0.0])))))
    for number in range(3):
        fresh.wait_for(f"bytes melnet finished generate {100100 + number}")
    assert sum(line.startswith("bytes melnet done note") for line in fresh.heard) == 3
    assert not [line for line in fresh.heard if " fail " in line]


@pytest.mark.parametrize("patch", PATCHES, ids=lambda path: path.name)
def test_a_patch_opens_without_complaint(patch: Path) -> None:
    needs_pd()
    pd = subprocess.run(
        ["pd", "-nogui", "-noaudio", "-nomidi", "-stderr", "-path", str(FACE), "-open", str(patch), "-send", "pd quit"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert complaints(pd.stdout + pd.stderr) == []


@pytest.mark.parametrize(
    "patch", [path for path in PATCHES if not path.stem.endswith("-help")], ids=lambda path: path.name
)
def test_an_abstraction_has_help(patch: Path) -> None:
    assert patch.with_name(f"{patch.stem}-help.pd") in PATCHES or patch.stem == "melnet-value"
