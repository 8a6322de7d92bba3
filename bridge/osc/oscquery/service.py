"""OSCQuery beside the daemon: one TCP port for HTTP and websocket, served by a thread of its own.

The daemon's own thread never waits for it: they share nothing but the values of the properties.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import threading
from concurrent.futures import Future

from bridge.osc.oscquery.access import Access
from bridge.osc.oscquery.site import Site
from bridge.osc.udp_server import Address
from bridge.protocol.property_values import PropertyValues

_LOG = logging.getLogger(__name__)

_SEND_BUFFER_BYTES = 16 << 10  # a client that does not read is noticed soon
_STOP_DEADLINE_SECONDS = 3.0


class OscQuery:
    """All methods belong to the thread that made it."""

    def __init__(
        self,
        host: str,
        port: int,
        access: Access,
        osc_port: int,
        property_values: PropertyValues,
        site: Site | None = None,
    ) -> None:
        """Bind the TCP port; 0 lets the system choose one.

        Args:
            osc_port: the UDP port that clients are told.
            site: is served on the same port, by the same rules.

        Raises:
            ValueError: the port is in use, or the host is not one of this machine's.
        """
        try:
            self._socket = socket.create_server((host, port))
        except (OSError, OverflowError) as error:
            reason = "is in use" if getattr(error, "errno", None) == errno.EADDRINUSE else f"cannot be bound: {error}"
            raise ValueError(f"TCP port {port} on {host} {reason}; choose another with --oscquery-port") from error
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        self.address: Address = self._socket.getsockname()
        self._access = access
        self._osc_port = osc_port
        self._property_values = property_values
        self._site = site
        self._stop: Future[None] = Future()
        # a thread that hangs must not keep the daemon from ending
        self._thread = threading.Thread(target=self._run, name="oscquery", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Close the websockets, and stop."""
        self._stop.set_result(None)
        if self._thread.ident is not None:
            self._thread.join(_STOP_DEADLINE_SECONDS)
        self._socket.close()

    def _run(self) -> None:
        try:
            from bridge.osc.oscquery.server import serve_until  # slow to import, and the daemon must answer at once

            asyncio.run(
                serve_until(self._stop, self._socket, self._access, self._osc_port, self._property_values, self._site)
            )
        except Exception:  # the music goes on without it
            _LOG.exception("OSCQuery has ended")
