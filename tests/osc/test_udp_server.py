from __future__ import annotations

import itertools
import socket
import struct
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.osc.client import OscClient
from bridge.osc.datagrams import MAX_DATAGRAM_BYTES, MalformedDatagram, encode_message, parse_datagram
from bridge.osc.udp_server import OscEndpoint
from bridge.protocol.timed_bundles import TimedBundles

IMMEDIATELY = struct.pack(">Q", 1)
PING = encode_message("/melnet/ping", [])


def bundle(*elements: bytes, timetag: bytes = IMMEDIATELY) -> bytes:
    return b"#bundle\0" + timetag + b"".join(struct.pack(">i", len(each)) + each for each in elements)


def timetag(unix_seconds: float) -> bytes:
    return struct.pack(">Q", round((unix_seconds + 2_208_988_800) * 2**32))


def assert_parsed_or_refused(data: bytes) -> None:
    try:
        messages = parse_datagram(data)
    except MalformedDatagram as error:
        refusal = str(error)
    else:
        refusal = "none"
        assert all(message.address.startswith("/") for message in messages)
    assert refusal


@given(st.lists(st.one_of(st.integers(-(2**31), 2**31 - 1), st.floats(width=32, allow_nan=False), st.booleans())))
def test_values_come_back(values: list[int | float | bool]) -> None:
    if len(values) > 64:
        return
    (message,) = parse_datagram(encode_message("/a", values))
    assert message == ("/a", values, None)


@settings(max_examples=500)
@given(st.one_of(st.binary(max_size=200), st.binary(max_size=60).map(lambda tail: b"#bundle\0" + IMMEDIATELY + tail)))
def test_any_bytes_are_parsed_or_refused(data: bytes) -> None:
    assert_parsed_or_refused(data)


@given(st.data())
def test_mutated_messages_are_parsed_or_refused(data: st.DataObject) -> None:
    good = bytearray(bundle(encode_message("/melnet/continue", [1, "seconds", 2.5, "seed", 3]), PING))
    for _ in range(data.draw(st.integers(1, 4))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    assert_parsed_or_refused(bytes(good[: data.draw(st.integers(0, len(good)))]))


@pytest.mark.parametrize("size", [-(2**31), -4, -1, 0, 1000, 2**31 - 1])
def test_bundle_elements_of_impossible_size(size: int) -> None:
    with pytest.raises(MalformedDatagram, match="claims"):
        parse_datagram(b"#bundle\0" + IMMEDIATELY + struct.pack(">i", size) + PING)


def test_deeply_nested_bundles_are_refused() -> None:
    data = PING
    while len(data) < MAX_DATAGRAM_BYTES - 20:
        data = bundle(data)
    with pytest.raises(MalformedDatagram, match="nested"):
        parse_datagram(data)


def test_unknown_type_tags_are_refused() -> None:
    with pytest.raises(MalformedDatagram, match="type tag 'Q'"):
        parse_datagram(b"/a\0\0,Qi\0" + b"\0" * 8)


def test_very_many_arguments_are_refused() -> None:
    with pytest.raises(MalformedDatagram, match="arguments"):
        parse_datagram(b"/a\0\0," + b"N" * 40_000 + b"\0" * 4)


def test_messages_of_bundles_keep_order_and_time() -> None:
    first, second = encode_message("/a", [1]), encode_message("/b", [])
    inner = bundle(second, timetag=timetag(1_800_000_000.5))
    assert parse_datagram(bundle(first, inner, second)) == [
        ("/a", [1], None),
        ("/b", [], 1_800_000_000.5),
        ("/b", [], None),
    ]


def drain_until(endpoint: OscEndpoint, wanted: int, *, seconds: float = 5.0) -> list[bytes]:
    """What has come, once that is ``wanted`` datagrams or the time has passed."""
    came: list[bytes] = []
    deadline = time.monotonic() + seconds
    while True:
        endpoint.drain()
        while (datagram := endpoint.next()) is not None:
            came.append(datagram.data)
        if len(came) >= wanted or time.monotonic() >= deadline:
            return came


def test_largest_datagram_arrives_whole() -> None:
    endpoint = OscEndpoint("127.0.0.1", 0)
    client = OscClient(endpoint.address)
    try:
        data = bytes(range(256)) * (MAX_DATAGRAM_BYTES // 256)
        client.send_bytes(data)
        assert drain_until(endpoint, 1) == [data]
    finally:
        client.close()
        endpoint.close()


def test_truth_is_sent_as_numbers() -> None:
    """Pure Data drops what is typed T or F, and what comes after it moves up."""
    endpoint = OscEndpoint("127.0.0.1", 0)
    listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(5.0)
        endpoint.send(listener.getsockname(), "/a", [True, False, 1.5])
        assert listener.recv(100) == b"/a\0\0,iif\0\0\0\0" + struct.pack(">iif", 1, 0, 1.5)
    finally:
        listener.close()
        endpoint.close()


def test_a_client_that_floods_keeps_only_itself_waiting() -> None:
    seconds = itertools.count()  # a clock that leaves time for all
    endpoint = OscEndpoint("127.0.0.1", 0, clock=lambda: float(next(seconds)))
    flooding, other = OscClient(endpoint.address), OscClient(endpoint.address)
    try:
        for _ in range(2000):
            flooding.send_bytes(b"?")
            flooding.send_bytes(PING)
            endpoint.drain()
        other.send_bytes(b"#")
        endpoint.drain()
        first, second, third = endpoint.next(), endpoint.next(), endpoint.next()
        assert first is not None
        assert second is not None
        assert third is not None
        assert (first.sender, first.data) == (flooding.address, PING)  # its commands before its other bytes
        assert (second.sender, second.data) == (other.address, b"#")
        assert (third.sender, third.data) == (flooding.address, PING)
        left = drain_until(endpoint, 10_000, seconds=0.0)
        assert left.count(PING) == 1998  # no command was dropped
        assert left.count(b"?") + endpoint.dropped_datagrams == 2000
        assert 0 < left.count(b"?") < 2000
    finally:
        flooding.close()
        other.close()
        endpoint.close()


def test_a_flood_is_looked_at_at_a_bounded_rate_and_others_at_once() -> None:
    now = 0.0
    endpoint = OscEndpoint("127.0.0.1", 0, clock=lambda: now)
    flooding, other = OscClient(endpoint.address), OscClient(endpoint.address)
    try:
        for _ in range(3000):
            flooding.send_bytes(PING)
            endpoint.drain()
        at_once = len(drain_until(endpoint, 10_000, seconds=0.0))
        assert 0 < at_once < 1000
        assert (endpoint.pause_seconds() or 0.0) > 0.0
        other.send_bytes(PING)
        endpoint.drain()
        assert endpoint.pause_seconds() == 0.0
        served = endpoint.next()
        assert served is not None
        assert served.sender == other.address
        assert endpoint.next() is None
        looked_at = at_once
        while endpoint.pause_seconds() is not None:
            now += 0.1
            looked_at += len(drain_until(endpoint, 10_000, seconds=0.0))
        assert looked_at == 3000  # late, but none is lost
        assert now > 1.0
    finally:
        flooding.close()
        other.close()
        endpoint.close()


def test_a_client_whose_datagrams_are_dropped_is_told_once_a_second() -> None:
    now = 0.0
    endpoint = OscEndpoint("127.0.0.1", 0, clock=lambda: now)
    flooding = OscClient(endpoint.address)

    def flood() -> None:
        for _ in range(2000):
            flooding.send_bytes(b"?")
            endpoint.drain()

    try:
        flood()
        first = endpoint.dropped_datagrams
        assert first > 0
        assert endpoint.tell_busy() == [(flooding.address, first)]
        flood()
        now = 0.9
        assert endpoint.tell_busy() == []
        now = 1.0
        assert endpoint.tell_busy() == [(flooding.address, endpoint.dropped_datagrams - first)]  # none is left out
        assert endpoint.tell_busy() == []
    finally:
        flooding.close()
        endpoint.close()


def test_answers_go_to_the_sender_from_the_servers_port() -> None:
    endpoint = OscEndpoint("127.0.0.1", 0)
    client = OscClient(endpoint.address)  # connected: it receives from this port only
    try:
        endpoint.send(client.address, "/melnet/pong", [1, 0.5, "a", True])
        message = client.receive(5.0)
        assert message is not None
        assert message == ("/melnet/pong", [1, 0.5, "a", True], None)
    finally:
        client.close()
        endpoint.close()


def test_unreachable_clients_are_no_error() -> None:
    endpoint = OscEndpoint("127.0.0.1", 0)
    endpoint.send(("127.0.0.1", 0), "/melnet/pong", [])
    endpoint.send(("255.255.255.255", 9), "/melnet/pong", ["x" * 100_000])
    endpoint.close()


def test_port_in_use_is_a_clear_error() -> None:
    endpoint = OscEndpoint("127.0.0.1", 0)
    try:
        with pytest.raises(ValueError, match=rf"port {endpoint.address[1]} .* is in use"):
            OscEndpoint("127.0.0.1", endpoint.address[1])
    finally:
        endpoint.close()


@pytest.mark.parametrize(("host", "port"), [("127.0.0.1", 70_000), ("192.0.2.1", 0), ("no such host.", 0)])
def test_impossible_addresses_are_clear_errors(host: str, port: int) -> None:
    with pytest.raises(ValueError, match="cannot be bound"):
        OscEndpoint(host, port)


@given(st.lists(st.floats(0, 10)), st.floats(0, 10))
def test_due_queue_gives_what_is_due_in_order(dues: list[float], now: float) -> None:
    queue: TimedBundles[tuple[float, int]] = TimedBundles(len(dues))
    for serial, due in enumerate(dues):
        assert queue.put(due, (due, serial))
    popped = []
    while (item := queue.pop_due(now)) is not None:
        popped.append(item)
    expected = sorted((due, serial) for serial, due in enumerate(dues))
    assert popped == [item for item in expected if item[0] <= now]
    assert queue.clear() == [item for item in expected if item[0] > now]


def test_due_queue_is_bounded() -> None:
    queue: TimedBundles[str] = TimedBundles(1)
    assert queue.put(1.0, "a")
    assert not queue.put(0.0, "b")
    assert queue.next_due_seconds == 1.0
