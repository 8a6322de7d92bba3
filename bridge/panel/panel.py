"""The panel as a site of OSCQuery's port: its page, and its websockets.

A panel sends OSC packets, which go to the daemon as datagrams of a socket of its own; what the daemon answers comes
back the same way. Besides, all panels are sent the news and the sound. Who does not read gets fewer pictures of the
sound, in time loses the place, and holds up nobody.
"""

from __future__ import annotations

import asyncio

from bridge.osc.oscquery.site import Visitor, WebFile
from bridge.osc.udp_server import Address
from bridge.panel.daemon_link import DaemonLink
from bridge.panel.news import News
from bridge.panel.page_files import INDEX, PREFIX, page_headers, read_page_files
from bridge.panel.sound_view import SoundView

MOST_PICTURES_PER_SECOND = 30
"""Messages of columns that a panel is sent."""
MOST_SENT_PER_SECOND = 500
"""To all panels together: with more of them, each message has more columns."""
_MESSAGES_AT_ONCE = 25.0
_MESSAGES_PER_SECOND = 40.0
"""That a panel may send: more than a hand can move a slider by."""


class _Pace:
    """How fast a panel may send."""

    def __init__(self, now: float) -> None:
        self._allowance, self._filled_at = _MESSAGES_AT_ONCE, now

    def wait_seconds(self, now: float) -> float:
        """How long to wait before the next message is read."""
        refill = (now - self._filled_at) * _MESSAGES_PER_SECOND
        self._allowance = min(_MESSAGES_AT_ONCE, self._allowance + refill) - 1.0
        self._filled_at = now
        return max(0.0, -self._allowance / _MESSAGES_PER_SECOND)


class Panel:
    """See `Site`. Belongs to the event loop's thread."""

    socket_path = f"{PREFIX}socket"

    def __init__(self, daemon: Address, view: SoundView) -> None:
        """``daemon``: its OSC port."""
        self._daemon, self._view = daemon, view
        self._files = read_page_files()
        self._visitors: set[Visitor] = set()
        self._news = News(daemon, self._publish, view.device_time, lambda: bool(self._visitors))

    def file(self, path: str, host: str, accept: str) -> WebFile | None:
        """The page is at ``/`` too, for those that ask for a page: the others get OSCQuery's root node."""
        name = path.removeprefix(PREFIX).partition("?")[0] if path.startswith(PREFIX) else None
        if name == "" or (path == "/" and "text/html" in accept):
            name = INDEX
        file = self._files.get(name) if name else None
        return WebFile(file.content_type, file.body, page_headers(host)) if file else None

    async def run(self) -> None:
        """Send sound and news to all panels, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._news.run())
            tasks.create_task(self._send_sound())

    async def _send_sound(self) -> None:
        while True:
            pause_seconds = max(1 / MOST_PICTURES_PER_SECOND, len(self._visitors) / MOST_SENT_PER_SECOND)
            await asyncio.sleep(pause_seconds)
            picture = self._view.look() if self._visitors else None
            if picture:
                for visitor in self._visitors:
                    if not visitor.unread_bytes:
                        visitor.send(picture)

    def _publish(self, message: bytes) -> None:
        for visitor in self._visitors:
            visitor.send(message)

    async def serve(self, visitor: Visitor) -> None:
        """Pass on what a panel sends, and the answers, until it is gone."""
        link = await DaemonLink.open(self._daemon, visitor.send)
        for known in self._news.known():
            visitor.send(known)
        self._visitors.add(visitor)
        clock = asyncio.get_running_loop().time
        pace = _Pace(clock())
        try:
            async for message in visitor.messages():
                if isinstance(message, bytes):
                    link.send(message)
                await asyncio.sleep(pace.wait_seconds(clock()))
        finally:
            self._visitors.discard(visitor)
            link.close()
