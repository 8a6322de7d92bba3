"""Answers to whoever asked, where he wants them, and events for all who subscribed."""

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
"""Stands for the sender of what MIDI controllers do; it gets no answers, and subscribers hear of its failures."""
_COMPLAIN_EVERY_SECONDS = 1.0


@dataclass(frozen=True)
class Asked:
    """A command that is not answered to the end yet, and who sent it."""

    sender: Address
    invocation: Invocation

    @property
    def is_job(self) -> bool:
        return self.invocation.command.is_job

    def is_same_job(self, other: Asked) -> bool:
        """Ids are their senders' own."""
        return (self.sender, self.invocation.job_id) == (other.sender, other.invocation.job_id)


class Answers:
    """Belongs to the daemon's one thread; nothing here waits."""

    def __init__(self, send: Send, reply_hosts: Mapping[str, str]) -> None:
        """``reply_hosts``: see `ReplyAddresses`."""
        self._send = send
        self._addresses = ReplyAddresses(reply_hosts)
        self._subscribers: Subscriptions[Address] = Subscriptions(SUBSCRIBERS)
        self._complained_at_seconds = -_COMPLAIN_EVERY_SECONDS

    # --- to whoever asked -------------------------------------------------------------------------------

    def to(self, sender: Address, address: str, values: Iterable[Value]) -> None:
        """Send to whoever sent something, where he wants to be answered."""
        if sender != MIDI:
            self._send(self._addresses.of(sender), address, values)

    def redirect(self, sender: Address, port: int, host: str | None) -> None:
        """Where a sender's answers go from now on. Raises CommandError: see `ReplyAddresses.redirect`."""
        self._addresses.redirect(sender, port, host)

    def reply(self, asked: Asked, values: Sequence[Value]) -> None:
        """What was asked for."""
        self.to(asked.sender, f"{asked.invocation.command.address}.reply", values)

    def answer(self, asked: Asked, answer: str, values: Sequence[Value]) -> None:
        """How it stands with a command, or a job: subscribers hear of everybody's jobs."""
        command = asked.invocation.command.name
        self.to(asked.sender, f"{NAMESPACE}/{answer}", [command, asked.invocation.job_id, *values])
        self._tell_of_job(asked, answer, values)

    def fail(self, asked: Asked, code: FailCode, message: str) -> None:
        """Why a command is not obeyed, or a job not finished."""
        self.fail_to(asked.sender, asked.invocation.command.name, asked.invocation.job_id, code, message)
        self._tell_of_job(asked, "fail", [code, message[:MESSAGE_CHARACTERS]])
        if asked.sender == MIDI:
            self._tell_of_midi(asked, code, message)

    def fail_to(self, to: Address, command: str, job_id: int, code: FailCode, message: str) -> None:
        """The same of what is no command that is known."""
        if len(message) > MESSAGE_CHARACTERS:
            message = f"{message[:MESSAGE_CHARACTERS]}..."
        self.to(to, f"{NAMESPACE}/fail", [command, job_id, code, message])

    # --- to subscribers ---------------------------------------------------------------------------------

    def subscribe(self, sender: Address, seconds: float) -> Address | None:
        """Tell a sender of everything for so long; returns where, if he was no subscriber before.

        Raises:
            CommandError: there are too many.
        """
        subscriber, now = self._addresses.of(sender), time.monotonic()
        is_new = subscriber not in self._subscribers.holders(now)
        if not self._subscribers.grant(subscriber, seconds, now):
            raise CommandError("busy", f"there are {SUBSCRIBERS} subscribers already")
        return subscriber if is_new else None

    def unsubscribe(self, sender: Address) -> None:
        """Tell a sender of nothing more; nothing happens if he was no subscriber."""
        self._subscribers.end(self._addresses.of(sender), time.monotonic())

    def tell(self, what: str, values: Sequence[Value], *, only: Address | None = None) -> None:
        """An event for all subscribers, or for one of them."""
        for subscriber in [only] if only else self._subscribers.holders(time.monotonic()):
            self._send(subscriber, f"{NAMESPACE}/event", [what, *values])

    def _tell_of_job(self, asked: Asked, answer: str, values: Sequence[Value]) -> None:
        """Ids are their senders', so the sender is named too."""
        if asked.is_job:
            self.tell(answer, [*_job_text(asked), *values])

    def _tell_of_midi(self, asked: Asked, code: FailCode, message: str) -> None:
        if not asked.is_job:  # of jobs they are told anyway
            self.tell("fail", [*_job_text(asked), code, message[:MESSAGE_CHARACTERS]])
        now = time.monotonic()
        if now - self._complained_at_seconds >= _COMPLAIN_EVERY_SECONDS:
            self._complained_at_seconds = now
            _LOG.warning("MIDI: %s: %s", asked.invocation.command.name, message)


def flat(named: Mapping[str, Value]) -> list[Value]:
    """Key, value, key, value, as it goes over the wire."""
    return [each for pair in named.items() for each in pair]


def _job_text(asked: Asked) -> list[Value]:
    """Who sent it, what it is and its id."""
    host, port = asked.sender
    return [f"{host}:{port}", asked.invocation.command.name, asked.invocation.job_id]
