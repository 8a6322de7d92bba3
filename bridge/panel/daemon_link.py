"""A UDP socket to the daemon, in an event loop: what a panel sends goes the way of every OSC client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Self

from bridge.osc.udp_server import Address

_EVERY_ADDRESS = "0.0.0.0"
_LOOPBACK = "127.0.0.1"


class DaemonLink(asyncio.DatagramProtocol):
    """Belongs to the event loop's thread."""

    def __init__(self, receive: Callable[[bytes], None]) -> None:
        self._receive = receive
        self._transport: Any = None

    @classmethod
    async def open(cls, daemon: Address, receive: Callable[[bytes], None]) -> Self:
        """Connect a socket of its own; ``receive`` is called with each datagram that the daemon sends to it."""
        host, port = daemon
        remote = (_LOOPBACK if host == _EVERY_ADDRESS else host, port)
        _, link = await asyncio.get_running_loop().create_datagram_endpoint(lambda: cls(receive), remote_addr=remote)
        return link

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the event loop."""
        self._transport = transport

    def datagram_received(self, data: bytes, addr: object) -> None:
        """Called by the event loop."""
        self._receive(data)

    def error_received(self, exc: Exception) -> None:
        """The daemon is stopping: the page notices that by itself."""

    def send(self, datagram: bytes) -> None:
        """Send OSC to the daemon, without waiting."""
        self._transport.sendto(datagram)

    def close(self) -> None:
        """Close the socket; nothing is received any more."""
        self._transport.close()
