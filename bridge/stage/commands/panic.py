"""The command ``panic``: silence at once, and nothing held back."""

from __future__ import annotations

from bridge.audio.loop_player import LoopPlayer
from bridge.audio.output_ring import OutputRing
from bridge.osc.answers import Answers, Asked
from bridge.protocol.timed_bundles import TimedBundles
from bridge.stage.commands.handlers import Handlers
from bridge.stage.live_notes import LiveNotes
from bridge.stage.open_requests import OpenRequests
from bridge.stage.planned_notes import PlannedNotesOut
from bridge.tape.tape_index import TapeIndex


class PanicCommand:
    def __init__(
        self,
        *,
        answers: Answers,
        requests: OpenRequests,
        held: TimedBundles[Asked],
        notes: LiveNotes,
        tape_index: TapeIndex,
        output_ring: OutputRing,
        loop_player: LoopPlayer,
        planned_notes: PlannedNotesOut,
    ) -> None:
        self._answers, self._requests, self._held = answers, requests, held
        self._notes, self._tape_index = notes, tape_index
        self._output_ring, self._loop_player = output_ring, loop_player
        self._planned_notes = planned_notes
        self.handlers: Handlers = {"panic": self._panic}

    def _panic(self, asked: Asked) -> None:
        # The device process fades out at once, whatever the player is busy with.
        self._output_ring.hush()
        self._loop_player.hush()
        self._planned_notes.end_all()
        self._tape_index.loop = None
        self._notes.clear()
        told = set()  # once is enough for commands that no id tells apart: a flood of answers would be lost
        for held in self._held.clear():
            same = held.sender, held.invocation.command.name, held.invocation.job_id
            if same not in told:
                told.add(same)
                self._answers.fail(held, "cancelled", "panic dropped all that was held")
        self._requests.send_panic(asked)
