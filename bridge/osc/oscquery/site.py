"""What a web page beside OSCQuery has to offer for its port to serve it: files, and talk over websockets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True)
class WebFile:
    """An answer to a GET."""

    content_type: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    """Besides those of every answer."""


class Visitor(Protocol):
    """A websocket of the page. Belongs to the event loop's thread."""

    @property
    def unread_bytes(self) -> int:
        """Of what was sent, what its network has not taken yet."""

    def send(self, data: bytes) -> None:
        """Send a binary message without waiting; who leaves too much unread is dropped."""

    def messages(self) -> AsyncIterator[str | bytes]:
        """What it sends, until it is gone."""


class Site(Protocol):
    """A page, and what it talks to. All methods belong to the event loop's thread."""

    socket_path: str
    """Where its websockets are opened."""

    def file(self, path: str, host: str, accept: str) -> WebFile | None:
        """The file at a path; None: there is none.

        Args:
            host: the Host header, which was checked.
            accept: the Accept header.
        """

    async def serve(self, visitor: Visitor) -> None:
        """Talk to a visitor until it is gone. May be cancelled."""

    async def run(self) -> None:
        """What is done for all visitors together, until cancelled."""
