"""Commands of finished takes and of the tape that they are on."""

from __future__ import annotations

from bridge.clock.transport import Timeline
from bridge.osc.answers import Answers, Asked, flat
from bridge.processes.messages import ExportTape, Recall, Undo
from bridge.protocol.errors import CommandError
from bridge.protocol.table import FROM_BAR, TO_BAR
from bridge.protocol.take_arguments import TAKE
from bridge.protocol.types import Value
from bridge.stage.allowed_folders import AllowedFolders
from bridge.stage.commands.handlers import Handlers
from bridge.stage.commands.job_request import requested_take
from bridge.stage.device_transport import DeviceTransport
from bridge.stage.open_requests import OpenRequests
from bridge.stage.requested_bars import RequestedBars
from bridge.takes.take_list import ListedTake, TakeList, export_take
from bridge.tape.tape_export import files_of
from bridge.tape.tape_index import TapeIndex

_LISTED_TAKES = 64


class TakeCommands:
    def __init__(
        self,
        *,
        answers: Answers,
        requests: OpenRequests,
        bars: RequestedBars,
        folders: AllowedFolders,
        transport: DeviceTransport,
        tape_index: TapeIndex,
        takes: TakeList,
    ) -> None:
        self._answers, self._requests, self._bars, self._folders = answers, requests, bars, folders
        self._transport, self._tape_index, self._takes = transport, tape_index, takes
        self.handlers: Handlers = {
            "take/list": self._list,
            "take/undo": self._undo,
            "take/redo": self._redo,
            "take/recall": self._recall,
            "take/export": self._export_take,
            "tape/export": self._export_bars,
        }

    def _list(self, asked: Asked) -> None:
        takes = self._takes.last(_LISTED_TAKES)
        for take in takes:
            self._answers.reply(asked, flat(self._shown(take)))
        self._answers.answer(asked, "done", ["takes", len(takes)])

    def _shown(self, take: ListedTake) -> dict[str, Value]:
        """A take as clients are told it."""
        shown: dict[str, Value] = {
            "take": take.number,
            "kind": take.job.kind,
            "seed": take.job.seed,
            "seconds": take.seconds,
            "on_tape": take.number in self._tape_index.takes,
            "file": take.file,
        }
        if take.job.span and self._transport.has_device:
            first, stop = (self._transport.place_of(sample).bar for sample in take.job.span)
            shown |= {"from_bar": first + 1, "to_bar": max(stop, first + 1)}
        if take.variation_of is not None:
            shown |= {"variation_of": take.variation_of, "ready": take.ready}
        if take.plays is not None:
            shown["plays"] = take.plays
        return shown

    def _undo(self, asked: Asked) -> None:
        self._requests.send(asked, Undo(self._requests.next_number()))

    def _redo(self, asked: Asked) -> None:
        self._requests.send(asked, Undo(self._requests.next_number(), redo=True))

    def _recall(self, asked: Asked) -> None:
        take = requested_take(self._takes, asked.invocation.arguments[TAKE.name])
        if take.placed is None:
            raise CommandError(
                "refused", f"take {take.number} was made for no bars of the tape; play, export or reroll it"
            )
        alternatives = self._takes.alternatives(take)
        self._requests.send(asked, Recall(self._requests.next_number(), take.placed, alternatives))

    def _export_take(self, asked: Asked) -> None:
        arguments = asked.invocation.arguments
        take = requested_take(self._takes, arguments[TAKE.name])
        path = self._folders.path(str(arguments["path"]))
        try:
            export_take(take, path, Timeline.steady(self._transport.tempo_bpm, self._transport.meter))
        except ValueError as error:
            raise CommandError("bad_file", str(error)) from error
        self._answers.answer(asked, "done", ["take", take.number, "file", str(path)])

    def _export_bars(self, asked: Asked) -> None:
        arguments = asked.invocation.arguments
        span, path = self._bars.span(arguments), self._folders.path(str(arguments["path"]))
        try:
            files_of(path)
        except ValueError as error:
            raise CommandError("bad_file", str(error)) from error
        numbers = range(int(arguments[FROM_BAR.name]), int(arguments[TO_BAR.name]) + 1)
        bars = tuple(self._transport.bar_line(number) for number in numbers)
        self._requests.send(asked, ExportTape(self._requests.next_number(), str(path), span, bars))
