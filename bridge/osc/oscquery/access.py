"""Which requests OSCQuery answers: those that name a host it knows, and websockets of an origin that is allowed.

A web page in a browser on this machine can reach ports of this machine. The Host header keeps it out where its own name
was made to point here (DNS rebinding); the Origin header where it opens a websocket, which browsers let it do to any
host. Pure, apart from asking the system for its name.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable, Sequence
from ipaddress import IPv6Address, ip_address

from bridge.protocol.errors import shown

_LOCALHOST = "localhost"
NULL_ORIGIN = "null"
"""What browsers send for a page without an origin, such as a local file."""
_HOST = re.compile(r"(\[[0-9a-z:.%]+\]|[^\s:/@\[\]]+)(?::(\d{0,5}))?", re.IGNORECASE)
_ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://([^\s/]*)", re.IGNORECASE)
_DEFAULT_PORTS = {"http": "80", "https": "443"}


class Access:
    """Never changes, so that any thread may ask."""

    def __init__(self, bound_host: str, hosts: Iterable[str] = (), origins: Iterable[str] = ()) -> None:
        """
        Args:
            bound_host: the address or name that the port is bound to.
            hosts: further names or addresses, without port, by which clients may call this machine.
            origins: from which web pages may open websockets and read answers, such as ``http://localhost:3000``.

        Raises:
            ValueError: one of them is not written as it must be.
        """
        self._hosts = {_LOCALHOST, *(_checked_host(host) for host in hosts)}
        self._origins = frozenset(_checked_origin(origin) for origin in origins)
        bound = _plain_host(bound_host)
        if not _is_loopback(bound):
            name = socket.gethostname()
            self._hosts |= {_plain_host(name), _plain_host(f"{name}.local")}
        if not _is_unspecified(bound):
            self._hosts.add(bound)

    def host_refusal(self, headers: Sequence[str], reached: str) -> str | None:
        """Why a request with these Host headers is not answered; None: it is.

        Args:
            headers: the values of all Host headers.
            reached: the address of this machine that the client has connected to.
        """
        if len(headers) != 1:
            return f"{len(headers)} Host headers came, want one with this machine's name or address"
        match = _HOST.fullmatch(headers[0].strip())
        host = _plain_host(match[1]) if match and int(match[2] or 0) <= 0xFFFF else None
        if host and (host in self._hosts or host == _plain_host(reached) or _is_loopback(host)):
            return None
        name = host or "NAME"
        return (
            f"the host {shown(headers[0])} is not known here: use this machine's address, or start the daemon with "
            f"`serve --oscquery-host {name[:64]}`"
        )

    def origin_refusal(self, headers: Sequence[str], host: str) -> str | None:
        """Why a websocket with these Origin headers is not opened; None: it is.

        Args:
            headers: the values of all Origin headers; programs that are no browsers send none.
            host: the Host header.
        """
        if not headers:
            return None
        if len(headers) > 1:
            return f"{len(headers)} Origin headers came, want one at most"
        if _plain_origin(headers[0]) == _plain_origin(f"http://{host}") or self.allows(headers):
            return None
        return (
            f"pages of {shown(headers[0])} may open no websocket here; to let them, start the daemon with "
            f"`serve --oscquery-origin {headers[0][:64]}`"
        )

    def allows(self, headers: Sequence[str]) -> bool:
        """Whether the origin is one of those that were named."""
        return len(headers) == 1 and _plain_origin(headers[0]) in self._origins


def _checked_host(host: str) -> str:
    match = _HOST.fullmatch(host)
    if _is_address(host) or (match and match[2] is None):
        return _plain_host(host)
    raise ValueError(f"--oscquery-host is {host!r}, want a name or an address without port, such as studio.local")


def _checked_origin(origin: str) -> str:
    if origin == NULL_ORIGIN or _ORIGIN.fullmatch(origin):
        return _plain_origin(origin)
    raise ValueError(
        f"--oscquery-origin is {origin!r}, want a scheme and a host without path, such as http://localhost:3000, or "
        f"{NULL_ORIGIN}"
    )


def _plain_host(host: str) -> str:
    """One spelling of a name or an address: IPv6 without brackets and zone, names without a dot at their end."""
    bare = host.removeprefix("[").removesuffix("]").partition("%")[0].lower()
    if not _is_address(bare):
        return bare.removesuffix(".")
    address = ip_address(bare)
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)


def _plain_origin(origin: str) -> str:
    """One spelling of an origin: without the port that its scheme has anyway."""
    plain = origin.strip().lower()
    match = _ORIGIN.fullmatch(plain)
    return plain.removesuffix(f":{_DEFAULT_PORTS.get(match[1], '')}") if match else plain


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    return host == _LOCALHOST or (_is_address(host) and ip_address(host).is_loopback)


def _is_unspecified(host: str) -> bool:
    return _is_address(host) and ip_address(host).is_unspecified
