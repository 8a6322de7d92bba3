"""A daemon under bad commands, floods and dated bundles: each is answered."""

from __future__ import annotations

import random
import socket
import time

import pytest
from bad_input import BAD_COMMANDS, PING, bundle, nasty
from live_daemon import Player

from bridge.osc.datagrams import encode_message
from bridge.protocol.types import Value
from bridge.stage.commands.dispatcher import HELD_COMMANDS
from bridge.stage.daemon import Daemon

YEAR_SECONDS = 365 * 86400


@pytest.mark.parametrize(("name", "values", "code"), BAD_COMMANDS, ids=[f"{n[:20]}-{c}" for n, _, c in BAD_COMMANDS])
def test_bad_commands_are_answered(player: Player, name: str, values: list[Value], code: str) -> None:
    player.send(name, *values)
    failed = player.wait_for("fail")
    assert failed[2] == code
    assert str(name).startswith(str(failed[0])[:64])
    assert 0 < len(str(failed[3])) <= 410


def test_garbage_is_answered(player: Player) -> None:
    player.send_bytes(b"\xff\xfe\x00garbage")
    assert player.wait_for("fail")[:3] == ["", -1, "malformed"]


def test_dated_bundles_wait_for_their_time(player: Player) -> None:
    sent = time.time()
    player.send_bytes(bundle(sent + 0.4, encode_message("/melnet/version", [])))
    player.send_bytes(bundle(sent - 5.0, PING))
    player.wait_for("pong")
    assert time.time() - sent < 0.4
    player.wait_for("version.reply")
    assert time.time() - sent >= 0.39


def test_a_bundle_dated_a_year_ahead_is_refused(player: Player) -> None:
    player.send_bytes(bundle(time.time() + YEAR_SECONDS, encode_message("/melnet/generate", [8])))
    assert player.wait_for("fail")[:3] == ["generate", 8, "too_far_ahead"]
    player.send("ping")
    player.wait_for("pong")


def test_bad_commands_in_dated_bundles_are_answered_at_once(player: Player) -> None:
    player.send_bytes(bundle(time.time() + 600.0, encode_message("/melnet/generate", [8, "secs", 1.0])))
    assert player.wait_for("fail", seconds=5.0)[2] == "unknown_key"


def test_held_commands_are_bounded_and_panic_drops_them(player: Player) -> None:
    due = time.time() + 600.0
    for _ in range(HELD_COMMANDS // 32):
        player.send_bytes(bundle(due, *[PING] * 32))
        player.ask("status")
    player.send_bytes(bundle(due, PING))
    assert player.wait_for("fail", "ping")[2] == "busy"
    player.send("panic")
    assert player.wait_for("fail", "ping")[2] == "cancelled"
    assert player.ask("status")["held"] == 0
    fails = [message.values[2] for message in player.heard if message.address == "/melnet/fail"]
    assert fails == ["busy", "cancelled"]  # told once, not a thousand times


def test_too_many_jobs_are_refused(player: Player) -> None:
    for number in range(60):
        player.send("generate", number, "seconds", 100.0)
    assert player.wait_for("fail", "generate")[2] == "busy"
    player.send("panic")
    player.wait_for("done", "panic")


def test_a_stuck_panic_button_is_answered_every_time(player: Player) -> None:
    player.send("generate", 1, "seconds", 100.0)
    for first in range(2, 202, 20):  # more at once would not fit into the sockets' buffers on a busy machine
        for number in range(first, first + 20):
            player.send("panic")
            player.send("generate", number, "seconds", 100.0)
        for _ in range(20):
            player.wait_for("done", "panic")
    player.send("panic")
    player.wait_for("done", "panic")
    assert player.ask("status")["jobs"] == 0


def test_random_datagrams_hide_no_answer(player: Player, daemon: Daemon) -> None:
    generator = random.Random(3)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flood:
        flood.connect(daemon.address)
        for number in range(3000):
            flood.send(nasty(generator))
            if number % 100 == 99:
                player.send("ping")
                player.wait_for("pong")
