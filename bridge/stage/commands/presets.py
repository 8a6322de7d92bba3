"""Commands that load and list presets."""

from __future__ import annotations

from typing import cast

from bridge.osc.answers import Asked
from bridge.processes.messages import ListPresets, Load
from bridge.protocol.table import LATE
from bridge.protocol.types import Late
from bridge.stage.commands.handlers import Handlers
from bridge.stage.open_requests import OpenRequests
from bridge.stage.pending_lines import PendingLines
from bridge.stage.player_lifecycle import PlayerLifecycle
from bridge.stage.properties import Properties
from bridge.stage.requested_bars import RequestedBars


class PresetCommands:
    def __init__(
        self,
        *,
        requests: OpenRequests,
        bars: RequestedBars,
        properties: Properties,
        lines: PendingLines,
        lifecycle: PlayerLifecycle,
    ) -> None:
        self._requests, self._bars, self._properties = requests, bars, properties
        self._lines, self._lifecycle = lines, lifecycle
        self.handlers: Handlers = {"load": self._load, "presets": self._list}

    def _load(self, asked: Asked) -> None:
        arguments = asked.invocation.arguments
        line = self._bars.line(arguments)
        request = Load(
            self._requests.next_number(),
            str(arguments["preset"]),
            self._requests.next_number(),
            self._bars.device_line(line),
            cast(Late, arguments.get(LATE.name, self._properties.values[LATE.name])),
        )
        self._lifecycle.start_if_down()
        self._requests.send(asked, request)
        if line:
            self._lines.put(request.number, line)

    def _list(self, asked: Asked) -> None:
        self._requests.send(asked, ListPresets(self._requests.next_number()))
