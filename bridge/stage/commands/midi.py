"""Commands of the MIDI mapping."""

from __future__ import annotations

from typing import cast

from bridge.midi.controller import MidiController
from bridge.osc.answers import Answers, Asked, flat
from bridge.protocol.types import CurveKind
from bridge.stage.commands.handlers import Handlers
from bridge.stage.midi_input import MidiInput


class MidiCommands:
    def __init__(self, *, answers: Answers, controller: MidiController[Asked], midi: MidiInput) -> None:
        self._answers, self._controller, self._midi = answers, controller, midi
        self.handlers: Handlers = {
            "midi/learn": self._learn,
            "midi/forget": self._forget,
            "midi/map": self._list,
        }

    def _learn(self, asked: Asked) -> None:
        arguments = asked.invocation.arguments
        low, high = (None if end is None else float(end) for end in map(arguments.get, ("low", "high")))
        curve = cast(CurveKind | None, arguments.get("curve"))
        self._midi.perform(self._controller.learn(asked, str(arguments["name"]), low=low, high=high, curve=curve))

    def _forget(self, asked: Asked) -> None:
        arguments = asked.invocation.arguments
        self._midi.perform(self._controller.forget(str(arguments["name"])))
        self._answers.answer(asked, "done", flat(arguments))

    def _list(self, asked: Asked) -> None:
        entries = self._controller.listing()
        for entry in entries:
            self._answers.reply(asked, flat(entry))
        self._answers.answer(asked, "done", ["entries", len(entries)])
