"""The panel's page and websockets of a whole daemon: who gets what, and who can harm whom."""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

import pytest
from jack_rig import jack_server
from live_daemon import DEADLINE_SECONDS, Player, client, live_daemon, oscquery_port, pairs, wait_ready
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from bridge.osc.datagrams import Message, encode_message, parse_datagram
from bridge.panel.news import KIND_TRANSPORT, STAMP
from bridge.panel.page_files import FOLDER
from bridge.panel.sound_view import HEADER, KIND_COLUMNS
from bridge.stage.daemon import Daemon

DEVICE = "system"
TEMPO = 240.0
CLOSE_SECONDS = 0.2
"""Who has not read what came does not hear that the other side closes, and would wait for it."""
BROWSER_ACCEPTS = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with (
        jack_server(),
        live_daemon(
            tmp_path_factory.mktemp("panel") / "takes", output=DEVICE, audio_input=DEVICE, oscquery_port=0
        ) as running,
        client(running) as player,
    ):
        wait_ready(player)
        player.send("set", "tempo", TEMPO)
        player.wait_for("done", "set")
        yield running


@pytest.fixture
def player(daemon: Daemon) -> Iterator[Player]:
    with client(daemon) as one:
        yield one


def get(daemon: Daemon, path: str, **headers: str) -> tuple[HTTPResponse, bytes]:
    visitor = HTTPConnection("127.0.0.1", oscquery_port(daemon), timeout=DEADLINE_SECONDS)
    try:
        visitor.request("GET", path, headers=headers)
        answer = visitor.getresponse()
        return answer, answer.read()
    finally:
        visitor.close()


def panel(daemon: Daemon, **options: object) -> ClientConnection:
    url = f"ws://127.0.0.1:{oscquery_port(daemon)}/panel/socket"
    return connect(url, open_timeout=DEADLINE_SECONDS, close_timeout=CLOSE_SECONDS, compression=None, **options)  # type: ignore[arg-type]


def receive(socket: ClientConnection) -> bytes:
    data = socket.recv(timeout=DEADLINE_SECONDS)
    assert isinstance(data, bytes)
    return data


def until(socket: ClientConnection, wanted: Callable[[Message], bool]) -> Message:
    """The next OSC message that is wanted, of those between pictures."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline:
        data = receive(socket)
        if data[:1] == b"/" and wanted(message := parse_datagram(data)[0]):
            return message
    raise AssertionError("it did not come")


def picture(socket: ClientConnection) -> bytes:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline:
        data = receive(socket)
        if data[0] == KIND_COLUMNS:
            return data
    raise AssertionError("no picture came")


# --- the page -------------------------------------------------------------------------------------------


def test_browsers_get_the_page_and_others_oscquery(daemon: Daemon) -> None:
    for path, accept in (("/", BROWSER_ACCEPTS), ("/panel/", "*/*"), ("/panel/index.html", "")):
        answer, body = get(daemon, path, Accept=accept)
        assert (answer.status, answer.getheader("Content-Type")) == (200, "text/html; charset=utf-8")
        assert b"<title>melnet-music</title>" in body
    for path, accept in (("/", "*/*"), ("/", "application/json"), ("/?HOST_INFO", BROWSER_ACCEPTS)):
        answer, body = get(daemon, path, Accept=accept)
        assert (answer.status, answer.getheader("Content-Type")) == (200, "application/json")


@pytest.mark.parametrize("path", sorted(FOLDER.iterdir()), ids=lambda path: path.name)
def test_every_file_is_served_as_it_is_with_a_policy_that_lets_nothing_else_in(daemon: Daemon, path: Path) -> None:
    answer, body = get(daemon, f"/panel/{path.name}")
    assert (answer.status, body) == (200, path.read_bytes())
    assert answer.getheader("X-Content-Type-Options") == "nosniff"
    policy = str(answer.getheader("Content-Security-Policy"))
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert f"ws://127.0.0.1:{oscquery_port(daemon)}" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize("path", sorted(FOLDER.iterdir()), ids=lambda path: path.name)
def test_the_page_names_no_other_host_and_no_inline_script(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    hosts = set(re.findall(r"(?:https?|wss?)://([^/\s\"'`]+)", text))
    assert hosts <= {"${location.host}", "www.w3.org"}
    assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+=|<style|\sstyle=|eval\(", text) or path.suffix == ".js"
    assert len(text.splitlines()) <= 500


@pytest.mark.parametrize("path", ["/panel/nothing.js", "/panel/../panel.py", "/panel/%2e%2e/panel.py", "/panel/page/"])
def test_nothing_else_is_served(daemon: Daemon, path: str) -> None:
    assert get(daemon, path)[0].status == 404


def test_a_foreign_host_gets_no_page(daemon: Daemon) -> None:
    for path in ("/", "/panel/", "/panel/main.js"):
        assert get(daemon, path, Host="evil.example", Accept=BROWSER_ACCEPTS)[0].status == 403


def test_without_a_panel_there_is_none(tmp_path: Path) -> None:
    with live_daemon(tmp_path, oscquery_port=0, panel=False) as daemon:
        assert daemon.panel_address is None
        answer, _ = get(daemon, "/", Accept=BROWSER_ACCEPTS)
        assert answer.getheader("Content-Type") == "application/json"
        assert get(daemon, "/panel/")[0].status == 404


# --- websockets -----------------------------------------------------------------------------------------


def test_a_panel_is_one_more_osc_client(daemon: Daemon, player: Player) -> None:
    with panel(daemon) as one, panel(daemon) as other:
        one.send(encode_message("/melnet/set/lead", [1.5]))
        until(one, lambda m: m.address == "/melnet/done" and m.values == ["set/lead", -1, "lead", 1.5])
        for each in (one, other):
            until(each, lambda m: m.values == ["property", "lead", 1.5])
        assert player.ask("get", "lead")["lead"] == 1.5
        one.send(encode_message("/melnet/set/lead", [1e9]))
        failed = until(one, lambda m: m.address == "/melnet/fail")
        assert failed.values[2] == "out_of_range"
        other.send(encode_message("/melnet/set/lead", [0.0]))
        until(other, lambda m: m.address == "/melnet/done")


def test_a_new_panel_is_told_how_things_are_and_sees_the_sound(daemon: Daemon) -> None:
    with panel(daemon) as one:
        wanted = {"/melnet/status.reply", "transport", "columns"}
        deadline = time.monotonic() + DEADLINE_SECONDS
        while wanted and time.monotonic() < deadline:
            data = receive(one)
            if data[0] == KIND_COLUMNS:
                wanted.discard("columns")
            elif data[0] == KIND_TRANSPORT:
                told = parse_datagram(data[STAMP.size :])[0]
                assert told.address == "/melnet/transport.reply"
                wanted.discard("transport")
            else:
                wanted.discard(parse_datagram(data)[0].address)
        assert not wanted


def test_the_tape_tells_where_a_take_lies_and_what_of_it_was_heard_before(daemon: Daemon, player: Player) -> None:
    player.send("generate", 1, "bars", 1, "quantise", "bar")
    player.wait_for("finished", "generate", 1)
    player.send("prime/clear")
    player.wait_for("done", "prime/clear")
    player.send("generate", 2, "bars", 2, "quantise", "bar")
    bar = int(str(pairs(player.wait_for("started", "generate", 2))["bar"]))
    take = pairs(player.wait_for("finished", "generate", 2))["take"]
    player.heard.clear()
    player.send("tape")
    count = pairs(player.wait_for("done", "tape"))["parts"]
    parts = [
        dict(zip(map(str, m.values[::2]), m.values[1::2], strict=True))
        for m in player.heard
        if m.address == "/melnet/tape.reply"
    ]
    assert len(parts) == count
    assert {"part": "made", "take": take, "from_bar": bar, "from_beat": 1.0, "to_bar": bar + 2, "to_beat": 1.0} in parts


def test_pages_of_other_origins_get_no_websocket(daemon: Daemon) -> None:
    with pytest.raises(InvalidStatus) as refused, panel(daemon, origin="http://evil.example"):
        pass
    assert refused.value.response.status_code == 403
    with panel(daemon, origin=f"http://127.0.0.1:{oscquery_port(daemon)}") as own:
        assert picture(own)


def test_panels_are_bounded_and_a_place_becomes_free_again(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.osc.oscquery.server.MOST_VISITORS", 3)
    with ExitStack() as stack:
        sockets = [stack.enter_context(panel(daemon)) for _ in range(3)]
        with pytest.raises(InvalidStatus) as refused, panel(daemon):
            pass
        assert refused.value.response.status_code == 503
        for socket in sockets:
            assert picture(socket)
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        try:
            with panel(daemon) as one:
                assert picture(one)
                return
        except InvalidStatus:
            assert time.monotonic() < deadline


def test_rubbish_and_who_never_reads_harm_nobody_while_a_take_plays(
    daemon: Daemon, player: Player, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.osc.oscquery.server._MOST_UNREAD_BY_VISITOR_BYTES", 1 << 16)
    generator = random.Random(7)
    with ExitStack() as stack:
        reading, rude, deaf = (stack.enter_context(panel(daemon)) for _ in range(3))
        player.send("generate", 1, "bars", 4, "quantise", "none")
        player.wait_for("started", "generate", 1)
        for _ in range(40):
            rude.send(generator.randbytes(generator.randrange(300)))
            rude.send("".join(map(chr, generator.choices(range(32, 127), k=40))))
        malformed = until(rude, lambda m: m.address == "/melnet/fail")
        assert malformed.values[2] == "malformed"
        first = HEADER.unpack_from(picture(reading))[4]
        player.send("ping")
        player.wait_for("pong")
        assert picture(deaf)  # the first that it was sent
        take = pairs(player.wait_for("finished", "generate", 1))
        assert take["sounded"]
        assert HEADER.unpack_from(picture(reading))[4] > first
    player.send("ping")
    player.wait_for("pong")


def test_a_panel_may_not_say_much_at_once(daemon: Daemon) -> None:
    with panel(daemon) as one:
        one.send(os.urandom(100_000))
        with pytest.raises(ConnectionClosed):
            until(one, lambda m: False)
    with panel(daemon) as another:
        assert picture(another)
