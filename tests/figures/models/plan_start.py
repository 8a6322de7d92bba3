"""What it costs to begin a continuation after a minute of piano music, unplanned and planned: up to its first sound.

With the `piano` preset and the notes that its ear heard, in processor time of all threads and by the clock. A plan
reads these notes anew, or they were read ahead, as the daemon does while it listens.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

from melnet_music.instrument.instrument import Instrument
from melnet_music.instrument.planning.take_plan import heard_before, plan_take
from melnet_music.instrument.take_request import TakeRequest
from melnet_music.notes.ear.ear import load_ear
from melnet_music.notes.score.grid import Meter
from melnet_music.notes.score.live import HeardAhead
from melnet_music.notes.score.network import ScoreModel
from melnet_music.notes.score.planned_notes import PlannedNotes, TakeGrid, read_ahead
from melnet_music.notes.score.settings import PlanSettings
from melnet_music.sound.audio_file import read_audio
from tests.figures.support.music_file import composed_piece
from tests.figures.support.program import run

_HEARD_SECONDS = 60
_GRID = TakeGrid.steady(120.0, Meter(4, 4))


def measure(folder: Path, *, takes: int) -> dict[str, object]:
    """Args:
    takes: how many of each kind, in turn.
    """
    instrument, model, ahead = Instrument.load(), ScoreModel.load(), HeardAhead()
    instrument.use_ear(load_ear())
    rate_hz = instrument.sample_rate_hz
    instrument.hear(read_audio(composed_piece(folder)).mono_at(rate_hz)[: _HEARD_SECONDS * rate_hz])
    heard = heard_before(instrument)
    read_ahead(ahead, model, heard, _GRID, len(heard))

    def planned(seed: int, ahead: HeardAhead | None) -> PlannedNotes:
        return plan_take(instrument, model, _GRID, PlanSettings(), seed, from_heard=True, ahead=ahead)

    kinds: dict[str, Callable[[int], PlannedNotes | None]] = {
        "unplanned": lambda seed: None,
        "planned, read anew": lambda seed: planned(seed, None),
        "planned, read ahead": lambda seed: planned(seed, ahead),
    }
    spent: dict[str, list[tuple[float, float]]] = {kind: [] for kind in kinds}
    for seed in range(-1, takes):  # the first of each kind warms up
        for kind, notes in kinds.items():
            began = time.process_time(), time.perf_counter()
            blocks = instrument.continuation(TakeRequest(seconds=1.0, seed=seed + 1, notes=notes(seed + 1)))
            while not len(next(blocks)):
                pass
            if seed >= 0:
                spent[kind].append((1e3 * (time.process_time() - began[0]), 1e3 * (time.perf_counter() - began[1])))
    return {
        "heard_notes": len(heard),
        "milliseconds_to_the_first_new_sound": {
            kind: {
                name: {"median": round(statistics.median(each), 1), "least": round(min(each), 1)}
                for name, each in zip(("processor", "clock"), zip(*times, strict=True), strict=True)
            }
            for kind, times in spent.items()
        },
    }


if __name__ == "__main__":
    run(measure, takes=20)
