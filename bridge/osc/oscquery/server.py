"""The HTTP and websocket server of OSCQuery. All of it runs in one event loop, in one thread.

``GET`` of a path is answered with its node as JSON. A websocket takes ``{"COMMAND": "LISTEN", "DATA": path}`` and
``IGNORE``; the values of what it listens to come as binary OSC messages, the current one at once. What is neither is
passed over: a client's mistakes must not cost the others anything.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from concurrent.futures import Future
from http import HTTPStatus

from websockets.asyncio.server import ServerConnection, broadcast, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from bridge.osc.datagrams import encode_message
from bridge.osc.oscquery.access import Access
from bridge.osc.oscquery.tree import ADDRESS_OF, EXTENSIONS, PROPERTY_AT, answer
from bridge.protocol.property_values import PropertyValues
from bridge.protocol.types import Value

_LOG = logging.getLogger(__name__)

NAME = "melnet-music"
MOST_CLIENTS = 64
"""Connections that are answered at once."""
MOST_WEBSOCKETS = 16
"""Of these; the others are left to short requests."""
MOST_REFUSED = 16
"""Connections beyond, which are told that there are too many; those beyond these are closed."""
_MOST_UNREAD_BYTES = 16 << 10
"""Of one websocket; a client that leaves more unread is dropped."""
_MOST_COMMAND_BYTES = 4096
_BETWEEN_COMMANDS_SECONDS = 0.001
"""Of one websocket: a client that floods the server must not keep the processor."""
_OPEN_DEADLINE_SECONDS = 5.0
_CLOSE_DEADLINE_SECONDS = 1.0


async def serve_until(
    stop: Future[None], listener: socket.socket, access: Access, osc_port: int, property_values: PropertyValues
) -> None:
    """Serve on a listening socket until ``stop``, which any thread may set, is done."""
    server = _Server(access, osc_port, property_values)
    loop = asyncio.get_running_loop()
    async with serve(
        server.serve_websocket,
        sock=listener,
        process_request=server.answer,
        create_connection=server.connection,
        compression=None,
        server_header=None,
        open_timeout=_OPEN_DEADLINE_SECONDS,
        close_timeout=_CLOSE_DEADLINE_SECONDS,
        max_size=_MOST_COMMAND_BYTES,
    ):
        property_values.watch(lambda: loop.call_soon_threadsafe(server.stream_changes))
        try:
            await asyncio.wrap_future(stop)
        finally:
            property_values.watch(None)
            server.close_requests()


class _Server:
    """What all connections share. All methods belong to the event loop's thread."""

    def __init__(self, access: Access, osc_port: int, property_values: PropertyValues) -> None:
        self._access = access
        self._osc_port = osc_port
        self._property_values = property_values
        self._clients: set[ServerConnection] = set()
        self._refused: set[ServerConnection] = set()
        """Connections that came when there were too many clients."""
        self._stopping = False
        self._listening: dict[ServerConnection, set[str]] = {}
        """Websockets, and the properties that they listen to."""
        self.connection = self._connection_class()

    def _connection_class(self) -> type[ServerConnection]:
        """Connections that are counted: clients must not use up the daemon's file descriptors."""
        server = self

        class CountedConnection(ServerConnection):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                super().connection_made(transport)
                if not server._stopping and len(server._clients) < MOST_CLIENTS:
                    server._clients.add(self)
                elif not server._stopping and len(server._refused) < MOST_REFUSED:
                    server._refused.add(self)
                else:
                    self.transport.abort()

            def connection_lost(self, exc: Exception | None) -> None:
                server._clients.discard(self)
                server._refused.discard(self)
                super().connection_lost(exc)

        return CountedConnection

    def answer(self, connection: ServerConnection, request: Request) -> Response | None:
        """Answer an HTTP request; None: it asks for a websocket, and may have it."""
        hosts, origins = request.headers.get_all("Host"), request.headers.get_all("Origin")
        refusal = self._access.host_refusal(hosts, connection.local_address[0])
        if refusal:
            return connection.respond(HTTPStatus.FORBIDDEN, f"{refusal}\n")
        if connection in self._refused:
            return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, f"there are {MOST_CLIENTS} clients; try later\n")
        response = self._answer_known_host(connection, request)
        if response and self._access.allows(origins):
            response.headers["Access-Control-Allow-Origin"] = origins[0]
            response.headers["Vary"] = "Origin"
        return response

    def _answer_known_host(self, connection: ServerConnection, request: Request) -> Response | None:
        if any("websocket" in each.lower() for each in request.headers.get_all("Upgrade")):
            refusal = self._access.origin_refusal(request.headers.get_all("Origin"), request.headers["Host"])
            if refusal:
                return connection.respond(HTTPStatus.FORBIDDEN, f"{refusal}\n")
            if len(self._listening) < MOST_WEBSOCKETS:
                return None
            text = f"there are {MOST_WEBSOCKETS} websockets; close one\n"
            return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, text)
        if request.method != "GET":
            response = connection.respond(HTTPStatus.METHOD_NOT_ALLOWED, "only GET is understood\n")
            response.headers["Allow"] = "GET"
            return response
        status, body = answer(request.path, self._property_values.values(), self._host_info(connection))
        if body is None:
            text = "" if status == HTTPStatus.NO_CONTENT else f"{status.phrase}\n"
            return connection.respond(status, text)
        response = connection.respond(status, json.dumps(body, allow_nan=False))
        del response.headers["Content-Type"]
        response.headers["Content-Type"] = "application/json"
        return response

    def close_requests(self) -> None:
        """Close the connections that are no websockets, and those to come: stopping must not wait for them."""
        self._stopping = True
        for connection in (self._clients | self._refused) - self._listening.keys():
            connection.transport.abort()

    def _host_info(self, connection: ServerConnection) -> dict[str, object]:
        # both ports are bound to one host; if that is every address of the machine, the client has found a good one
        host, port = connection.local_address[:2]
        return {
            "NAME": NAME,
            "EXTENSIONS": dict.fromkeys(EXTENSIONS, True),
            "OSC_IP": host,
            "OSC_PORT": self._osc_port,
            "OSC_TRANSPORT": "UDP",
            "WS_IP": host,
            "WS_PORT": port,
        }

    async def serve_websocket(self, connection: ServerConnection) -> None:
        """Carry out a websocket's commands until it closes."""
        if len(self._listening) >= MOST_WEBSOCKETS:  # several had asked at once
            return
        self._listening[connection] = set()
        try:
            async for message in connection:
                self._carry_out(connection, message)
                await asyncio.sleep(_BETWEEN_COMMANDS_SECONDS)
        except ConnectionClosed as closed:
            _LOG.debug("a websocket has gone: %s", closed)
        finally:
            del self._listening[connection]

    def _carry_out(self, connection: ServerConnection, message: str | bytes) -> None:
        try:
            command = json.loads(message) if isinstance(message, str) else None
        except (ValueError, RecursionError) as error:
            _LOG.debug("no JSON: %s", error)
            return
        if not isinstance(command, dict):
            return
        path = command.get("DATA")
        name = PROPERTY_AT.get(path) if isinstance(path, str) else None
        if name is None:
            return
        match command.get("COMMAND"):
            case "LISTEN":
                self._listening[connection].add(name)
                self._send([connection], name, self._property_values.values()[name])
            case "IGNORE":
                self._listening[connection].discard(name)

    def stream_changes(self) -> None:
        """Send what has changed to those that listen to it."""
        for name, value in self._property_values.take_changed().items():
            self._send([each for each, names in self._listening.items() if name in names], name, value)

    def _send(self, to: list[ServerConnection], name: str, value: Value | None) -> None:
        broadcast(to, encode_message(ADDRESS_OF[name], [value]))
        for connection in to:
            if connection.transport.get_write_buffer_size() > _MOST_UNREAD_BYTES:
                _LOG.warning("dropping a websocket that does not read what it listens to")
                connection.transport.abort()
