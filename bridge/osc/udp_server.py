"""The daemon's UDP socket: datagrams in, client by client at a bounded rate; messages out."""

from __future__ import annotations

import errno
import logging
import socket
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

from bridge.osc.datagrams import BUNDLE_HEADER, MAX_DATAGRAM_BYTES, encode_message
from bridge.protocol.types import NAMESPACE, Value

_LOG = logging.getLogger(__name__)

Address: TypeAlias = tuple[str, int]
"""Host and port of a client."""

_RECEIVE_BUFFER_BYTES = 4 << 20
_DRAINED_AT_ONCE = 4096
_MOST_CLIENTS = 256  # with datagrams that are not read yet
_READ_PER_SECOND = 2000.0
"""Datagrams of one client: more than any player sends, a fraction of what one core can read."""
_READ_AT_ONCE = 256.0
_PAUSE_SECONDS = 0.005
_BYTES_PER_CLIENT = 32 << 20  # some 100,000 short datagrams
_DATAGRAM_OVERHEAD_BYTES = 128
_OTHERS_PER_CLIENT = 512
_BUSY_TOLD_EVERY_SECONDS = 1.0


@dataclass(frozen=True)
class Datagram:
    """One datagram as it came."""

    sender: Address
    data: bytes


class _Inbox:
    """Datagrams of one client that are not read yet; commands come before other bytes."""

    def __init__(self, now: float) -> None:
        self._allowance = _READ_AT_ONCE
        self._refilled_at = now
        self.commands: deque[bytes] = deque()
        self.others: deque[bytes] = deque()
        self.queued_bytes = 0

    def put(self, data: bytes, *, is_command: bool) -> bool:
        """False: it is full."""
        if self.queued_bytes > _BYTES_PER_CLIENT or (not is_command and len(self.others) >= _OTHERS_PER_CLIENT):
            return False
        (self.commands if is_command else self.others).append(data)
        self.queued_bytes += len(data) + _DATAGRAM_OVERHEAD_BYTES
        return True

    def pop(self) -> bytes:
        data = (self.commands or self.others).popleft()
        self._allowance -= 1.0
        self.queued_bytes -= len(data) + _DATAGRAM_OVERHEAD_BYTES
        return data

    def may_pop(self, now: float) -> bool:
        """Whether another datagram of this client may be read already."""
        self._allowance = min(_READ_AT_ONCE, self._allowance + (now - self._refilled_at) * _READ_PER_SECOND)
        self._refilled_at = now
        return self._allowance >= 1.0

    def __bool__(self) -> bool:
        return bool(self.commands or self.others)


class OscEndpoint:
    """The daemon's UDP socket. One thread owns it; nothing here blocks.

    ``drain`` empties the kernel's short queue into one inbox per client, and ``next`` reads them round robin, each
    at a bounded rate: a client that floods the daemon delays only itself, and leaves the processor to the player.
    """

    def __init__(self, host: str, port: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Bind the port; 0 lets the system choose one.

        Raises:
            ValueError: the port is in use, or the host is not one of this machine's.
        """
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
        self.socket.setblocking(False)
        try:
            self.socket.bind((host, port))
        except (OSError, OverflowError) as error:
            self.socket.close()
            reason = "is in use" if getattr(error, "errno", None) == errno.EADDRINUSE else f"cannot be bound: {error}"
            raise ValueError(f"UDP port {port} on {host} {reason}; choose another with --osc-port") from error
        self.address: Address = self.socket.getsockname()
        self._buffer = memoryview(bytearray(MAX_DATAGRAM_BYTES))
        self._clock = clock
        self._inboxes: OrderedDict[Address, _Inbox] = OrderedDict()
        self._command_starts = (f"{NAMESPACE}/".encode(), BUNDLE_HEADER)
        self.dropped_datagrams = 0
        """Datagrams for which their client's inbox had no room."""
        self._dropped_of: dict[Address, int] = {}
        """The same, for each client that is not told yet."""
        self._told_busy_at: dict[Address, float] = {}

    def pause_seconds(self) -> float | None:
        """How long `next` will return nothing: 0 if there is something now, None until something arrives."""
        if not self._inboxes:
            return None
        now = self._clock()
        return 0.0 if any(inbox.may_pop(now) for inbox in self._inboxes.values()) else _PAUSE_SECONDS

    def drain(self) -> None:
        """Move what has arrived into the inboxes."""
        for _ in range(_DRAINED_AT_ONCE):
            try:
                size, sender = self.socket.recvfrom_into(self._buffer)
            except BlockingIOError:
                return
            except OSError as error:  # Windows reports a client's closed port here
                _LOG.debug("receiving: %s", error)
                continue
            data = bytes(self._buffer[:size])
            inbox = self._inboxes.get(sender)
            if inbox is None and len(self._inboxes) < _MOST_CLIENTS:
                inbox = self._inboxes[sender] = _Inbox(self._clock())
            if inbox is None or not inbox.put(data, is_command=data.startswith(self._command_starts)):
                self.dropped_datagrams += 1
                if inbox is not None:  # senders beyond the limit may be forged: they get no answer
                    self._dropped_of[sender] = self._dropped_of.get(sender, 0) + 1

    def tell_busy(self) -> list[tuple[Address, int]]:
        """Clients that are to be told now how many of their datagrams were dropped: each once a second at most."""
        if not self._dropped_of:
            return []
        now = self._clock()
        self._told_busy_at = {
            client: at for client, at in self._told_busy_at.items() if now - at < _BUSY_TOLD_EVERY_SECONDS
        }
        told = [each for each in self._dropped_of.items() if each[0] not in self._told_busy_at]
        for client, _ in told:
            del self._dropped_of[client]
            self._told_busy_at[client] = now
        return told

    def next(self) -> Datagram | None:
        """The next datagram to carry out, or None."""
        now = self._clock()
        sender = next((each for each, inbox in self._inboxes.items() if inbox.may_pop(now)), None)
        if sender is None:
            return None
        inbox = self._inboxes.pop(sender)
        datagram = Datagram(sender, inbox.pop())
        if inbox:
            self._inboxes[sender] = inbox
        return datagram

    def send(self, to: Address, address: str, values: Iterable[Value]) -> None:
        """Send one message; that a client cannot be reached is logged, never raised.

        Booleans travel as 0 and 1: Pure Data drops what is typed T or F, and would take the next key for the value.
        """
        plain = [int(value) if isinstance(value, bool) else value for value in values]
        try:
            self.socket.sendto(encode_message(address, plain), to)
        except OSError as error:
            _LOG.info("cannot answer %s:%d: %s", *to, error)

    def close(self) -> None:
        self.socket.close()
