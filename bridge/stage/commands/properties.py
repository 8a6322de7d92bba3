"""Commands that read and set properties, and what follows at once from a new value."""

from __future__ import annotations

from typing import cast

from bridge.audio.output_ring import OutputRing
from bridge.osc.answers import Answers, Asked
from bridge.player.settings import PlayerSettings
from bridge.processes.child_process import ChildProcess
from bridge.processes.messages import MeasureSurprise
from bridge.protocol.clock_arguments import CLOCK, CLOCK_OFFSET, CLOCK_OUT
from bridge.protocol.errors import CommandError
from bridge.protocol.parse import check_property, find_property
from bridge.protocol.plan_arguments import SCALE
from bridge.protocol.surprise_arguments import SURPRISE, SURPRISE_LEVEL
from bridge.protocol.table import COMMANDS, INPUT_OFFSET, LEVEL, METER, TEMPO
from bridge.protocol.types import Clock, Value
from bridge.stage.clock_selection import ClockSelection
from bridge.stage.commands.handlers import Handlers
from bridge.stage.commands.loop import LoopCommands
from bridge.stage.device_transport import DeviceTransport
from bridge.stage.pending_lines import PendingLines
from bridge.stage.properties import Properties, check_scale, requested_meter, shown_property
from bridge.stage.sound_device import SoundDevice

_OF_BARS = (TEMPO.name, METER.name)
"""A new value of these moves bar lines."""


class PropertyCommands:
    def __init__(
        self,
        *,
        answers: Answers,
        properties: Properties,
        player: ChildProcess[PlayerSettings],
        output_ring: OutputRing,
        sound: SoundDevice,
        transport: DeviceTransport,
        clock: ClockSelection,
        lines: PendingLines,
        loop: LoopCommands,
    ) -> None:
        self._answers, self._properties, self._player = answers, properties, player
        self._output_ring, self._sound = output_ring, sound
        self._transport, self._clock, self._lines, self._loop = transport, clock, lines, loop
        setters = [command.name for command in COMMANDS.values() if command.sets]
        self.handlers: Handlers = {
            "get": self._get,
            "set": self._set_named,
            **dict.fromkeys(setters, self._set_by_address),
        }

    def _get(self, asked: Asked) -> None:
        name = find_property(str(asked.invocation.arguments["name"])).name
        self._answers.reply(asked, [name, self._properties.shown(name)])

    def _set_named(self, asked: Asked) -> None:
        arguments = asked.invocation.arguments
        self._set(asked, str(arguments["name"]), arguments["value"])

    def _set_by_address(self, asked: Asked) -> None:
        name = asked.invocation.command.sets
        self._set(asked, name, asked.invocation.arguments[name])

    def _set(self, asked: Asked, name: str, given: Value) -> None:
        value, before = check_property(name, given), self._properties.values[name]
        try:
            self._apply(name, value)
        except CommandError:
            raise
        except ValueError as error:
            raise CommandError("refused", str(error)) from error
        if name in _OF_BARS:
            self._lines.retime()
        self._answers.answer(asked, "done", [name, shown_property(value)])
        self._properties.change(name, value)
        if name == INPUT_OFFSET.name and value != before and self._player.running:
            self._sound.tell_player()
        if name == SURPRISE.name and value != before:
            if self._player.running:
                self._player.send(MeasureSurprise(value == "on"))
            self._properties.change(SURPRISE_LEVEL.name, 0.0)
        if name in _OF_BARS and value != before:
            self._loop.warn_bars_changed(asked)

    def _apply(self, name: str, value: Value | None) -> None:
        """Make a new value effective at once, of those properties that are more than a default of the next jobs.

        Raises:
            ValueError: it cannot be.
            CommandError: it is no meter, or no scale.
        """
        if value is None:
            return
        if name == SURPRISE_LEVEL.name:
            raise ValueError(f"{name} is measured, and not to be set: with surprise on")
        if name == TEMPO.name:
            self._clock.set_tempo(float(value))
        elif name == METER.name:
            self._transport.set_meter(requested_meter(str(value)))
        elif name == SCALE.name:
            check_scale(str(value))
        elif name == CLOCK.name:
            self._clock.choose(cast(Clock, value))
        elif name == CLOCK_OFFSET.name:
            self._transport.offset_seconds = float(value) / 1000.0
        elif name == CLOCK_OUT.name:
            self._clock.send_out(value == "on")
        elif name == LEVEL.name:
            self._output_ring.set_level(float(value))
