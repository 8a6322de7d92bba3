"""Commands that play notes: for a take that follows them, or as a phrase for the model."""

from __future__ import annotations

import time

from bridge.osc.answers import Answers, Asked, flat
from bridge.processes.messages import BeginPhrase, Key, Pedal, RenderPhrase
from bridge.protocol.errors import CommandError
from bridge.protocol.table import SEED
from bridge.stage.commands.handlers import Handlers
from bridge.stage.live_notes import LiveNotes
from bridge.stage.open_requests import OpenRequests
from bridge.stage.properties import Properties


class NoteCommands:
    def __init__(self, *, answers: Answers, requests: OpenRequests, properties: Properties, notes: LiveNotes) -> None:
        self._answers, self._requests, self._properties, self._notes = answers, requests, properties, notes
        self.handlers: Handlers = {
            "note": self._note,
            "pedal": self._pedal,
            "notes/prompt/start": self._begin_phrase,
            "notes/prompt/stop": self._render_phrase,
        }

    def _note(self, asked: Asked) -> None:
        arguments = asked.invocation.arguments
        self._play(asked, Key(int(arguments["key"]), int(arguments["velocity"]), time.monotonic()))

    def _pedal(self, asked: Asked) -> None:
        self._play(asked, Pedal(bool(asked.invocation.arguments["down"]), time.monotonic()))

    def _play(self, asked: Asked, event: Key | Pedal) -> None:
        self._requests.require_player()
        self._notes.play(event)
        self._answers.answer(asked, "done", flat(asked.invocation.arguments))

    def _begin_phrase(self, asked: Asked) -> None:
        self._requests.send(asked, BeginPhrase(self._requests.next_number()))
        self._notes.phrase_is_played = True

    def _render_phrase(self, asked: Asked) -> None:
        if not self._notes.phrase_is_played:
            raise CommandError("refused", "no phrase is being played: send /melnet/notes/prompt/start first")
        seed = int(asked.invocation.arguments.get(SEED.name, self._properties.values[SEED.name] or 0))
        self._requests.send(asked, RenderPhrase(self._requests.next_number(), seed))
        self._notes.phrase_is_played = False
