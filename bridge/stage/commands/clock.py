"""Commands of the transport: where the music is, and making it another place."""

from __future__ import annotations

from bridge.clock.transport import Place
from bridge.osc.answers import Answers, Asked, flat
from bridge.protocol.errors import CommandError
from bridge.protocol.types import Value
from bridge.stage.clock_selection import ClockSelection
from bridge.stage.commands.handlers import Handlers
from bridge.stage.commands.loop import LoopCommands
from bridge.stage.device_transport import DeviceTransport
from bridge.stage.pending_lines import PendingLines


class ClockCommands:
    def __init__(
        self,
        *,
        answers: Answers,
        transport: DeviceTransport,
        clock: ClockSelection,
        lines: PendingLines,
        loop: LoopCommands,
    ) -> None:
        self._answers, self._transport, self._clock, self._lines, self._loop = answers, transport, clock, lines, loop
        self.handlers: Handlers = {"transport": self._tell_transport, "transport/locate": self._locate}

    def _tell_transport(self, asked: Asked) -> None:
        self._answers.reply(asked, flat(self._values()))

    def _locate(self, asked: Asked) -> None:
        if self._clock.name != "internal":
            raise CommandError(
                "refused", f"the {self._clock.name} clock says which bar it is; set clock to internal to locate"
            )
        arguments = asked.invocation.arguments
        self._transport.locate(Place(int(arguments["bar"]) - 1, float(arguments.get("beat", 1.0)) - 1.0))
        self._lines.retime()
        self._answers.answer(asked, "done", flat(self._values()))
        self._loop.warn_bars_changed(asked)

    def _values(self) -> dict[str, Value]:
        place = self._transport.place
        return {
            "bar": place.bar + 1,
            "beat": place.beat + 1.0,
            "tempo": self._transport.tempo_bpm,
            "meter": str(self._transport.meter),
            "clock": self._clock.name,
            "state": self._clock.state,
        }
