"""What is told to all panels: events, and where music, tape and machine are, which is asked for them all at once."""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from collections.abc import Callable

from bridge.osc.datagrams import MalformedDatagram, encode_message, parse_datagram
from bridge.osc.udp_server import Address
from bridge.panel.daemon_link import DaemonLink
from bridge.protocol.types import NAMESPACE, Value

KIND_TRANSPORT = 2
"""The first byte of a message that says when it was so."""
STAMP = struct.Struct("<B7xd")
"""Kind, device time. Then the OSC message."""
_ROUND_SECONDS = 0.25
_ROUNDS_A_LOOK = 4
_LEASE_SECONDS = 60.0
_ROUNDS_A_LEASE = 100
_CHANGES_TAPE = ("started", "finished", "handed", "tape", "blank", "sound", "player")
_REMEMBERED_NOTES = 400


class News:
    """One OSC client for all panels. Belongs to the event loop's thread."""

    def __init__(
        self,
        daemon: Address,
        publish: Callable[[bytes], None],
        device_time: Callable[[], float],
        has_readers: Callable[[], bool],
    ) -> None:
        """
        Args:
            publish: is called with each message for all panels.
            device_time: tells what the sound device asks for now; not a number: there is none.
            has_readers: whether there is any panel; else nothing is asked.
        """
        self._daemon, self._publish = daemon, publish
        self._device_time, self._has_readers = device_time, has_readers
        self._link: DaemonLink | None = None
        self._status: bytes | None = None
        self._tape: list[bytes] = []
        self._coming_tape: list[bytes] = []
        self._notes: deque[bytes] = deque(maxlen=_REMEMBERED_NOTES)

    def known(self) -> list[bytes]:
        """What a new panel is told at once."""
        return [*([self._status] if self._status else []), *self._tape, *self._notes]

    async def run(self) -> None:
        """Ask for news while there is anybody to read them, until cancelled."""
        self._link = await DaemonLink.open(self._daemon, self._receive)
        rounds = 0
        try:
            while True:
                if self._has_readers():
                    self._ask(rounds)
                    rounds += 1
                elif rounds:
                    rounds = 0
                    self._send("unsubscribe")
                await asyncio.sleep(_ROUND_SECONDS)
        finally:
            self._link.close()

    def _ask(self, rounds: int) -> None:
        if rounds % _ROUNDS_A_LEASE == 0:
            self._send("subscribe", "lease", _LEASE_SECONDS)
        self._send("transport")
        if rounds % _ROUNDS_A_LOOK == 0:
            self._send("status")
            self._send("tape")

    def _send(self, name: str, *values: Value) -> None:
        if self._link:
            self._link.send(encode_message(f"{NAMESPACE}/{name}", values))

    def _receive(self, datagram: bytes) -> None:
        name = datagram.partition(b"\0")[0].decode("ascii", "replace").removeprefix(f"{NAMESPACE}/")
        match name:
            case "transport.reply":
                self._publish(STAMP.pack(KIND_TRANSPORT, self._device_time()) + datagram)
            case "status.reply":
                self._status = datagram
                self._publish(datagram)
            case "tape.reply":
                self._coming_tape.append(datagram)
            case "done" | "event":
                self._take(name, datagram)

    def _take(self, name: str, datagram: bytes) -> None:
        try:
            (message,) = parse_datagram(datagram)
        except MalformedDatagram:  # an event with more values than are taken: what it tells of is asked for anyway
            return
        what = message.values[0] if message.values else ""
        if name == "event":
            if what == "plan":
                self._notes.append(datagram)
            elif what in _CHANGES_TAPE:
                self._send("tape")
            self._publish(datagram)
        elif what == "tape":
            self._tape, self._coming_tape = [*self._coming_tape, datagram], []
            for each in self._tape:
                self._publish(each)
