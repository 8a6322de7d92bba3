"""The HTTP and websocket server of OSCQuery. All of it runs in one event loop, in one thread.

``GET`` of a path is answered with its node as JSON. A websocket takes ``{"COMMAND": "LISTEN", "DATA": path}`` and
``IGNORE``; the values of what it listens to come as binary OSC messages, the current one at once. What is neither is
passed over: a client's mistakes must not cost the others anything.

A site may be served on the same port: what it has at a path comes before a node, and its websockets have a path.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator, Sized
from concurrent.futures import Future
from http import HTTPStatus

from websockets.asyncio.server import ServerConnection, broadcast, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from bridge.osc.datagrams import encode_message
from bridge.osc.oscquery.access import Access
from bridge.osc.oscquery.site import Site, WebFile
from bridge.osc.oscquery.tree import ADDRESS_OF, EXTENSIONS, PROPERTY_AT, answer
from bridge.protocol.property_values import PropertyValues

_LOG = logging.getLogger(__name__)

NAME = "melnet-music"
MOST_CLIENTS = 128
"""Connections that are answered at once: fewer, with what else is open, than the 256 files that some systems allow."""
MOST_WEBSOCKETS = 16
"""Of these, that listen to properties."""
MOST_VISITORS = 64
"""Of these, websockets of the site; the others are left to short requests."""
MOST_REFUSED = 16
"""Connections beyond, which are told that there are too many; those beyond these are closed."""
_MOST_UNREAD_BYTES = 16 << 10
"""Of one websocket; a client that leaves more unread is dropped."""
_MOST_UNREAD_BY_VISITOR_BYTES = 256 << 10
_MOST_COMMAND_BYTES = 4096
_BETWEEN_COMMANDS_SECONDS = 0.001
"""Of one websocket: a client that floods the server must not keep the processor."""
_OPEN_DEADLINE_SECONDS = 5.0
_CLOSE_DEADLINE_SECONDS = 1.0


async def serve_until(
    stop: Future[None],
    listener: socket.socket,
    access: Access,
    osc_port: int,
    property_values: PropertyValues,
    site: Site | None = None,
) -> None:
    """Serve on a listening socket until ``stop``, which any thread may set, is done."""
    server = _Server(access, osc_port, property_values, site)
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
        running = asyncio.create_task(_run(site)) if site else None
        try:
            await asyncio.wrap_future(stop)
        finally:
            property_values.watch(None)
            if running:
                running.cancel()
            server.close_requests()


async def _run(site: Site) -> None:
    try:
        await site.run()
    except Exception:  # OSCQuery goes on without it
        _LOG.exception("the panel shows nothing new any more")


class _SiteVisitor:
    """See `Visitor`."""

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection

    @property
    def unread_bytes(self) -> int:
        return self._connection.transport.get_write_buffer_size()

    def send(self, data: bytes) -> None:
        _send([self._connection], data, _MOST_UNREAD_BY_VISITOR_BYTES)

    async def messages(self) -> AsyncIterator[str | bytes]:
        async for message in self._connection:
            yield message


class _Server:
    """What all connections share. All methods belong to the event loop's thread."""

    def __init__(self, access: Access, osc_port: int, property_values: PropertyValues, site: Site | None) -> None:
        self._access = access
        self._site = site
        self._osc_port = osc_port
        self._property_values = property_values
        self._clients: set[ServerConnection] = set()
        self._refused: set[ServerConnection] = set()
        """Connections that came when there were too many clients."""
        self._stopping = False
        self._listening: dict[ServerConnection, set[str]] = {}
        """Websockets, and the properties that they listen to."""
        self._visitors: set[ServerConnection] = set()
        """Websockets of the site."""
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
            there, most = self._websockets_beside(request)
            if len(there) < most:
                return None
            return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, f"there are {most} websockets; close one\n")
        if request.method != "GET":
            response = connection.respond(HTTPStatus.METHOD_NOT_ALLOWED, "only GET is understood\n")
            response.headers["Allow"] = "GET"
            return response
        file = self._site_file(request)
        if file:
            return _file_response(connection, file)
        status, body = answer(request.path, self._property_values.values(), self._host_info(connection))
        if body is None:
            text = "" if status == HTTPStatus.NO_CONTENT else f"{status.phrase}\n"
            return connection.respond(status, text)
        response = connection.respond(status, json.dumps(body, allow_nan=False))
        del response.headers["Content-Type"]
        response.headers["Content-Type"] = "application/json"
        return response

    def _is_of_site(self, request: Request | None) -> bool:
        return bool(self._site and request and request.path == self._site.socket_path)

    def _websockets_beside(self, request: Request | None) -> tuple[Sized, int]:
        """Those of the kind that is asked for, and how many there may be."""
        return (self._visitors, MOST_VISITORS) if self._is_of_site(request) else (self._listening, MOST_WEBSOCKETS)

    def _site_file(self, request: Request) -> WebFile | None:
        accept = ",".join(request.headers.get_all("Accept"))
        return self._site.file(request.path, request.headers["Host"], accept) if self._site else None

    def close_requests(self) -> None:
        """Close the connections that are no websockets, and those to come: stopping must not wait for them."""
        self._stopping = True
        for connection in (self._clients | self._refused) - self._listening.keys() - self._visitors:
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
        there, most = self._websockets_beside(connection.request)
        if len(there) >= most:  # several had asked at once
            return
        if self._site and self._is_of_site(connection.request):
            await self._serve_visitor(connection, self._site)
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

    async def _serve_visitor(self, connection: ServerConnection, site: Site) -> None:
        self._visitors.add(connection)
        try:
            await site.serve(_SiteVisitor(connection))
        except ConnectionClosed as closed:
            _LOG.debug("a visitor has gone: %s", closed)
        finally:
            self._visitors.discard(connection)

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
                _send([connection], encode_message(ADDRESS_OF[name], [self._property_values.values()[name]]))
            case "IGNORE":
                self._listening[connection].discard(name)

    def stream_changes(self) -> None:
        """Send what has changed to those that listen to it."""
        for name, value in self._property_values.take_changed().items():
            to = [each for each, names in self._listening.items() if name in names]
            _send(to, encode_message(ADDRESS_OF[name], [value]))


def _send(to: list[ServerConnection], data: bytes, most_unread_bytes: int = _MOST_UNREAD_BYTES) -> None:
    broadcast(to, data)
    for connection in to:
        if connection.transport.get_write_buffer_size() > most_unread_bytes:
            _LOG.warning("dropping a websocket that does not read what it listens to")
            connection.transport.abort()


def _file_response(connection: ServerConnection, file: WebFile) -> Response:
    response = connection.respond(HTTPStatus.OK, "")
    response.body = file.body
    for name, value in {
        "Content-Type": file.content_type,
        "Content-Length": str(len(file.body)),
        **file.headers,
    }.items():
        if name in response.headers:  # else it would be there twice
            del response.headers[name]
        response.headers[name] = value
    return response
