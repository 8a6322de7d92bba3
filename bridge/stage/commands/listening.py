"""Commands that prime the model: with the audio input, with a file, with nothing."""

from __future__ import annotations

from bridge.osc.answers import Asked
from bridge.processes.messages import Listen, PrimeClear
from bridge.stage.commands.handlers import Handlers
from bridge.stage.job_request import JobRequestReader
from bridge.stage.open_requests import OpenRequests


class ListeningCommands:
    def __init__(self, requests: OpenRequests, reader: JobRequestReader) -> None:
        self._requests, self._reader = requests, reader
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
        self._requests.send(asked, self._reader.prime_file(asked.invocation))

    def _prime_clear(self, asked: Asked) -> None:
        self._requests.send(asked, PrimeClear(self._requests.next_number()))
