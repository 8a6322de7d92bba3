"""Commands that prime the model: with the audio input, with a file, with nothing."""

from __future__ import annotations

from bridge.osc.answers import Asked
from bridge.processes.messages import Listen, PrimeClear, PrimeFile
from bridge.stage.allowed_folders import AllowedFolders
from bridge.stage.commands.handlers import Handlers
from bridge.stage.open_requests import OpenRequests


class ListeningCommands:
    def __init__(self, requests: OpenRequests, folders: AllowedFolders) -> None:
        self._requests, self._folders = requests, folders
        self.handlers: Handlers = {
            "listen/start": self._start,
            "listen/stop": self._stop,
            "prime/file": self._prime_file,
            "prime/clear": self._prime_clear,
        }

    def _start(self, asked: Asked) -> None:
        self._requests.send(asked, Listen(self._requests.next_number(), True))

    def _stop(self, asked: Asked) -> None:
        self._requests.send(asked, Listen(self._requests.next_number(), False))

    def _prime_file(self, asked: Asked) -> None:
        arguments = asked.invocation.arguments
        given = {key.name: arguments.get(key.name, key.default) for key in asked.invocation.command.keys}
        request = PrimeFile(
            self._requests.next_number(),
            str(self._folders.path(str(arguments["path"]))),
            start_seconds=float(given["start"] or 0.0),
            seconds=float(given["seconds"] or 0.0),
        )
        self._requests.send(asked, request)

    def _prime_clear(self, asked: Asked) -> None:
        self._requests.send(asked, PrimeClear(self._requests.next_number()))
