"""Commands of the tape and of the loop over bars of it."""

from __future__ import annotations

from bridge.audio.loop_player import LoopPlayer
from bridge.osc.answers import Answers, Asked, flat
from bridge.processes.messages import StartLoop, StopLoop
from bridge.protocol.errors import CommandError
from bridge.protocol.types import Value
from bridge.stage.commands.handlers import Handlers
from bridge.stage.device_transport import DeviceTransport
from bridge.stage.open_requests import OpenRequests
from bridge.stage.properties import Properties
from bridge.stage.requested_bars import RequestedBars
from bridge.takes.take_list import TakeList
from bridge.tape.tape_index import TapeIndex
from bridge.tape.tape_memory import TapeMemory
from bridge.tape.tape_parts import TapePart, tape_parts


class LoopCommands:
    def __init__(
        self,
        *,
        answers: Answers,
        requests: OpenRequests,
        bars: RequestedBars,
        loop_player: LoopPlayer,
        properties: Properties,
        transport: DeviceTransport,
        tape: TapeMemory,
        tape_index: TapeIndex,
        takes: TakeList,
    ) -> None:
        self._answers, self._requests, self._bars, self._loop_player = answers, requests, bars, loop_player
        self._properties, self._transport = properties, transport
        self._tape, self._tape_index, self._takes = tape, tape_index, takes
        self.handlers: Handlers = {"loop/start": self._start, "loop/stop": self._stop, "tape": self._tell_tape}

    def _start(self, asked: Asked) -> None:
        arguments = asked.invocation.arguments
        span, longest = self._bars.span(arguments), self._loop_player.room_samples
        if span[1] - span[0] > longest:
            raise CommandError("out_of_range", f"a loop lasts at most {longest / self._tape.rate_hz:.0f} s")
        loop = StartLoop(self._requests.next_number(), span, self._bars.loop_sample(arguments))
        self._requests.send(asked, loop)
        self._tape_index.loop = loop

    def _stop(self, asked: Asked) -> None:
        if self._tape_index.loop is None:
            raise CommandError("refused", "there is no loop to stop")
        at = self._bars.loop_sample(asked.invocation.arguments)
        self._requests.send(asked, StopLoop(self._requests.next_number(), at))
        self._tape_index.loop = None

    def _tell_tape(self, asked: Asked) -> None:
        parts = tape_parts(self._tape, self._tape_index, self._takes, round(self._transport.now_sample))
        for part in parts:
            self._answers.reply(asked, flat(self._shown(part)))
        self._answers.answer(asked, "done", ["parts", len(parts)])

    def _shown(self, part: TapePart) -> dict[str, Value]:
        """A part as clients are told it."""
        first, stop = self._transport.place_of(part.first), self._transport.place_of(part.stop)
        shown: dict[str, Value] = {
            "part": part.what,
            "take": part.take,
            "from_bar": first.bar + 1,
            "from_beat": first.beat + 1.0,
            "to_bar": stop.bar + 1,
            "to_beat": stop.beat + 1.0,
        }
        if part.pass_at is not None:
            begin = self._transport.place_of(part.pass_at)
            shown |= {"pass_bar": begin.bar + 1, "pass_beat": begin.beat + 1.0}
        return shown

    def warn_bars_changed(self, asked: Asked) -> None:
        """Warn who changed the bars under a loop: sound cannot be stretched, so the loop stays as it is."""
        if self._tape_index.loop is None:
            return
        first, stop = self._tape_index.loop.span
        seconds = (stop - first) / self._tape.rate_hz
        bars = seconds * self._transport.tempo_bpm / 60.0 / self._properties.meter.bar_beats
        message = (
            f"the loop keeps its length and its place: {seconds:.4g} s, now {bars:.4g} bars, which need not begin on a "
            "line; a loop that is started anew does"
        )
        self._answers.answer(asked, "warning", [message])
