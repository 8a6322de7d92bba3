"""What the player reports: passed on to who asked, to subscribers, and to what the stage knows of takes and tape."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

from bridge.osc.answers import MESSAGE_CHARACTERS, Answers, Asked
from bridge.processes.messages import (
    AT_SAMPLE,
    Edited,
    EngineReplaced,
    HandedOver,
    Heard,
    Loaded,
    Moved,
    PlannedNotesDropped,
    PlannedNotesKnown,
    PlannedNotesMoved,
    PlayerEvent,
    Refusal,
    Report,
    Sounding,
    VariationLost,
    VariationMade,
    Warn,
)
from bridge.protocol.types import Value
from bridge.stage.device_transport import DeviceTransport
from bridge.stage.open_requests import OpenRequests
from bridge.stage.pending_lines import PendingLines
from bridge.stage.planned_notes import PlannedNotesOut
from bridge.stage.player_lifecycle import PlayerStatus
from bridge.stage.sound_device import SoundDevice
from bridge.stage.variations.open_variations import OpenVariations
from bridge.takes.take_list import ListedTake, TakeList
from bridge.tape.tape_index import TapeIndex

_LOG = logging.getLogger(__name__)


class PlayerEvents:
    """Belongs to the daemon's one thread; nothing here waits."""

    def __init__(
        self,
        *,
        status: PlayerStatus,
        answers: Answers,
        requests: OpenRequests,
        transport: DeviceTransport,
        lines: PendingLines,
        sound: SoundDevice,
        tape_index: TapeIndex,
        takes: TakeList,
        planned_notes: PlannedNotesOut,
        variations: OpenVariations,
        use_preset_map: Callable[[Loaded], None],
    ) -> None:
        """``use_preset_map`` is called with each preset that is loaded, for its MIDI mapping."""
        self._status, self._answers, self._requests = status, answers, requests
        self._transport, self._lines, self._sound = transport, lines, sound
        self._tape_index, self._takes, self._planned_notes = tape_index, takes, planned_notes
        self._variations, self._use_preset_map = variations, use_preset_map

    def handle(self, event: PlayerEvent) -> None:
        """Take one event of the player's pipe."""
        match event:
            case EngineReplaced():
                self._engine_replaced(event)
            case Loaded():
                self._loaded(event)
            case Heard():
                self._status.heard = event
            case Edited():
                self._tape_index.edited = event
                self._answers.tell("tape", [each for take in event.takes for each in ("take", take)])
            case Moved():
                self._moved(event)
            case Sounding():
                self._tape_index.sounds(event)
            case HandedOver():
                self._handed_over(event)
            case VariationMade():
                self._variations.made(event)
            case VariationLost():
                self._variations.lost(event)
            case PlannedNotesKnown():
                self._planned_notes.known(event)
            case PlannedNotesMoved():
                self._planned_notes.moved(event)
            case PlannedNotesDropped():
                self._planned_notes.dropped(event)
            case Warn():
                asked = self._requests.asked.get(event.number)
                if asked:
                    self._answers.answer(asked, "warning", [event.message[:MESSAGE_CHARACTERS]])
            case Refusal():
                self._refused(event)
            case Report():
                self._reported(event)

    def _engine_replaced(self, event: EngineReplaced) -> None:
        if loaded := self._status.loaded:
            self._status.loaded = replace(loaded, engine=event.engine, engine_why=event.engine_why)

    def _loaded(self, event: Loaded) -> None:
        self._lines.tell_bars(to_another=self._status.loaded is None)
        self._status.loaded, self._status.ever_loaded = event, True
        self._status.preset, self._status.requested = event.preset, event.requested
        self._answers.tell("player", ["ready", event.preset, event.digest])
        self._use_preset_map(event)
        _LOG.info("preset %s, %s engine: %.2f times real time", event.preset, event.engine, event.real_time_factor)

    def _moved(self, event: Moved) -> None:
        self._lines.promised(event.number, event.at_sample)
        place = self._transport.place_of(event.at_sample)
        asked = self._requests.asked.get(event.number)
        if asked:
            where = f"bar {place.bar + 1}, beat {place.beat + 1.0:g}"
            self._answers.answer(asked, "warning", [f"it was made slower than expected, and begins on {where}"])

    def _handed_over(self, event: HandedOver) -> None:
        """The job goes on under the number of its next take."""
        told, job = dict(event.values), self._requests.jobs.pop(event.number)
        self._takes.add(ListedTake(event.number, job, float(told["seconds"]), str(told["file"])))
        asked = self._requests.asked.pop(event.number)
        self._requests.asked[event.job.number], self._requests.jobs[event.job.number] = asked, event.job
        self._planned_notes.end(event.number, float(told[AT_SAMPLE]))
        self._tape_index.handed_over(event.number, round(float(told[AT_SAMPLE])))
        self._answers.answer(asked, "handed", self._shown(event.values))

    def _refused(self, refusal: Refusal) -> None:
        asked = self._requests.asked.pop(refusal.number, None)
        self._lines.drop(refusal.number)
        if refusal.number in self._requests.jobs:
            self._planned_notes.end(refusal.number)
        self._requests.jobs.pop(refusal.number, None)
        self._tape_index.refused(refusal.number)
        if asked:
            self._answers.fail(asked, refusal.code, refusal.message)
            self._variations.lose_of(refusal.number, refusal.code, refusal.message)
        elif not self._status.ever_loaded:
            self._status.startup_error = refusal.message
        self._requests.tell_syncs(refusal.number)

    def _reported(self, report: Report) -> None:
        asked = self._requests.asked.get(report.number)
        if asked is None:
            return
        closes, command = _closes(asked, report), asked.invocation.command.name
        if closes:
            del self._requests.asked[report.number]
        if closes or report.answer == "started":
            self._lines.drop(report.number)
        if report.answer == "finished":
            self._add_take(report)
        if report.answer == "done":
            for name, value in report.values:
                if name == AT_SAMPLE:
                    self._lines.promised(report.number, float(value))
        if command.startswith("listen/"):
            self._sound.listening = command == "listen/start"
        if command == "presets":
            self._answers.reply(asked, self._shown(report.values))
        else:
            self._answers.answer(asked, report.answer, self._shown(report.values))
        if closes:
            self._requests.tell_syncs(report.number)
        if command == "panic":
            self._requests.panic_done()

    def _add_take(self, report: Report) -> None:
        told, job = dict(report.values), self._requests.jobs.pop(report.number)
        seed = int(told["seed"])
        self._takes.add(ListedTake(report.number, replace(job, seed=seed), float(told["seconds"]), str(told["file"])))

    def _shown(self, values: Sequence[tuple[str, Value]]) -> list[Value]:
        """Reported values as clients are told them: device time as bar and beat."""
        shown: list[Value] = []
        for name, value in values:
            if name == AT_SAMPLE:
                place = self._transport.place_of(float(value))
                shown += ["bar", place.bar + 1, "beat", place.beat + 1.0]
            else:
                shown += [name, value]
        return shown


def _closes(asked: Asked, report: Report) -> bool:
    """Whether nothing is to come after a report."""
    if asked.is_job:
        return report.answer == "finished"
    promised = any(name == AT_SAMPLE for name, _ in report.values)  # a take is handed over there
    return report.answer == "started" or not (asked.invocation.command.name == "load" and promised)
