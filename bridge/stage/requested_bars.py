"""The lines and bars that commands ask for, found on the transport and on the tape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias, cast

from bridge.clock.device_clock import Line
from bridge.clock.transport import Grid, Place
from bridge.processes.job import Span
from bridge.protocol.errors import CommandError
from bridge.protocol.table import AT_BAR, AT_BEAT, FROM_BAR, QUANTISE, TO_BAR
from bridge.protocol.types import Value
from bridge.stage.device_transport import DeviceTransport, LineBeat
from bridge.stage.properties import Properties
from bridge.tape.tape_memory import TapeMemory

_LOOP_GUARD_SECONDS = 0.1
"""A loop begins or ends no sooner: the request has to reach the player, and the player the device process."""

Arguments: TypeAlias = Mapping[str, Value]
"""Of a command, by name; keys that did not come are absent."""


class RequestedBars:
    """Belongs to the daemon's one thread. Where a command names no line, the property ``quantise`` does."""

    def __init__(self, transport: DeviceTransport, tape: TapeMemory, properties: Properties) -> None:
        self._transport, self._tape, self._properties = transport, tape, properties

    def line(self, arguments: Arguments) -> LineBeat | None:
        """The line on which a take or a preset is to begin; None: as soon as it can.

        Raises:
            CommandError: a beat is given without its bar.
        """
        if AT_BAR.name in arguments:
            place = Place(int(arguments[AT_BAR.name]) - 1, float(arguments.get(AT_BEAT.name, 1.0)) - 1.0)
            return self._transport.line_at(place) if self._transport.has_device else None
        if AT_BEAT.name in arguments:
            raise CommandError("missing_argument", "at_beat is a beat of a bar: give at_bar too")
        grid = arguments.get(QUANTISE.name, self._properties.values[QUANTISE.name])
        return self._transport.next_line(cast(Grid, grid)) if self._transport.has_device else None

    def device_line(self, line: LineBeat | None) -> Line | None:
        """A line in device time, by the tempo as it is now; None for None."""
        return self._transport.in_device_time(line) if line else None

    def loop_sample(self, arguments: Arguments) -> int:
        """The device time of the line on which a loop begins or ends: the next bar line, unless told otherwise."""
        grid = arguments.get(QUANTISE.name, self._properties.values[QUANTISE.name])
        if QUANTISE.name not in arguments and grid == "none":
            grid = "bar"
        beat = self._transport.beat_in(_LOOP_GUARD_SECONDS)
        return self._transport.in_device_time(self._transport.line_from(beat, cast(Grid, grid))).first_sample

    def span(self, arguments: Arguments) -> Span:
        """Device times of the bars ``from_bar`` to ``to_bar`` of the tape, both included.

        Raises:
            CommandError: they are in the wrong order, not on the tape, or there is no tape.
        """
        from_bar, to_bar = int(arguments[FROM_BAR.name]), int(arguments[TO_BAR.name])
        if to_bar < from_bar:
            raise CommandError("out_of_range", f"to_bar {to_bar} is before from_bar {from_bar}")
        if not self._transport.has_device:
            raise CommandError("refused", "there is no sound device, and so no tape")
        first, stop = (
            self._transport.in_device_time(self._transport.line_at(Place(bar, 0.0))).first_sample
            for bar in (from_bar - 1, to_bar)
        )
        if not self._tape.holds(first, stop):
            raise CommandError("refused", f"bars {from_bar} to {to_bar} are not on the tape: {self._tape_text()}")
        return first, stop

    def _tape_text(self) -> str:
        first, stop = self._tape.span
        if first == stop:
            return "it is blank; what is listened to and what sounds is laid on it"
        begin, end = self._transport.place_of(first), self._transport.place_of(stop)
        return f"it holds bar {begin.bar + 1}, beat {begin.beat + 1:.3g}, to bar {end.bar + 1}, beat {end.beat + 1:.3g}"
