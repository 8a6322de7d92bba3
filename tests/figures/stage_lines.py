"""Twenty triggers at random moments, each to begin on the next bar line: how far from it the take begins.

At 120 bpm in 4/4, with the `piano` preset. Where a take begins is told twice: by the audio process, which counts what
the device asks for and so knows the line itself; and by a recording of the device, in which every take is found bit for
bit, and which knows the distances between takes.
"""

from __future__ import annotations

import logging
import random
import statistics
import time
from pathlib import Path

from jack_rig import RATE_HZ, Capture, jack_server
from live_daemon import client, live_daemon, pairs, wait_ready

from bridge.audio.output_ring import _BEGAN
from bridge.clock.transport import Place
from bridge.player.settings import INSTRUMENT_FACTORY
from bridge.stage.daemon import Daemon
from tests.figures.support.heard import places_of, sound_of
from tests.figures.support.program import run

_LOG = logging.getLogger(__name__)

DEVICE = "system"
TEMPO_BPM = 120.0
BAR_SAMPLES = 2 * RATE_HZ
_PATIENCE_SECONDS = 60.0


def line_sample(daemon: Daemon, bar: int) -> int:
    """The device time of a bar's line."""
    transport = daemon._stage._transport
    return transport.in_device_time(transport.line_at(Place(bar - 1, 0.0))).first_sample


def began_sample(daemon: Daemon) -> int:
    """The device time of the first sample of what sounds."""
    return int(daemon._output_ring._words[_BEGAN])


def summary(errors: list[int]) -> dict[str, float]:
    """Of distances in samples."""
    sizes = [abs(error) for error in errors]
    return {"largest": max(sizes), "median": statistics.median(sizes)}


def measure(folder: Path, *, triggers: int, seconds: float) -> dict[str, object]:
    """Args:
    triggers: how many.
    seconds: of each take.
    """
    moments = random.Random(1)
    by_audio_process, bars, files, moved = [], [], [], 0
    with (
        jack_server(),
        live_daemon(folder, preset="piano", output=DEVICE, factory=INSTRUMENT_FACTORY) as daemon,
        client(daemon) as player,
    ):
        wait_ready(player)
        player.send("set", "tempo", TEMPO_BPM)
        player.send("set", "quantise", "bar")
        capture = Capture(folder, most_seconds=triggers * (seconds + 10.0))
        capture.wait_until_ready()
        for number in range(triggers):
            time.sleep(moments.uniform(0.0, BAR_SAMPLES / RATE_HZ))
            player.send("generate", number, "seconds", seconds)
            promised = pairs(player.wait_for("done", "generate", number))["bar"]
            bar = int(str(pairs(player.wait_for("started", "generate", number, seconds=_PATIENCE_SECONDS))["bar"]))
            finished = pairs(player.wait_for("finished", "generate", number, seconds=_PATIENCE_SECONDS))
            by_audio_process.append(began_sample(daemon) - line_sample(daemon, bar))
            bars.append(bar)
            files.append(Path(str(finished["file"])))
            moved += bar != promised
            _LOG.info("trigger %d: bar %d, %d samples from its line", number, bar, by_audio_process[-1])
        status = player.ask("status")
        captured = capture.stop()
    found = [places_of(sound_of(file), captured) for file in files]
    begins = [places[0] for places in found if len(places) == 1]
    apart = (
        [begin - begins[0] - (bar - bars[0]) * BAR_SAMPLES for begin, bar in zip(begins, bars, strict=True)]
        if len(begins) == len(bars)
        else []
    )
    return {
        "triggers": triggers,
        "samples_from_the_line_by_the_audio_process": summary(by_audio_process),
        "takes_found_once_in_the_recording": len(begins),
        "samples_from_the_grid_in_the_recording": summary(apart) if apart else None,
        "takes_on_another_bar_than_promised": moved,
        "underruns": status["underruns"],
        "missing_samples": status["missing_samples"],
    }


if __name__ == "__main__":
    run(measure, triggers=20, seconds=1.0)
