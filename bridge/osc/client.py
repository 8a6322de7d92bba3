"""An OSC client of the daemon, for the command line and the tests."""

from __future__ import annotations

import socket
from collections.abc import Iterable

from bridge.osc.datagrams import MAX_DATAGRAM_BYTES, Message, encode_message, parse_datagram
from bridge.osc.udp_server import Address
from bridge.protocol.types import Value


class OscClient:
    """A client with one socket, which sends to a daemon and reads its answers."""

    def __init__(self, daemon: Address) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.connect(daemon)
        self.address: Address = self._socket.getsockname()

    def send(self, address: str, values: Iterable[Value] = ()) -> None:
        self.send_bytes(encode_message(address, values))

    def send_bytes(self, data: bytes) -> None:
        self._socket.send(data)

    def receive(self, timeout_seconds: float) -> Message | None:
        """The next answer, or None when the time has passed."""
        self._socket.settimeout(max(timeout_seconds, 1e-6))
        try:
            return parse_datagram(self._socket.recv(MAX_DATAGRAM_BYTES))[0]
        except (TimeoutError, ConnectionRefusedError):
            return None

    def close(self) -> None:
        self._socket.close()
