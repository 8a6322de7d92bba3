"""OSC over UDP: datagrams in, checked for shape and cut into messages; messages out.

python-osc parses single messages and builds all; it dispatches nothing. Bundles are walked here, because
python-osc loops for ever on an element of negative size, recurses without limit into nested bundles, and
its dispatcher sleeps in the server thread until a bundle's time has come.
"""

from __future__ import annotations

import errno
import logging
import socket
import struct
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import OscMessageBuilder

from bridge.protocol.types import NAMESPACE, Value

_LOG = logging.getLogger(__name__)

Address: TypeAlias = tuple[str, int]
"""Host and port of a client."""

MAX_DATAGRAM_BYTES = 65_507
_RECEIVE_BUFFER_BYTES = 4 << 20
_DRAINED_AT_ONCE = 4096
_MOST_CLIENTS = 256  # with something waiting
_LOOKED_AT_A_SECOND = 2000.0
"""Datagrams of one client: more than any player sends, a fraction of what one core can read."""
_LOOKED_AT_AT_ONCE = 256.0
_PAUSE_SECONDS = 0.005
_HELD_BYTES_A_CLIENT = 32 << 20  # some 100,000 short datagrams
_DATAGRAM_OVERHEAD_BYTES = 128
_OTHERS_HELD_A_CLIENT = 512
_BUSY_TOLD_EVERY_SECONDS = 1.0
_HEADER = b"#bundle\0"
_IMMEDIATELY = 1
_NTP_TO_UNIX_SECONDS = 2_208_988_800
_MAX_DEPTH = 8
_MAX_ARGUMENTS = 64
_TYPE_TAGS = frozenset(b"ihfdsbrmtTFN[]")


class MalformedDatagram(ValueError):  # noqa: N818 - what it is, not that it is an error
    """The bytes are no OSC message or bundle."""


class Message(NamedTuple):
    """One OSC message. ``due_unix_seconds`` is the timetag of the bundle it came in; None: now."""

    address: str
    values: list[object]
    due_unix_seconds: float | None


@dataclass(frozen=True)
class Datagram:
    """One datagram as it came."""

    sender: Address
    data: bytes


def parse_datagram(data: bytes) -> list[Message]:
    """All messages of a datagram, in order.

    Raises:
        MalformedDatagram: any part of it is not OSC; then none of it counts.
    """
    try:
        return list(_messages(data, None, _MAX_DEPTH))
    except MalformedDatagram:
        raise
    except Exception as error:  # python-osc lets struct, unicode and index errors through
        raise MalformedDatagram(f"not OSC: {error}") from error


def _messages(data: bytes, due: float | None, depth: int) -> Iterator[Message]:
    if not data.startswith(_HEADER):
        yield _message(data, due)
        return
    if depth == 0:
        raise MalformedDatagram(f"bundles are nested more than {_MAX_DEPTH} deep")
    timetag = struct.unpack_from(">Q", data, len(_HEADER))[0]
    due = None if timetag == _IMMEDIATELY else timetag / 2**32 - _NTP_TO_UNIX_SECONDS
    start = len(_HEADER) + 8
    while start < len(data):
        size = struct.unpack_from(">i", data, start)[0]
        start += 4
        if not 0 < size <= len(data) - start:
            raise MalformedDatagram(f"a bundle element claims {size} bytes, {len(data) - start} are there")
        yield from _messages(data[start : start + size], due, depth - 1)
        start += size


def _message(data: bytes, due: float | None) -> Message:
    if not data.startswith(b"/"):
        raise MalformedDatagram("an OSC message starts with '/', a bundle with '#bundle'")
    address_end = data.find(b"\0")
    tags_start = (address_end // 4 + 1) * 4
    if address_end >= 0 and tags_start < len(data):
        tags = data[tags_start : data.find(b"\0", tags_start)]
        unknown = set(tags[1:]) - _TYPE_TAGS
        if unknown:  # python-osc skips these, and takes their bytes for the next argument's
            raise MalformedDatagram(f"unknown type tag {chr(min(unknown))!r}")
        if len(tags) - 1 > _MAX_ARGUMENTS:
            raise MalformedDatagram(f"{len(tags) - 1} arguments, at most {_MAX_ARGUMENTS} are taken")
    parsed = OscMessage(data)
    return Message(parsed.address, parsed.params, due)


def encode_message(address: str, values: Iterable[Value | None]) -> bytes:
    """The datagram of one message. Integers travel as int32, floats as float32, booleans as T and F, None as nil."""
    builder = OscMessageBuilder(address)
    for value in values:
        builder.add_arg(value.encode("utf-8", "replace").decode() if isinstance(value, str) else value)
    return bytes(builder.build().dgram)


class _Inbox:
    """What one client has sent and nobody has looked at yet; commands before other bytes."""

    def __init__(self, now: float) -> None:
        self._allowance = _LOOKED_AT_AT_ONCE
        self._refilled_at = now
        self.commands: deque[bytes] = deque()
        self.others: deque[bytes] = deque()
        self.held_bytes = 0

    def put(self, data: bytes, *, is_command: bool) -> bool:
        """False: it is full."""
        if self.held_bytes > _HELD_BYTES_A_CLIENT or (not is_command and len(self.others) >= _OTHERS_HELD_A_CLIENT):
            return False
        (self.commands if is_command else self.others).append(data)
        self.held_bytes += len(data) + _DATAGRAM_OVERHEAD_BYTES
        return True

    def pop(self) -> bytes:
        data = (self.commands or self.others).popleft()
        self._allowance -= 1.0
        self.held_bytes -= len(data) + _DATAGRAM_OVERHEAD_BYTES
        return data

    def may_pop(self, now: float) -> bool:
        """Whether another datagram of this client's may be looked at already."""
        self._allowance = min(_LOOKED_AT_AT_ONCE, self._allowance + (now - self._refilled_at) * _LOOKED_AT_A_SECOND)
        self._refilled_at = now
        return self._allowance >= 1.0

    def __bool__(self) -> bool:
        return bool(self.commands or self.others)


class OscEndpoint:
    """The daemon's UDP socket. One thread owns it; nothing here blocks.

    ``drain`` empties the kernel's short queue into one inbox a client, and ``next`` serves the clients in turn,
    each at a bounded rate: a client that floods the daemon keeps only itself waiting, and the player keeps the
    processor.
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
        self._command_starts = (f"{NAMESPACE}/".encode(), _HEADER)
        self.dropped_datagrams = 0
        """Datagrams for which their client's inbox had no room."""
        self._dropped_of: dict[Address, int] = {}
        """The same, of each client that is not told of it yet."""
        self._told_busy_at: dict[Address, float] = {}

    def pause_seconds(self) -> float | None:
        """How long `next` will return nothing: 0 if there is something now, None until something arrives."""
        if not self._inboxes:
            return None
        now = self._clock()
        return 0.0 if any(inbox.may_pop(now) for inbox in self._inboxes.values()) else _PAUSE_SECONDS

    def drain(self) -> None:
        """Take in what has arrived."""
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
                if inbox is not None:  # whoever sends from many ports at once is not answered: they may be forged
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
        """The next datagram to look at, or None."""
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
        """Send one message; a client that cannot be reached is logged, never raised."""
        try:
            self.socket.sendto(encode_message(address, values), to)
        except OSError as error:
            _LOG.info("cannot answer %s:%d: %s", *to, error)

    def close(self) -> None:
        self.socket.close()


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
