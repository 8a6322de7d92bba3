"""Where a client's answers go: to the port that it sends from, to another one of its machine, or to a host that
`serve --reply-host` names.

Other hosts are refused: answers must not flood a machine that did not ask for them.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence

from bridge.osc.udp_server import Address
from bridge.protocol.errors import CommandError, shown

_MOST = 256
"""Clients whose answers go elsewhere; the oldest are forgotten."""


class ReplyAddresses:
    """Belongs to the daemon's one thread."""

    def __init__(self, hosts: Mapping[str, str]) -> None:
        """``hosts`` are those of ``--reply-host``, each with its IPv4 address."""
        self._hosts = {**hosts, **{address: address for address in hosts.values()}}
        self._elsewhere: dict[Address, Address] = {}

    def of(self, sender: Address) -> Address:
        """Where this sender's answers go."""
        return self._elsewhere.get(sender, sender)

    def redirect(self, sender: Address, port: int, host: str | None) -> None:
        """Send a sender's answers to another port of its machine, or of a named host; 0: back to where it sends from.

        Raises:
            CommandError: the host was not named, or comes without a port; then nothing is changed.
        """
        if host is not None and not port:
            raise CommandError("out_of_range", "port 0 is the one that you send from: give no host with it")
        machine = sender[0] if host in (None, sender[0]) else self._hosts.get(str(host))
        if machine is None:
            named = f"named are {', '.join(self._hosts)}" if self._hosts else "none is named"
            raise CommandError(
                "refused",
                f"answers go to your own machine, or to a host that `serve --reply-host HOST` names ({named}), got "
                f"{shown(host)}",
            )
        self._elsewhere.pop(sender, None)
        if port:
            while len(self._elsewhere) >= _MOST:
                del self._elsewhere[next(iter(self._elsewhere))]
            self._elsewhere[sender] = machine, port


def resolve_hosts(names: Sequence[str]) -> dict[str, str]:
    """The IPv4 addresses of hosts, by name. Asks the network: before the daemon serves.

    Raises:
        ValueError: one is not known.
    """
    found = {}
    for name in names:
        try:
            found[name] = socket.gethostbyname(name)
        except (OSError, UnicodeError) as error:
            raise ValueError(f"--reply-host {name!r} is not known ({error}): give a name or an IPv4 address") from error
    return found
