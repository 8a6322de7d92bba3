"""Commands of clients about themselves: whether the daemon is there, and where their answers and events go."""

from __future__ import annotations

from importlib.metadata import version

from bridge.osc.answers import Answers, Asked
from bridge.protocol.types import NAMESPACE
from bridge.stage.commands.handlers import Handlers
from bridge.stage.open_requests import OpenRequests
from bridge.stage.properties import Properties


class ClientCommands:
    def __init__(self, answers: Answers, requests: OpenRequests, properties: Properties) -> None:
        self._answers, self._requests, self._properties = answers, requests, properties
        self.handlers: Handlers = {
            "ping": self._ping,
            "version": self._version,
            "subscribe": self._subscribe,
            "unsubscribe": self._unsubscribe,
            "sync": requests.sync,
            "reply": self._redirect,
        }

    def _ping(self, asked: Asked) -> None:
        self._answers.to(asked.sender, f"{NAMESPACE}/pong", [])

    def _version(self, asked: Asked) -> None:
        self._answers.reply(asked, [version("melnet-music")])

    def _subscribe(self, asked: Asked) -> None:
        lease = asked.invocation.command.keys[0]
        seconds = float(asked.invocation.arguments.get(lease.name, lease.default or 0.0))
        new = self._answers.subscribe(asked.sender, seconds)
        self._answers.answer(asked, "done", [lease.name, seconds])
        if new:
            self._properties.tell_all(new)

    def _unsubscribe(self, asked: Asked) -> None:
        self._answers.unsubscribe(asked.sender)
        self._answers.answer(asked, "done", [])

    def _redirect(self, asked: Asked) -> None:
        port, host = int(asked.invocation.arguments["port"]), asked.invocation.arguments.get("host")
        self._answers.redirect(asked.sender, port, None if host is None else str(host))
        self._answers.answer(asked, "done", ["port", port, *(["host", host] if host is not None else [])])
