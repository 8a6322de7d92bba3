"""MIDI messages and ports, as they come in: clock to the clock, notes to the player, the rest as commands."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Literal

from bridge.clock.midi_clock_source import CLOCK_MESSAGES, MidiClockSource
from bridge.midi.controller import Action, Learned, MidiController, NotLearned, PhraseKeyDown
from bridge.midi.mapping_file import FILE_NAME as MIDI_MAP
from bridge.midi.ports import MidiEvent, MidiLost, MidiPorts, MidiReport
from bridge.osc.answers import MESSAGE_CHARACTERS, MIDI, Answers, Asked
from bridge.processes.messages import Key, Loaded, Pedal
from bridge.protocol.table import COMMANDS
from bridge.protocol.types import Invocation
from bridge.stage.live_notes import LiveNotes

_LOG = logging.getLogger(__name__)


class MidiInput:
    """Belongs to the daemon's one thread; nothing here waits."""

    def __init__(
        self,
        *,
        controller: MidiController[Asked],
        clock: MidiClockSource,
        answers: Answers,
        notes: LiveNotes,
        dispatch: Callable[[Asked], None],
    ) -> None:
        """``dispatch`` carries out a command."""
        self._controller, self._clock, self._answers, self._notes = controller, clock, answers, notes
        self._dispatch = dispatch
        self._ports = MidiPorts((), ())

    def handle(self, event: MidiReport) -> None:
        """Take what came in by MIDI, and which ports it may come by."""
        match event:
            case MidiEvent() if event.data[0] in CLOCK_MESSAGES:
                self._clock.hear(event.port, event.at_seconds, event.data)
            case MidiEvent():
                self.perform(self._controller.receive(event))
            case MidiPorts():
                self._ports_changed(event)
            case MidiLost():
                _LOG.warning("%d MIDI messages came too fast, and are lost", event.count)
                self.perform(self._controller.messages_lost())

    def perform(self, actions: Iterator[Action[Asked]]) -> None:
        """Do what the controllers ask for, one by one: the next may depend on what the last one did."""
        for action in actions:
            match action:
                case Invocation():
                    self._dispatch(Asked(MIDI, action))
                case Key() | Pedal():
                    self._notes.play(action)
                case PhraseKeyDown() if not self._notes.phrase_is_played:
                    self._dispatch(Asked(MIDI, Invocation(COMMANDS["notes/prompt/start"])))
                case Learned():
                    self._answers.answer(action.ticket, "done", ["name", action.name, "control", action.control])
                case NotLearned():
                    self._answers.fail(action.ticket, action.code, action.reason)

    def use_preset_map(self, loaded: Loaded) -> None:
        """Use the mapping that a preset brings; one that is wrong is reported, and none is used."""
        try:
            self._controller.use_preset_map(loaded.midi_map, f"{loaded.preset}/{MIDI_MAP}")
        except ValueError as error:
            _LOG.warning("%s", error)
            self._answers.tell("midi", ["problem", str(error)[:MESSAGE_CHARACTERS]])

    def ports_text(self, direction: Literal["inputs", "outputs", "clocks", "notes"]) -> str:
        """The open ports as ``status`` shows them."""
        names: tuple[str, ...] = getattr(self._ports, direction)
        return ", ".join(names) or self._ports.problem or "none"

    def _ports_changed(self, ports: MidiPorts) -> None:
        self._ports = ports
        self.perform(self._controller.ports_changed(ports))
        inputs, outputs = (", ".join(names) or "none" for names in (ports.inputs, ports.outputs))
        self._answers.tell("midi", ["in", inputs, "out", outputs])
        if ports.problem:
            _LOG.warning("%s", ports.problem)
        _LOG.info("MIDI: from %s, to %s", inputs, outputs)
