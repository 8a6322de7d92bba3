"""The lines that jobs and presets wait for, and all bars, kept in device time while tempo, master and place change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from bridge.clock.transport import Timeline
from bridge.processes.messages import Retime, UseBars
from bridge.stage.device_transport import DeviceTransport, LineBeat

_STEERED_SECONDS = 0.001
"""A line that a master moves by less is not sent again."""
_TOO_LATE_SECONDS = 0.05
"""A line that is nearer stays where it is: the request has to reach the player, and the player the device process."""


@dataclass(frozen=True)
class _Waiting:
    line: LineBeat
    told_sample: float
    """Device time that the player was told."""


class PendingLines:
    """By the numbers of the requests that wait for them. Belongs to the daemon's one thread."""

    def __init__(self, transport: DeviceTransport, send: Callable[[Retime | UseBars], None]) -> None:
        """``send``: tells the player the line of a request, or all bars, in device time."""
        self._transport, self._send = transport, send
        self._waiting: dict[int, _Waiting] = {}
        self._told_timeline: Timeline | None = None

    def put(self, number: int, line: LineBeat) -> None:
        """A request waits for a line from now on."""
        self._waiting[number] = _Waiting(line, self._transport.in_device_time(line).sample)

    def drop(self, number: int) -> None:
        """A request waits no more; nothing happens if it did not."""
        self._waiting.pop(number, None)

    def clear(self) -> None:
        """No request waits any more."""
        self._waiting.clear()

    def tell_bars(self, *, to_another: bool = False) -> None:
        """Tell the player where bars are, if they have moved since it was told; call it after all that may move them.

        Args:
            to_another: it is another player, and was told nothing.
        """
        timeline = self._transport.timeline
        if timeline is not self._told_timeline or to_another:
            self._told_timeline = timeline
            self._send(UseBars(self._transport.recent_timeline, self._transport.rate_hz))

    def promised(self, number: int, at_sample: float) -> None:
        """The player has chosen another line than was asked for, at this device time."""
        if number in self._waiting:
            line = replace(self._waiting[number].line, beat=self._transport.beat_of(at_sample))
            self._waiting[number] = _Waiting(line, at_sample)

    def retime(self) -> None:
        """Tempo, meter, place or device have changed: send the player all lines again."""
        for number, waiting in list(self._waiting.items()):
            self._tell(number, waiting.line)

    def jump(self) -> None:
        """The master has jumped: requests for a line of a grid wait for its next line from there."""
        beat = self._transport.beat_in(_TOO_LATE_SECONDS)
        for number, waiting in list(self._waiting.items()):
            line, anew = waiting.line, waiting.line.grid != "none"
            self._tell(number, self._transport.line_from(beat, line.grid) if anew else line)

    def steer(self) -> None:
        """The master's tempo has changed a little: send the player the lines that have moved with it."""
        for number, waiting in list(self._waiting.items()):
            sample, told = self._transport.in_device_time(waiting.line).sample, waiting.told_sample
            if self._transport.seconds_until(min(told, sample)) > _TOO_LATE_SECONDS and (
                abs(sample - told) > _STEERED_SECONDS * self._transport.rate_hz
            ):
                self._tell(number, waiting.line)

    def _tell(self, number: int, line: LineBeat) -> None:
        here = self._transport.in_device_time(line)
        self._waiting[number] = _Waiting(line, here.sample)
        self._send(Retime(number, here, self._transport.recent_timeline))
