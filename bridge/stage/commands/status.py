"""The command ``status``: what runs, what is open, what was lost."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from bridge.audio.output_ring import OutputRing
from bridge.osc.answers import Answers, Asked, flat
from bridge.player.settings import PlayerSettings
from bridge.processes.child_process import ChildProcess
from bridge.protocol.timed_bundles import TimedBundles
from bridge.protocol.types import Value
from bridge.stage.commands.handlers import Handlers
from bridge.stage.midi_input import MidiInput
from bridge.stage.open_requests import OpenRequests
from bridge.stage.player_lifecycle import PlayerStatus
from bridge.stage.sound_device import SoundDevice

_LOAD_SECONDS = 1.0
"""The shortest time over which the load is told."""
_SILENT_SECONDS = 10.0


class StatusCommand:
    def __init__(
        self,
        *,
        answers: Answers,
        player: ChildProcess[PlayerSettings],
        status: PlayerStatus,
        requests: OpenRequests,
        held: TimedBundles[Asked],
        sound: SoundDevice,
        midi: MidiInput,
        output_ring: OutputRing,
        dropped_datagrams: Callable[[], int],
        takes_folder: Path,
    ) -> None:
        self._answers, self._player, self._status, self._requests = answers, player, status, requests
        self._held, self._sound, self._midi, self._output_ring = held, sound, midi, output_ring
        self._dropped_datagrams, self._takes_folder = dropped_datagrams, takes_folder
        self._load, self._looked_at, self._worked_seconds = 0.0, time.monotonic(), 0.0
        self.handlers: Handlers = {"status": self._tell_status}

    def _tell_status(self, asked: Asked) -> None:
        self._answers.reply(asked, flat(self._values()))

    def _values(self) -> dict[str, Value]:
        loaded = self._status.loaded
        return {
            "player": "ready" if loaded else "loading" if self._player.running else "dead",
            "preset": self._status.preset,
            "digest": loaded.digest if loaded else "",
            "engine": loaded.engine if loaded else "",
            "engine_why": loaded.engine_why if loaded else "",
            "real_time_factor": loaded.real_time_factor if loaded else 0.0,
            "plans": loaded.plans_notes if loaded else False,
            "output": self._sound.output_text,
            "input": self._sound.input_text,
            "midi_in": self._midi.ports_text("inputs"),
            "midi_out": self._midi.ports_text("outputs"),
            "clock_out": self._midi.ports_text("clocks"),
            "notes_out": self._midi.ports_text("notes"),
            "listening": self._sound.listening,
            "heard": self._status.heard.seconds,
            "missed_input": self._status.heard.missed_seconds,
            "jobs": sum(other.is_job for other in self._requests.asked.values()),
            "held": len(self._held),
            "load": self._player_load(),
            "underruns": self._output_ring.underruns,
            "missing_samples": self._output_ring.missing_samples,
            "dropped_datagrams": self._dropped_datagrams(),
            "takes": str(self._takes_folder),
        }

    def _player_load(self) -> float:
        """Processor time that the player has taken since it was last asked for, per second; not over less than that."""
        now, worked = time.monotonic(), self._output_ring.worked_seconds
        lasted = now - self._looked_at
        has_told = worked != self._worked_seconds or lasted > _SILENT_SECONDS  # it tells between its steps
        if lasted >= _LOAD_SECONDS and has_told:
            # another player counts from nothing
            self._load = max(0.0, worked - self._worked_seconds) / lasted
            self._looked_at, self._worked_seconds = now, worked
        return self._load
