"""How long after its trigger a planned continuation sounds, and an unplanned one: after a minute of piano music.

Both in turn, with the `piano` preset and the notes that its ear heard.
"""

from __future__ import annotations

import logging
import statistics
import time
from pathlib import Path

from jack_rig import jack_server
from live_daemon import client, pairs

from tests.figures.support.music_file import composed_piece
from tests.figures.support.program import run
from tests.figures.support.served_daemon import DEVICE, PATIENCE_SECONDS, served

_LOG = logging.getLogger(__name__)

_IDLE_SECONDS = 1.0
"""Between takes: musicians do not trigger at once again."""


def measure(folder: Path, *, triggers: int, seconds: float) -> dict[str, object]:
    """Args:
    triggers: how many of each kind.
    seconds: of each take.
    """
    piece = composed_piece(folder)
    waited: dict[str, list[float]] = {"on": [], "off": []}
    planned_notes = 0
    with (
        jack_server(),
        served(folder / "takes", "--audio-out", DEVICE, allowed=folder) as daemon,
        client(daemon) as player,
    ):
        player.send("subscribe")
        player.send("prime/file", piece.name)
        player.wait_for("done", "prime/file", seconds=PATIENCE_SECONDS)
        for number in range(2 * triggers + 2):  # the first of each kind warms up
            plan = "on" if number % 2 else "off"
            time.sleep(_IDLE_SECONDS)
            player.heard.clear()
            player.send("continue", number, "seconds", seconds, "seed", number // 2, "plan", plan)
            started = pairs(player.wait_for("started", "continue", number, seconds=PATIENCE_SECONDS))
            player.wait_for("finished", "continue", number, seconds=PATIENCE_SECONDS)
            for message in player.heard:
                if message.address == "/melnet/warning":
                    _LOG.warning("%s", message.values[2])
            planned_notes += sum(message.values[:1] == ["plan"] for message in player.heard)
            if number >= 2:
                waited[plan].append(1e3 * float(str(started["waited"])))
            _LOG.info("plan %s: %.0f ms", plan, 1e3 * float(str(started["waited"])))
    return {
        "trigger_to_sound_ms": {
            plan: {"median": round(statistics.median(each)), "worst": round(max(each)), "best": round(min(each))}
            for plan, each in waited.items()
        },
        "planned_notes_told": planned_notes,
    }


if __name__ == "__main__":
    run(measure, triggers=20, seconds=1.0)
