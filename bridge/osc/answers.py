"""Answers to clients, at the addresses that they chose, and events for subscribers."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from bridge.osc.reply_addresses import ReplyAddresses
from bridge.osc.subscriptions import Subscriptions
from bridge.osc.udp_server import Address
from bridge.protocol.errors import CommandError, FailCode
from bridge.protocol.types import NAMESPACE, Invocation, Value

_LOG = logging.getLogger(__name__)

Send: TypeAlias = Callable[[Address, str, Iterable[Value]], None]

SUBSCRIBERS = 32
MESSAGE_CHARACTERS = 400
MIDI: Address = ("midi", 0)
"""Stands for the sender of MIDI controllers' commands: it gets no answers, and subscribers are told of its failures."""
SURPRISE: Address = ("surprise", 0)
"""The same for commands that a surprise in what is heard triggers."""
_NOBODY = (MIDI, SURPRISE)
_COMPLAIN_EVERY_SECONDS = 1.0


@dataclass(frozen=True)
class Asked:
    """A command, and the client that sent it and waits for its answers."""

    sender: Address
    invocation: Invocation

    @property
    def is_job(self) -> bool:
        return self.invocation.command.is_job

    def is_same_job(self, other: Asked) -> bool:
        """Clients choose ids, so different clients may use the same."""
        return (self.sender, self.invocation.job_id) == (other.sender, other.invocation.job_id)


class Answers:
    """Belongs to the daemon's one thread; nothing here waits."""

    def __init__(self, send: Send, reply_hosts: Mapping[str, str]) -> None:
        """``reply_hosts``: see `ReplyAddresses`."""
        self._send = send
        self._addresses = ReplyAddresses(reply_hosts)
        self._subscribers: Subscriptions[Address] = Subscriptions(SUBSCRIBERS)
        self._complained_at_seconds = -_COMPLAIN_EVERY_SECONDS

    # --- to one client -------------------------------------------------------------------------------

    def to(self, sender: Address, address: str, values: Iterable[Value]) -> None:
        """Send a message to where a client wants its answers."""
        if sender not in _NOBODY:
            self._send(self._addresses.of(sender), address, values)

    def redirect(self, sender: Address, port: int, host: str | None) -> None:
        """Send a client's answers elsewhere from now on. Raises CommandError: see `ReplyAddresses.redirect`."""
        self._addresses.redirect(sender, port, host)

    def reply(self, asked: Asked, values: Sequence[Value]) -> None:
        """Send the values that a query asked for."""
        self.to(asked.sender, f"{asked.invocation.command.address}.reply", values)

    def answer(self, asked: Asked, answer: str, values: Sequence[Value]) -> None:
        """Send an answer to a command; subscribers receive the answers of all jobs."""
        command = asked.invocation.command.name
        self.to(asked.sender, f"{NAMESPACE}/{answer}", [command, asked.invocation.job_id, *values])
        self._tell_of_job(asked, answer, values)

    def fail(self, asked: Asked, code: FailCode, message: str) -> None:
        """Say why a command is not carried out, or a job not finished."""
        self.fail_to(asked.sender, asked.invocation.command.name, asked.invocation.job_id, code, message)
        self._tell_of_job(asked, "fail", [code, message[:MESSAGE_CHARACTERS]])
        if asked.sender in _NOBODY:
            self._tell_of_midi(asked, code, message)

    def fail_to(self, to: Address, command: str, job_id: int, code: FailCode, message: str) -> None:
        """The same where there is no known command."""
        if len(message) > MESSAGE_CHARACTERS:
            message = f"{message[:MESSAGE_CHARACTERS]}..."
        self.to(to, f"{NAMESPACE}/fail", [command, job_id, code, message])

    # --- to subscribers ---------------------------------------------------------------------------------

    def subscribe(self, sender: Address, seconds: float) -> Address | None:
        """Send events to a client for so many seconds; returns their address if it was no subscriber before.

        Raises:
            CommandError: there are too many.
        """
        subscriber, now = self._addresses.of(sender), time.monotonic()
        is_new = subscriber not in self._subscribers.holders(now)
        if not self._subscribers.grant(subscriber, seconds, now):
            raise CommandError("busy", f"there are {SUBSCRIBERS} subscribers already")
        return subscriber if is_new else None

    def unsubscribe(self, sender: Address) -> None:
        """Send a client no more events; nothing happens if it was no subscriber."""
        self._subscribers.end(self._addresses.of(sender), time.monotonic())

    def tell(self, what: str, values: Sequence[Value], *, only: Address | None = None) -> None:
        """Send an event to all subscribers, or to one of them."""
        for subscriber in [only] if only else self._subscribers.holders(time.monotonic()):
            self._send(subscriber, f"{NAMESPACE}/event", [what, *values])

    def _tell_of_job(self, asked: Asked, answer: str, values: Sequence[Value]) -> None:
        """Clients choose ids, so the sender is named too."""
        if asked.is_job:
            self.tell(answer, [*_job_text(asked), *values])

    def _tell_of_midi(self, asked: Asked, code: FailCode, message: str) -> None:
        if not asked.is_job:  # answers of jobs are sent anyway
            self.tell("fail", [*_job_text(asked), code, message[:MESSAGE_CHARACTERS]])
        now = time.monotonic()
        if now - self._complained_at_seconds >= _COMPLAIN_EVERY_SECONDS:
            self._complained_at_seconds = now
            _LOG.warning("MIDI: %s: %s", asked.invocation.command.name, message)


def flat(named: Mapping[str, Value]) -> list[Value]:
    """Keys and values alternating, as OSC sends them."""
    return [each for pair in named.items() for each in pair]


def _job_text(asked: Asked) -> list[Value]:
    """The client's address, the command and its id."""
    host, port = asked.sender
    return [f"{host}:{port}", asked.invocation.command.name, asked.invocation.job_id]
