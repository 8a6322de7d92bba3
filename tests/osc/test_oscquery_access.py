"""OSCQuery answers hosts that it knows, websockets of origins that are allowed, and so many clients at once."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from live_daemon import DEADLINE_SECONDS, client, live_daemon, wait_ready

from bridge.cli.main import main
from bridge.osc.oscquery.access import Access
from bridge.osc.oscquery.server import MOST_CLIENTS, MOST_REFUSED
from bridge.osc.oscquery.service import OscQuery
from bridge.protocol.property_values import PropertyValues
from bridge.protocol.table import PROPERTIES

ALLOWED = "http://localhost:3000"
UPGRADE = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
    "Sec-WebSocket-Version: 13",
)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: str


@contextmanager
def oscquery(access: Access, host: str = "127.0.0.1") -> Iterator[int]:
    """A server without a daemon; yields its port."""
    values = PropertyValues()
    for name, argument in PROPERTIES.items():
        values.put(name, argument.default)
    service = OscQuery(host, 0, access, 9100, values)
    service.start()
    try:
        yield service.address[1]
    finally:
        service.close()


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with oscquery(Access("127.0.0.1", ["Studio.local", "fd00::7"], [ALLOWED, "https://panel.example"])) as one:
        yield one


def connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), DEADLINE_SECONDS)


def answer_on(connection: socket.socket, *headers: str, target: str = "/?HOST_INFO") -> Answer:
    """Of a GET with these headers and no others; a websocket's ends with its handshake."""
    connection.sendall("\r\n".join((f"GET {target} HTTP/1.1", *headers, "", "")).encode())
    data = b""
    while b"\r\n\r\n" not in data and (more := connection.recv(65536)):
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    named = dict(line.split(": ", 1) for line in lines)
    while len(body) < int(named.get("Content-Length", 0)) and (more := connection.recv(65536)):
        body += more
    return Answer(int(status.split()[1]), named, body.decode())


def answer(port: int, *headers: str, target: str = "/?HOST_INFO") -> Answer:
    with connected(port) as connection:
        return answer_on(connection, *headers, target=target)


# --- hosts ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:PORT",
        "LOCALHOST.:PORT",
        "127.0.0.1:PORT",
        "127.0.0.1",
        "127.0.0.2:PORT",
        "[::1]:PORT",
        "[::1]",
        "[0:0:0:0:0:0:0:1]:PORT",
        "[::ffff:127.0.0.1]:PORT",
        "studio.local:PORT",
        "STUDIO.local.",
        "[fd00::7]:PORT",
        "[fd00:0::7%eth0]:PORT",
        "localhost:9",  # another port: it is forwarded
    ],
)
def test_known_hosts_are_answered(port: int, host: str) -> None:
    got = answer(port, f"Host: {host.replace('PORT', str(port))}")
    assert got.status == 200
    assert json.loads(got.body)["OSC_PORT"] == 9100
    assert answer(port, f"Host: {host.replace('PORT', str(port))}", *UPGRADE).status == 101


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:PORT",
        "localhost.evil.example",
        "127.0.0.1.evil.example:PORT",
        "evil.example@127.0.0.1:PORT",
        "notlocalhost",
        "10.0.0.1:PORT",
        "0.0.0.0:PORT",
        "[::]:PORT",
        "[fd00::8]:PORT",
        "::1",
        "[::1",
        "localhost:x",
        "localhost:99999",
        "localhost:PORT:PORT",
        "localhost evil.example",
        "",
        ":PORT",
        "x" * 5000,
        "\u00fc.example",
    ],
)
def test_foreign_hosts_are_refused(port: int, host: str) -> None:
    for headers in ((), UPGRADE):
        got = answer(port, f"Host: {host.replace('PORT', str(port))}", *headers)
        assert got.status == 403
        assert "is not known here: use this machine's address" in got.body
        assert "serve --oscquery-host" in got.body
        assert len(got.body) < 400


@pytest.mark.parametrize("hosts", [(), ("Host: localhost", "Host: localhost"), ("Host: localhost", "Host: evil")])
def test_it_takes_one_host_header(port: int, hosts: tuple[str, ...]) -> None:
    got = answer(port, *hosts)
    assert (got.status, got.body) == (
        403,
        f"{len(hosts)} Host headers came, want one with this machine's name or address\n",
    )


def test_a_port_bound_to_all_addresses_knows_the_one_that_was_reached_and_the_machines_name() -> None:
    with oscquery(Access("0.0.0.0"), "0.0.0.0") as port:
        for host, status in (
            (f"{socket.gethostname()}:{port}", 200),
            (f"{socket.gethostname()}.local", 200),
            ("127.0.0.1", 200),
            ("0.0.0.0", 403),
            ("192.0.2.7", 403),
        ):
            assert answer(port, f"Host: {host}").status == status
    access = Access("0.0.0.0")
    assert access.host_refusal(["192.0.2.7:9101"], "192.0.2.7") is None
    assert access.host_refusal(["192.0.2.8:9101"], "192.0.2.7")
    assert Access("192.0.2.7").host_refusal(["192.0.2.7"], "192.0.2.7") is None


# --- origins --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://localhost:PORT", 101),
        ("HTTP://LOCALHOST:PORT", 101),
        ("http://localhost:3000", 101),
        ("https://panel.example", 101),
        ("https://panel.example:443", 101),
        ("http://localhost", 403),
        ("https://localhost:PORT", 403),
        ("http://localhost:3001", 403),
        ("http://panel.example", 403),
        ("https://panel.example:8443", 403),
        ("https://panel.example.evil.example", 403),
        ("http://evil.example", 403),
        ("http://127.0.0.1:PORT", 403),  # the page is another host's than the one that it asks
        ("null", 403),
        ("file://", 403),
        ("", 403),
        ("x" * 5000, 403),
    ],
)
def test_a_websocket_is_opened_for_its_own_origin_and_allowed_ones(port: int, origin: str, status: int) -> None:
    got = answer(port, f"Host: localhost:{port}", f"Origin: {origin.replace('PORT', str(port))}", *UPGRADE)
    assert got.status == status
    if status == 403:
        assert "may open no websocket here; to let them, start the daemon with" in got.body
        assert len(got.body) < 400


def test_two_origins_are_refused(port: int) -> None:
    got = answer(port, "Host: localhost", f"Origin: {ALLOWED}", "Origin: http://evil.example", *UPGRADE)
    assert (got.status, got.body) == (403, "2 Origin headers came, want one at most\n")


def test_pages_without_an_origin_can_be_allowed() -> None:
    with oscquery(Access("127.0.0.1", origins=["null", "file://"])) as port:
        for origin, status in (("null", 101), ("file://", 101), ("http://evil.example", 403)):
            assert answer(port, "Host: localhost", f"Origin: {origin}", *UPGRADE).status == status


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [(ALLOWED, ALLOWED), ("http://evil.example", None), ("null", None), ("http://localhost:PORT", None)],
)
def test_pages_of_allowed_origins_only_may_read_answers(port: int, origin: str, allowed: str | None) -> None:
    """Browsers let a page read what says so in this header; its own origin needs none."""
    for target, status in (("/", 200), ("/nowhere", 404)):
        got = answer(port, f"Host: localhost:{port}", f"Origin: {origin.replace('PORT', str(port))}", target=target)
        assert got.status == status
        assert got.headers.get("Access-Control-Allow-Origin") == allowed
        assert got.headers.get("Vary") == ("Origin" if allowed else None)


# --- the number of clients ------------------------------------------------------------------------------


def eventually(wanted: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not wanted():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_too_many_clients_are_told_so_and_a_place_becomes_free_again(port: int) -> None:
    with ExitStack() as stack:
        silent = [stack.enter_context(connected(port)) for _ in range(MOST_CLIENTS)]
        for headers in ((), UPGRADE):
            got = answer(port, "Host: localhost", *headers)
            assert (got.status, got.body) == (503, f"there are {MOST_CLIENTS} clients; try later\n")
        assert answer(port, "Host: evil.example").status == 403
        silent[0].close()
        eventually(lambda: answer(port, "Host: localhost").status == 200)
        assert answer_on(silent[1], "Host: localhost").status == 200  # who was there before is served


def test_those_that_are_refused_are_bounded_too(port: int) -> None:
    with ExitStack() as stack:
        for _ in range(MOST_CLIENTS + MOST_REFUSED):
            stack.enter_context(connected(port))
        one_too_many = stack.enter_context(socket.create_connection(("127.0.0.1", port), 3.0))
        with suppress(ConnectionError):
            assert one_too_many.recv(1) == b""  # long before the server loses patience with the others
    eventually(lambda: answered(port))


def answered(port: int) -> bool:
    with suppress(ConnectionError, ValueError):
        return answer(port, "Host: localhost").status == 200
    return False


def test_who_says_nothing_loses_the_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.osc.oscquery.server._OPEN_DEADLINE_SECONDS", 0.5)
    with oscquery(Access("127.0.0.1")) as port, connected(port) as silent:
        silent.settimeout(DEADLINE_SECONDS)
        with suppress(ConnectionError):
            assert silent.recv(1) == b""


def test_a_client_that_never_reads_delays_nobody_and_loses_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has the only place, and asks for what fits into no buffer."""
    monkeypatch.setattr("bridge.osc.oscquery.server.MOST_CLIENTS", 1)
    monkeypatch.setattr("bridge.osc.oscquery.server._OPEN_DEADLINE_SECONDS", 2.0)
    with oscquery(Access("127.0.0.1")) as port, socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        slow.settimeout(DEADLINE_SECONDS)
        slow.connect(("127.0.0.1", port))
        with monkeypatch.context() as patch:
            patch.setattr("bridge.osc.oscquery.server.answer", lambda *_: (HTTPStatus.OK, "x" * 4_000_000))
            slow.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert slow.recv(1) == b"H"  # it is being answered
        assert answer(port, "Host: localhost").status == 503
        eventually(lambda: answered(port))


# --- the daemon -----------------------------------------------------------------------------------------


def test_the_daemon_goes_on_while_clients_are_refused(tmp_path: Path) -> None:
    with (
        live_daemon(tmp_path, oscquery_port=0, oscquery_hosts=("studio",), oscquery_origins=(ALLOWED,)) as daemon,
        client(daemon) as player,
        ExitStack() as stack,
    ):
        assert daemon.oscquery_address
        port = daemon.oscquery_address[1]
        assert answer(port, "Host: studio", f"Origin: {ALLOWED}", *UPGRADE).status == 101
        assert answer(port, "Host: evil.example").status == 403
        wait_ready(player)
        for _ in range(MOST_CLIENTS):
            stack.enter_context(connected(port))
        assert answer(port, "Host: localhost").status == 503
        assert player.run_job("generate", 1, "seconds", 0.5)["seconds"] == 0.5


# --- what is given on the command line ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "value", "reason"),
    [
        ("--oscquery-host", "studio:9101", "want a name or an address without port"),
        ("--oscquery-host", "http://studio", "want a name or an address without port"),
        ("--oscquery-host", "", "want a name or an address without port"),
        ("--oscquery-origin", "localhost:3000", "want a scheme and a host without path"),
        ("--oscquery-origin", "http://localhost:3000/", "want a scheme and a host without path"),
        ("--oscquery-origin", "*", "want a scheme and a host without path"),
    ],
)
def test_bad_options_are_told_in_a_line(
    option: str, value: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", "--osc-port", "0", "--no-audio", option, value]) == 2
    error = capsys.readouterr().err
    assert re.search(rf"{option} is {value!r}, {reason}".replace("*", r"\*"), error)


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_header_is_known_or_refused(host: str, origin: str) -> None:
    access = Access("127.0.0.1")
    assert access.origin_refusal([origin], host) or origin.lower().startswith("http://")
    refusal = access.host_refusal([host], "127.0.0.1")
    assert refusal is None or "not known" in refusal
