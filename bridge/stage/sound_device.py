"""The sound devices that are open: what follows for player, tape and transport when they change."""

from __future__ import annotations

import logging
from pathlib import Path

from bridge.audio.device_process import AudioDeviceOpened, OpenedDevice
from bridge.osc.answers import MESSAGE_CHARACTERS, Answers
from bridge.player.settings import PlayerSettings
from bridge.processes.child_process import ChildProcess
from bridge.processes.messages import UseSound
from bridge.protocol.table import INPUT_OFFSET
from bridge.stage.device_transport import DeviceTransport
from bridge.stage.open_requests import OpenRequests
from bridge.stage.pending_lines import PendingLines
from bridge.stage.properties import Properties
from bridge.takes.take_list import TakeList
from bridge.tape.tape_index import TapeIndex
from bridge.tape.tape_memory import TapeMemory

_LOG = logging.getLogger(__name__)


class SoundDevice:
    """Belongs to the daemon's one thread."""

    def __init__(
        self,
        *,
        answers: Answers,
        player: ChildProcess[PlayerSettings],
        requests: OpenRequests,
        properties: Properties,
        transport: DeviceTransport,
        lines: PendingLines,
        tape: TapeMemory,
        tape_index: TapeIndex,
        takes: TakeList,
        takes_folder: Path,
    ) -> None:
        self._answers, self._player, self._requests, self._properties = answers, player, requests, properties
        self._transport, self._lines = transport, lines
        self._tape, self._tape_index, self._takes = tape, tape_index, takes
        self._takes_folder = takes_folder
        self._opened: AudioDeviceOpened | None = None
        self.listening = False
        """Whether the player listens to the input."""

    def changed(self, opened: AudioDeviceOpened | None) -> None:
        """Use other devices from now on; None: they are gone."""
        before = self._opened
        if opened is None and (before is None or before.output is None):
            return  # a device process that could open nothing has ended
        if opened and before and not any((opened.output, opened.input, before.output, before.input)):
            self._opened = opened
            return  # nothing could be opened once more
        self._opened = opened or AudioDeviceOpened(None, None, ("the sound device is gone",))
        self._log(opened)
        self._answers.tell("sound", [self._output_text(opened) if opened else "gone"])
        self.listening = self.listening and opened is not None and opened.input is not None
        for asked in self._requests.asked.values() if opened is None else ():
            if asked.is_job:
                self._answers.answer(asked, "warning", ["the sound device is gone; the take goes to its file only"])
        output = opened.output if opened else None
        first, stop = self._tape.span
        if output and output.sample_rate_hz != self._tape.rate_hz and first != stop:
            self._lose_tape(output.sample_rate_hz)
        self._transport.use_device(output.sample_rate_hz if output else None, output.latency_seconds if output else 0.0)
        if self._player.running:
            self.tell_player()
            self._lines.retime()

    def tell_player(self) -> None:
        """Have the player use the devices that are open, and the input offset of now."""
        output = self._opened.output if self._opened else None
        audio_input = self._opened.input if self._opened else None
        self._player.send(
            UseSound(
                output.sample_rate_hz if output else None,
                audio_input.sample_rate_hz if audio_input else None,
                output.latency_seconds if output else 0.0,
                audio_input.latency_seconds if audio_input else 0.0,
                self._properties.number(INPUT_OFFSET.name) / 1000.0,
            )
        )

    @property
    def output_text(self) -> str:
        """The output as ``status`` shows it."""
        return self._output_text(self._opened) if self._opened else "starting"

    @property
    def input_text(self) -> str:
        """The input as ``status`` shows it."""
        return _device_text(self._opened.input, "none") if self._opened else "starting"

    def _log(self, opened: AudioDeviceOpened | None) -> None:
        for problem in opened.problems if opened else ():
            _LOG.warning("%s", problem)
        if opened is None or opened.output is None:
            _LOG.warning("no sound: takes go to files in %s", self._takes_folder)
        else:
            _LOG.info("sound: %s", _device_text(opened.output, "none"))

    def _output_text(self, opened: AudioDeviceOpened) -> str:
        why = f" ({'; '.join(opened.problems)[:MESSAGE_CHARACTERS]})" if opened.problems else ""
        return _device_text(opened.output, f"none: takes go to files{why}")

    def _lose_tape(self, rate_hz: int) -> None:
        """What is on the tape has the last device's rate; the player clears it for this one."""
        why = f"the sound device has {rate_hz} Hz now, the tape had {self._tape.rate_hz}: tape, loop and edits are gone"
        _LOG.warning("%s", why)
        self._tape_index.clear()
        self._takes.forget_tape()
        self._answers.tell("tape", [])
        self._answers.tell("blank", [why])


def _device_text(device: OpenedDevice | None, otherwise: str) -> str:
    return f"{device.name}, {device.sample_rate_hz} Hz" if device else otherwise
