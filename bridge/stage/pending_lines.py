"""The lines that jobs and presets wait for: where they are in device time, while tempo, master and place change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from bridge.processes.messages import Retime
from bridge.stage.device_transport import DeviceTransport, LineBeat

_STEERED_SECONDS = 0.001
"""A line that a master moves by less stays where it is."""
_TOO_LATE_SECONDS = 0.05
"""A line that is nearer stays where it is: the request has to reach the player, and the player the speaker."""


@dataclass(frozen=True)
class _Waiting:
    line: LineBeat
    told_sample: float
    """Device time where the player believes it to be."""


class PendingLines:
    """By the numbers of the requests that wait for them. Belongs to the daemon's one thread."""

    def __init__(self, transport: DeviceTransport, retime: Callable[[Retime], None]) -> None:
        """``retime``: tells the player where a request's line is now."""
        self._transport, self._retime = transport, retime
        self._waiting: dict[int, _Waiting] = {}

    def put(self, number: int, line: LineBeat) -> None:
        """A request was given that waits for a line."""
        self._waiting[number] = _Waiting(line, self._transport.in_device_time(line).sample)

    def drop(self, number: int) -> None:
        """A request waits no more, if it did."""
        self._waiting.pop(number, None)

    def clear(self) -> None:
        """No request waits any more."""
        self._waiting.clear()

    def promised(self, number: int, at_sample: float) -> None:
        """The player promises another line than was asked for, at a device time."""
        if number in self._waiting:
            line = replace(self._waiting[number].line, beat=self._transport.beat_of(at_sample))
            self._waiting[number] = _Waiting(line, at_sample)

    def retime(self) -> None:
        """Tempo, meter, place or device have changed: tell the player where all lines are now."""
        for number, waiting in list(self._waiting.items()):
            self._tell(number, waiting.line)

    def jump(self) -> None:
        """The master is somewhere else: what waits for any line of a grid takes the next one there."""
        beat = self._transport.beat_in(_TOO_LATE_SECONDS)
        for number, waiting in list(self._waiting.items()):
            line, anew = waiting.line, waiting.line.grid != "none"
            self._tell(number, self._transport.line_from(beat, line.grid) if anew else line)

    def steer(self) -> None:
        """The master's tempo has changed a little: tell the player which lines have moved with it."""
        for number, waiting in list(self._waiting.items()):
            sample, told = self._transport.in_device_time(waiting.line).sample, waiting.told_sample
            if self._transport.seconds_until(min(told, sample)) > _TOO_LATE_SECONDS and (
                abs(sample - told) > _STEERED_SECONDS * self._transport.rate_hz
            ):
                self._tell(number, waiting.line)

    def _tell(self, number: int, line: LineBeat) -> None:
        here = self._transport.in_device_time(line)
        self._waiting[number] = _Waiting(line, here.sample)
        self._retime(Retime(number, here))
