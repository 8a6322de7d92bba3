"""Starting the player process, and replacing it when it dies."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field

from bridge.audio.output_ring import OutputRing
from bridge.osc.answers import Answers
from bridge.player.settings import PlayerSettings
from bridge.processes.child_process import ChildProcess
from bridge.processes.messages import Heard, Listen, Load, Loaded, MeasureSurprise
from bridge.protocol.surprise_arguments import SURPRISE
from bridge.stage.live_notes import LiveNotes
from bridge.stage.open_requests import OpenRequests
from bridge.stage.pending_lines import PendingLines
from bridge.stage.planned_notes import PlannedNotesOut
from bridge.stage.properties import Properties
from bridge.stage.sound_device import SoundDevice
from bridge.stage.variations.open_variations import OpenVariations
from bridge.takes.take_list import TakeList
from bridge.tape.tape_index import TapeIndex

_LOG = logging.getLogger(__name__)

_DYING_SECONDS = 1.0
_RESTARTS = 3
_RESTARTS_WITHIN_SECONDS = 60.0


@dataclass
class PlayerStatus:
    """What the player said of itself."""

    preset: str
    """The name of the last one that was loaded, or what the first one to load was called by."""
    requested: str
    """The name or folder that it was called by; a player that starts after another one died loads it by this."""
    loaded: Loaded | None = None
    """None: it has loaded no preset yet."""
    ever_loaded: bool = False
    """Whether this or an earlier player has loaded a preset."""
    heard: Heard = field(default_factory=lambda: Heard(0.0, 0.0))
    startup_error: str | None = None
    """Why the first preset could not be loaded."""


class PlayerLifecycle:
    """Belongs to the daemon's one thread; nothing here waits longer than a dying process takes to end."""

    def __init__(
        self,
        *,
        status: PlayerStatus,
        player: ChildProcess[PlayerSettings],
        output_ring: OutputRing,
        answers: Answers,
        requests: OpenRequests,
        lines: PendingLines,
        sound: SoundDevice,
        notes: LiveNotes,
        tape_index: TapeIndex,
        takes: TakeList,
        planned_notes: PlannedNotesOut,
        properties: Properties,
        variations: OpenVariations,
    ) -> None:
        self._status, self._player, self._output_ring = status, player, output_ring
        self._answers, self._requests, self._lines = answers, requests, lines
        self._sound, self._notes, self._tape_index, self._takes = sound, notes, tape_index, takes
        self._planned_notes, self._properties, self._variations = planned_notes, properties, variations
        self._deaths: list[float] = []
        """Monotonic times of the last ones."""

    def start(self) -> None:
        """Start a player, have it load the preset, and tell it what the last one knew."""
        self._player.start()
        self._status.loaded = None
        self._sound.tell_player()
        self._player.send(Load(self._requests.next_number(), self._status.requested, self._requests.next_number()))
        restoring = self._tape_index.restore_request(self._takes)
        if restoring:
            self._player.send(restoring)
        self._notes.restore()
        if self._properties.values[SURPRISE.name] == "on":
            self._player.send(MeasureSurprise(True))
        if self._sound.listening:
            self._player.send(Listen(self._requests.next_number(), True))

    def start_if_down(self) -> None:
        """Start a player again that died too often to be restarted by itself."""
        if not self._player.running:
            self._deaths.clear()
            self.start()

    def died(self, *, hung: bool = False) -> None:
        """Tell everybody who waits, fade out, and start another player unless too many died lately.

        Args:
            hung: it showed no sign of life any more, and was killed for that.
        """
        self._output_ring.hush()
        self._planned_notes.end_all()
        how = "hung, and was killed" if hung else "died"
        why = f"the player process {how}; another one starts, and hears again what was heard"
        for asked in self._requests.waiting:
            self._answers.fail(asked, "player_died", why)
        self._variations.lose_all("player_died", why)
        self._player.stop(_DYING_SECONDS)
        self._answers.tell("player", ["died"])
        self._requests.clear()
        self._lines.clear()
        self._tape_index.player_died()
        self._status.heard, self._status.loaded = Heard(0.0, 0.0), None
        self._notes.phrase_is_played = False
        now = time.monotonic()
        self._deaths = [death for death in self._deaths if now - death < _RESTARTS_WITHIN_SECONDS] + [now]
        if len(self._deaths) > _RESTARTS:
            _LOG.error("the player died %d times; it stays down until a preset is loaded", len(self._deaths))
            return
        _LOG.warning("the player died; starting another one")
        self.start()
