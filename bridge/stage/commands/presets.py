"""Commands that load and list presets."""

from __future__ import annotations

from bridge.osc.answers import Asked
from bridge.processes.messages import ListPresets
from bridge.stage.commands.handlers import Handlers
from bridge.stage.job_request import JobRequestReader
from bridge.stage.open_requests import OpenRequests
from bridge.stage.pending_lines import PendingLines
from bridge.stage.player_lifecycle import PlayerLifecycle


class PresetCommands:
    def __init__(
        self, *, requests: OpenRequests, reader: JobRequestReader, lines: PendingLines, lifecycle: PlayerLifecycle
    ) -> None:
        self._requests, self._reader, self._lines, self._lifecycle = requests, reader, lines, lifecycle
        self.handlers: Handlers = {"load": self._load, "presets": self._list}

    def _load(self, asked: Asked) -> None:
        request, line = self._reader.load(asked.invocation.arguments)
        self._lifecycle.start_if_down()
        self._requests.send(asked, request)
        if line:
            self._lines.put(request.number, line)

    def _list(self, asked: Asked) -> None:
        self._requests.send(asked, ListPresets(self._requests.next_number()))
