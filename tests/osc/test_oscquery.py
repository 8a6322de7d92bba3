"""OSCQuery as controllers see it: a real daemon, real HTTP, real websockets; and what must not harm it."""

from __future__ import annotations

import json
import logging
import random
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from live_daemon import DEADLINE_SECONDS, Player, client, live_daemon, oscquery_port, wait_ready
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from bridge.osc.datagrams import encode_message, parse_datagram
from bridge.osc.oscquery.server import MOST_WEBSOCKETS
from bridge.osc.oscquery.tree import ADDRESS_OF, PROPERTY_AT, answer, describe, find
from bridge.protocol.parse import parse
from bridge.protocol.property_values import PropertyValues
from bridge.protocol.table import COMMANDS, PROPERTIES
from bridge.protocol.types import INT32_MAX, PRESET_OWN, Argument, Command
from bridge.stage.daemon import Daemon

TEMPO = "/melnet/set/tempo"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with live_daemon(tmp_path_factory.mktemp("takes"), oscquery_port=0) as running:
        yield running


@pytest.fixture
def player(daemon: Daemon) -> Iterator[Player]:
    with client(daemon) as one:
        yield one


def get(daemon: Daemon, target: str) -> tuple[int, Any]:
    """Status and JSON; None where there is none."""
    try:
        with urlopen(f"http://127.0.0.1:{oscquery_port(daemon)}{target}", timeout=DEADLINE_SECONDS) as reply:
            body = reply.read()
            if body:
                assert reply.headers["Content-Type"] == "application/json"
            return reply.status, json.loads(body) if body else None
    except HTTPError as error:
        error.close()
        return error.code, None


def websocket(daemon: Daemon) -> ClientConnection:
    return connect(f"ws://127.0.0.1:{oscquery_port(daemon)}/", open_timeout=DEADLINE_SECONDS, compression=None)


def send_command(listener: ClientConnection, command: str, path: str) -> None:
    listener.send(json.dumps({"COMMAND": command, "DATA": path}))


def heard(listener: ClientConnection) -> tuple[str, list[object]]:
    """The next message."""
    data = listener.recv(timeout=DEADLINE_SECONDS)
    assert isinstance(data, bytes)
    (message,) = parse_datagram(data)
    return message.address, message.values


def hear_until(listener: ClientConnection, *wanted: object) -> None:
    """Read until these values come."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while heard(listener)[1] != [*wanted]:
        assert time.monotonic() < deadline


# --- the tree -------------------------------------------------------------------------------------------


def node_of(daemon: Daemon, address: str) -> dict[str, Any]:
    status, node = get(daemon, address)
    assert status == 200
    assert isinstance(node, dict)
    return node


def table_range(argument: Argument) -> dict[str, object]:
    if argument.choices:
        return {"VALS": list(argument.choices)}
    return {"MIN": argument.low, "MAX": argument.high} if argument.kind in ("int", "float") else {}


@pytest.fixture(scope="module")
def whole(daemon: Daemon) -> dict[str, Any]:
    return node_of(daemon, "/")


@pytest.mark.parametrize("command", COMMANDS.values(), ids=lambda command: command.name)
def test_every_command_is_in_the_tree_with_the_tables_ranges(whole: dict[str, Any], command: Command) -> None:
    node = find(whole, command.address)
    assert node is not None
    assert node["FULL_PATH"] == command.address
    assert node["ACCESS"] == (3 if command.sets else 2)
    assert ("VALUE" in node) == bool(command.sets)
    tags = {"float": "f", "int": "i", "bool": "T", "text": "s", "value": "f"}
    assert node["TYPE"] == ("".join(tags[each.kind] for each in command.fixed) or "N")
    ranges = [table_range(argument) for argument in command.fixed]
    assert node.get("RANGE", [{}] * len(ranges)) == ranges
    for word in (command.help.rstrip("."), *(key.name for key in command.keys)):
        assert word in str(node["DESCRIPTION"])


def test_every_property_can_be_read_and_written(daemon: Daemon, whole: dict[str, Any]) -> None:
    assert list(ADDRESS_OF) == list(PROPERTIES)
    for name, argument in PROPERTIES.items():
        node = find(whole, f"/melnet/set/{name}")
        assert node is not None
        assert node["VALUE"] == [argument.default]
        overloads = [{"TYPE": "s", "RANGE": [{"VALS": [PRESET_OWN]}]}] if argument.default is None else None
        assert node.get("OVERLOADS") == overloads
    assert node_of(daemon, "/melnet/set")["OVERLOADS"] == [{"TYPE": "ss"}]


def test_the_tree_holds_nothing_else_and_every_node_is_found(whole: dict[str, Any]) -> None:
    def addresses(node: dict[str, Any]) -> Iterator[str]:
        if "TYPE" in node:
            yield node["FULL_PATH"]
        else:
            assert node["ACCESS"] == 0
        for name, child in node.get("CONTENTS", {}).items():
            assert child["FULL_PATH"] == f"{node['FULL_PATH'].rstrip('/')}/{name}"
            assert find(whole, child["FULL_PATH"]) is child
            yield from addresses(child)

    assert sorted(addresses(whole)) == sorted(command.address for command in COMMANDS.values())


def test_a_node_brings_what_is_below_it(daemon: Daemon, whole: dict[str, Any]) -> None:
    for path in ("/melnet/set", "/melnet/set/", "/melnet/%73et"):
        assert node_of(daemon, path) == whole["CONTENTS"]["melnet"]["CONTENTS"]["set"]
    assert node_of(daemon, "/melnet/set/seed")["RANGE"] == [{"MIN": 0, "MAX": INT32_MAX}]


@pytest.mark.parametrize(
    ("target", "status", "wanted"),
    [
        ("/melnet/set/tail?VALUE", 200, {"VALUE": [0.0]}),
        ("/melnet/set/late?RANGE", 200, {"RANGE": [{"VALS": ["play", "next", "drop"]}]}),
        ("/melnet/set/level?RANGE", 200, {"RANGE": [{"MIN": 0.0, "MAX": 1.0}]}),
        ("/melnet/loop/start?TYPE", 200, {"TYPE": "ii"}),
        ("/melnet/ping?ACCESS", 200, {"ACCESS": 2}),
        ("/melnet/set/bias?VALUE", 200, {"VALUE": [None]}),
        ("/melnet/ping?VALUE", 204, None),
        ("/melnet/ping?RANGE", 204, None),
        ("/melnet?TYPE", 204, None),
        ("/melnet/ping?CONTENTS", 204, None),
        ("/melnet/set/level?LOUDNESS", 400, None),
        ("/melnet/set/level?VALUE=3", 400, None),
        ("/melnet/set/loudness", 404, None),
        ("/melnet/set/loudness?VALUE", 404, None),
        ("/melnet/set/level/level", 404, None),
        ("/melnet//set", 404, None),
        ("/MELNET", 404, None),
        ("/%00%ff%2e%2e/", 404, None),
    ],
)
def test_attributes_and_what_there_is_not(daemon: Daemon, target: str, status: int, wanted: object) -> None:
    assert get(daemon, target) == (status, wanted)


def test_host_info(daemon: Daemon) -> None:
    status, info = get(daemon, "/?HOST_INFO")
    assert status == 200
    extensions = info.pop("EXTENSIONS")
    assert {name for name, there in extensions.items() if there} >= {
        "ACCESS",
        "VALUE",
        "RANGE",
        "DESCRIPTION",
        "LISTEN",
    }
    assert info == {
        "NAME": "melnet-music",
        "OSC_IP": "127.0.0.1",
        "OSC_PORT": daemon.address[1],
        "OSC_TRANSPORT": "UDP",
        "WS_IP": "127.0.0.1",
        "WS_PORT": oscquery_port(daemon),
    }


# --- values ---------------------------------------------------------------------------------------------


def test_a_set_property_is_streamed_and_shown(daemon: Daemon, player: Player) -> None:
    with websocket(daemon) as listener:
        send_command(listener, "LISTEN", TEMPO)
        assert heard(listener) == (TEMPO, [120.0])  # the current value, at once
        player.send("set/tempo", 90)
        player.wait_for("done", "set/tempo", -1, "tempo", 90.0)
        assert heard(listener) == (TEMPO, [90.0])
        assert get(daemon, f"{TEMPO}?VALUE") == (200, {"VALUE": [90.0]})
        player.send("set", "tempo", 120)  # the other way of setting it
        assert heard(listener) == (TEMPO, [120.0])
    assert player.ask("transport")["tempo"] == 120.0


def test_only_what_is_listened_to_is_heard(daemon: Daemon, player: Player) -> None:
    with websocket(daemon) as listener:
        send_command(listener, "LISTEN", "/melnet/set/lead")
        assert heard(listener) == ("/melnet/set/lead", [0.0])
        send_command(listener, "LISTEN", "/melnet/set/late")
        assert heard(listener) == ("/melnet/set/late", ["next"])
        send_command(listener, "IGNORE", "/melnet/set/lead")
        send_command(listener, "LISTEN", "/melnet/set/meter")
        assert heard(listener) == ("/melnet/set/meter", ["4/4"])  # so what came before it is carried out
        for name, value in (("lead", 2.0), ("tail", 2.0), ("lead", 0.0), ("tail", 0.0), ("late", "play")):
            player.send(f"set/{name}", value)
        assert heard(listener) == ("/melnet/set/late", ["play"])
        player.send("set/late", "next")
        assert heard(listener) == ("/melnet/set/late", ["next"])


def test_a_seed_that_goes_up_by_itself_is_streamed(daemon: Daemon, player: Player) -> None:
    wait_ready(player)
    with websocket(daemon) as listener:
        player.send("set/seed", 70)
        player.wait_for("done", "set/seed")
        send_command(listener, "LISTEN", "/melnet/set/seed")
        hear_until(listener, 70)
        player.run_job("generate", 1, "seconds", 0.125)
        assert heard(listener) == ("/melnet/set/seed", [71])
    player.send("set/seed", 1)
    player.wait_for("done", "set/seed")


def test_the_presets_own_is_no_value_and_can_be_sent_back(daemon: Daemon, player: Player) -> None:
    address = "/melnet/set/temperature"
    with websocket(daemon) as listener:
        send_command(listener, "LISTEN", address)
        assert heard(listener) == (address, [None])
        player.send("set/temperature", 0.5)
        assert heard(listener) == (address, [0.5])
        player.send_bytes(encode_message(address, [None]))
        player.wait_for("done", "set/temperature", -1, "temperature", "preset")
        assert heard(listener) == (address, [None])
    assert get(daemon, f"{address}?VALUE") == (200, {"VALUE": [None]})


def test_one_listener_dies_and_the_other_goes_on(daemon: Daemon, player: Player) -> None:
    with websocket(daemon) as listener, websocket(daemon) as doomed:
        for each in (listener, doomed):
            send_command(each, "LISTEN", TEMPO)
            assert heard(each) == (TEMPO, [120.0])
        doomed.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # no goodbye
        doomed.close_socket()
        for tempo in (60.0, 61.0, 120.0):
            player.send("set/tempo", tempo)
            assert heard(listener) == (TEMPO, [tempo])


# --- abuse ----------------------------------------------------------------------------------------------


def test_garbage_ends_its_own_connection_only(daemon: Daemon, player: Player) -> None:
    generator = random.Random(5)
    garbage = [generator.randbytes(200) + b"\r\n\r\n" for _ in range(20)]
    garbage += [b"\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9\r\n\r\n", b"GET /\xff HTTP/1.1\r\n\r\n"]
    garbage += [b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 1000 + b"\r\n"]
    for each in garbage:
        address = ("127.0.0.1", oscquery_port(daemon))
        with socket.create_connection(address, DEADLINE_SECONDS) as visitor, suppress(ConnectionError):
            visitor.sendall(each)
            while visitor.recv(4096):  # it need not hear us out
                pass
    assert get(daemon, "/melnet/ping?TYPE") == (200, {"TYPE": "N"})
    player.send("ping")
    player.wait_for("pong")


@pytest.mark.parametrize(("path_characters", "status"), [(7_000, 404), (9_000, 414)])
def test_long_paths(daemon: Daemon, path_characters: int, status: int) -> None:
    assert get(daemon, "/" + "x" * path_characters) == (status, None)
    assert get(daemon, "/x" * (path_characters // 2)) == (status, None)


def test_nothing_but_get(daemon: Daemon) -> None:
    for method, status in (("HEAD", 405), ("POST", 405), ("DELETE", 405), ("GET", 200)):
        visitor = HTTPConnection("127.0.0.1", oscquery_port(daemon), timeout=DEADLINE_SECONDS)
        visitor.request(method, "/melnet/ping", headers={"Upgrade": "h2c"})
        assert visitor.getresponse().status == status
        visitor.close()


def test_a_websocket_may_say_anything(daemon: Daemon) -> None:
    with websocket(daemon) as listener:
        for said in (
            *(
                "",
                "LISTEN",
                "{",
                "[" * 4000,
                "3",
                "null",
                "NaN",
                "[1]",
                '"LISTEN"',
                "{}",
                "\0",
                '{"COMMAND": "LISTEN"}',
            ),
            *(
                '{"COMMAND": "LISTEN", "DATA": 3}',
                '{"COMMAND": "LISTEN", "DATA": {}}',
                '{"COMMAND": ["x"], "DATA": []}',
            ),
            *(b"", b"\xff\x00", b"#bundle\0", encode_message(TEMPO, [1.0]), json.dumps({"COMMAND": 3, "DATA": TEMPO})),
        ):
            listener.send(said)
        for path in ("", "/", "/melnet", "/melnet/ping", "/no/such/node", "tempo", TEMPO + "/"):
            send_command(listener, "LISTEN", path)
            send_command(listener, "IGNORE", path)
        send_command(listener, "IGNORE", TEMPO)  # to which it does not listen
        send_command(listener, "LISTEN", TEMPO)
        assert heard(listener) == (TEMPO, [120.0])


def test_a_websocket_may_not_say_much_at_once(daemon: Daemon) -> None:
    with websocket(daemon) as listener:
        listener.send("x" * 100_000)
        with pytest.raises(ConnectionClosed):
            listener.recv(timeout=DEADLINE_SECONDS)
    assert get(daemon, "/melnet/ping?TYPE")[0] == 200


def test_websockets_are_bounded(daemon: Daemon) -> None:
    with ExitStack() as stack:
        listeners = [stack.enter_context(websocket(daemon)) for _ in range(MOST_WEBSOCKETS)]
        for listener in listeners:
            send_command(listener, "LISTEN", TEMPO)
            assert heard(listener) == (TEMPO, [120.0])
        with pytest.raises(InvalidStatus) as refused, websocket(daemon):
            pass
        assert refused.value.response.status_code == 503
        assert get(daemon, "/melnet/ping?TYPE")[0] == 200
        listeners[0].close()
        listen_again(daemon)


def listen_again(daemon: Daemon) -> None:
    """Within the deadline a websocket is taken in and answered."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        try:
            with websocket(daemon) as listener:
                send_command(listener, "LISTEN", TEMPO)
                assert heard(listener)[0] == TEMPO
                return
        except (InvalidStatus, ConnectionClosed):
            assert time.monotonic() < deadline


def ask_on(visitor: socket.socket, said: bytes) -> None:
    """Send the same, until the deadline at most, and read nothing."""
    deadline = time.monotonic() + 3 * DEADLINE_SECONDS
    while time.monotonic() < deadline:
        visitor.sendall(said * 10)


def test_who_does_not_read_is_dropped_and_keeps_nobody_waiting(daemon: Daemon, player: Player) -> None:
    with websocket(daemon) as listener, socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        slow.settimeout(DEADLINE_SECONDS)
        slow.connect(("127.0.0.1", oscquery_port(daemon)))
        key = b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
        slow.sendall(
            b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" + key + b"\r\n"
        )
        said = json.dumps({"COMMAND": "LISTEN", "DATA": TEMPO}).encode()
        listen = bytes([0x81, 0x80 | len(said), 0, 0, 0, 0]) + said  # masked with zeros
        send_command(listener, "LISTEN", TEMPO)
        assert heard(listener) == (TEMPO, [120.0])
        with pytest.raises(ConnectionError):  # it is cut off while it goes on asking
            ask_on(slow, listen)
        player.send("set/tempo", 99)
        assert heard(listener) == (TEMPO, [99.0])
        player.send("set/tempo", 120)
        assert heard(listener) == (TEMPO, [120.0])


# --- life -----------------------------------------------------------------------------------------------


def test_a_port_in_use_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, caplog.at_level(logging.WARNING, "bridge.stage.daemon"):
        port = taken.getsockname()[1]
        with live_daemon(tmp_path, oscquery_port=port) as daemon, client(daemon) as player:
            assert daemon.oscquery_address is None
            player.send("set/tempo", 99)
            player.wait_for("done", "set/tempo", -1, "tempo", 99.0)
    wanted = f"no OSCQuery: TCP port {port} on 127.0.0.1 is in use; choose another with --oscquery-port"
    assert wanted in [record.getMessage() for record in caplog.records]


def test_clients_are_told_that_the_daemon_stops(tmp_path: Path) -> None:
    with live_daemon(tmp_path, oscquery_port=0) as daemon, websocket(daemon) as listener:
        port = oscquery_port(daemon)
        send_command(listener, "LISTEN", TEMPO)
        assert heard(listener) == (TEMPO, [120.0])
        silent = socket.create_connection(("127.0.0.1", port), DEADLINE_SECONDS)
        stopped = time.monotonic()
        daemon.stop()
        with pytest.raises(ConnectionClosed) as closed:
            listener.recv(timeout=DEADLINE_SECONDS)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1001
        with suppress(ConnectionError):
            assert silent.recv(1) == b""
        assert time.monotonic() - stopped < 2.5  # nobody waits for those who say nothing
    silent.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), DEADLINE_SECONDS)


# --- property values and the tree by themselves ---------------------------------------------------------------


def test_property_values_keep_the_newest_value_and_wake_once() -> None:
    property_values, woken = PropertyValues(), []
    property_values.put("level", 1.0)
    property_values.watch(lambda: woken.append("woken"))
    assert property_values.take_changed() == {}
    for value in range(1000):
        property_values.put("seed", value)
    property_values.put("level", 0.5)
    assert woken == ["woken"]
    assert list(property_values.take_changed().items()) == [("seed", 999), ("level", 0.5)]
    assert property_values.take_changed() == {}
    property_values.put("bias", None)
    assert woken == ["woken"] * 2
    assert property_values.take_changed() == {"bias": None}
    assert property_values.values() == {"level": 0.5, "seed": 999, "bias": None}
    property_values.watch(None)
    property_values.put("level", 1.0)
    assert woken == ["woken"] * 2


def test_what_is_streamed_is_what_sets_it() -> None:
    for address, name in PROPERTY_AT.items():
        default = PROPERTIES[name].default
        for value in (default, PROPERTIES[name].high if PROPERTIES[name].kind == "float" else default):
            (message,) = parse_datagram(encode_message(address, [value]))
            invocation = parse(message.address, message.values)
            assert invocation.arguments == {name: PRESET_OWN if value is None else value}


def test_what_is_described_is_json_and_not_shared() -> None:
    values = {name: argument.default for name, argument in PROPERTIES.items()}
    tree = describe(values)
    assert json.loads(json.dumps(tree, allow_nan=False)) == tree
    tree.clear()
    assert describe(values) != tree
    assert answer("/?HOST_INFO", values, {"NAME": "x"}) == (200, {"NAME": "x"})
