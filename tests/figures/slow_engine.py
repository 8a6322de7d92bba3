"""An engine five times slower than it needs to be: what is promised to twenty triggers, and what becomes of it.

The engine follows a script (`tests/support/scripted_instrument.py`): it makes a fifth of a second of sound in a second.
Every trigger is to begin on the next bar line that it can be ready for, at 120 bpm in 4/4.
"""

from __future__ import annotations

import logging
import random
import time
from pathlib import Path

import numpy as np
from jack_rig import RATE_HZ, Capture, jack_server
from live_daemon import client, live_daemon, pairs, wait_ready
from scripted_instrument import counted

from tests.figures.stage_lines import BAR_SAMPLES, DEVICE, TEMPO_BPM, began_sample, line_sample, summary
from tests.figures.support.program import run

_LOG = logging.getLogger(__name__)

_PATIENCE_SECONDS = 120.0


def measure(folder: Path, *, triggers: int, seconds: float, rate: float) -> dict[str, object]:
    """Args:
    triggers: how many.
    seconds: of each take.
    rate: of the engine, in seconds of sound a second.
    """
    moments = random.Random(1)
    table: list[dict[str, object]] = []
    errors = []
    with (
        jack_server(),
        live_daemon(folder, preset=f"rtf={rate} hz={RATE_HZ} block=0.05", output=DEVICE) as daemon,
        client(daemon) as player,
    ):
        wait_ready(player)
        player.send("set", "tempo", TEMPO_BPM)
        player.send("set", "quantise", "bar")
        capture = Capture(folder, most_seconds=triggers * (2 * seconds / rate + 10.0))
        capture.wait_until_ready()
        for number in range(triggers):
            time.sleep(moments.uniform(0.0, BAR_SAMPLES / RATE_HZ))
            player.send("generate", number, "seconds", seconds)
            done = pairs(player.wait_for("done", "generate", number))
            started = pairs(player.wait_for("started", "generate", number, seconds=_PATIENCE_SECONDS))
            finished = pairs(player.wait_for("finished", "generate", number, seconds=_PATIENCE_SECONDS))
            errors.append(began_sample(daemon) - line_sample(daemon, int(str(started["bar"]))))
            table.append(
                {
                    "promised_bar": done["bar"],
                    "bar": started["bar"],
                    "promised_seconds": round(float(str(done["start_in"])), 3),
                    "seconds": round(float(str(started["waited"])), 3),
                    "samples_from_the_line": errors[-1],
                    "gaps": finished["gaps"],
                }
            )
            _LOG.info("trigger %d: %s", number, table[-1])
        status = player.ask("status")
        captured = capture.stop()
    whole = counted(0, round(seconds * RATE_HZ))
    begins = np.flatnonzero(captured == whole[0])
    return {
        "triggers": triggers,
        "takes_in_the_recording_bit_for_bit": sum(
            np.array_equal(captured[begin : begin + len(whole)], whole) for begin in begins
        ),
        "takes_on_another_bar_than_promised": sum(row["bar"] != row["promised_bar"] for row in table),
        "samples_from_the_line": summary(errors),
        "underruns": status["underruns"],
        "missing_samples": status["missing_samples"],
        "table": table,
    }


if __name__ == "__main__":
    run(measure, triggers=20, seconds=1.0, rate=0.2)
