"""From a pad to the first sample: how long after a stroke the sound of its take begins.

    python -m tests.figures.midi_pads [--triggers 100]

The daemon has the piano, which has heard its own phrase; every stroke has it go on for a short while, with no line to
wait for. A JACK server without hardware carries MIDI and sound. Told for each stroke, in milliseconds from when the
pad's program hands it to JACK: until the player says that the take sounds (``started``, when the speaker has taken its
first sample), as a client hears it; and of that, what the daemon itself tells as ``waited``. The rest is JACK, which
hands MIDI on at its next periods, and three pipes between processes. The latency of a sound device is not in it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jack_rig import PERIOD_SAMPLES, RATE_HZ, jack_server
from live_daemon import client, live_daemon, pairs, wait_ready
from midi_rig import controller

from bridge.midi import MidiSettings
from bridge.player import INSTRUMENT_FACTORY
from melnet_music.preset import PHRASE_FILE, find_preset
from tests.figures.program import run

PRESET = "piano"
_DEVICE = "system"
_MAP = '[[map]]\nnote = 36\ndo = "continue"\nwith = { seconds = 0.5, quantise = "none" }\n'


def measure(folder: Path, *, triggers: int) -> Mapping[str, object]:
    map_file, phrase = folder / "midi.toml", find_preset(PRESET) / PHRASE_FILE
    map_file.write_text(_MAP)
    heard_ms, waited_ms = [], []
    with (
        jack_server(synchronous=False),
        live_daemon(
            folder / "takes", preset=PRESET, factory=INSTRUMENT_FACTORY, output=_DEVICE, allowed=(phrase.parent,),
            midi=MidiSettings(("pad",), (), "jack"), midi_map=map_file, player_hung_seconds=60.0,
        ) as daemon,
        client(daemon) as player,
        controller("pad") as pad,
    ):  # fmt: skip
        wait_ready(player)
        player.send("subscribe", "lease", 3600.0)
        player.send("prime/file", phrase.name)
        player.wait_for("done", "prime/file", seconds=120.0)
        while player.ask("status")["midi_in"] != "pad:out":
            time.sleep(0.1)
        for number in range(1, triggers + 1):
            struck_at = time.monotonic()
            pad.send(0x99, 36, 100)
            started = player.wait_for("event", "started", "midi:0", "continue", number, seconds=120.0)
            heard_ms.append(1e3 * (time.monotonic() - struck_at))
            waited_ms.append(1e3 * float(str(pairs(started[2:])["waited"])))
            player.wait_for("event", "finished", "midi:0", "continue", number, seconds=120.0)
    return {
        "jack_period_ms": 1e3 * PERIOD_SAMPLES / RATE_HZ,
        "stroke_to_started_ms": _distribution(heard_ms),
        "waited_ms": _distribution(waited_ms),
    }


def _distribution(values: list[float]) -> dict[str, float]:
    places = {"least": 0, "median": 50, "p90": 90, "p99": 99, "most": 100}
    return {name: round(float(np.percentile(values, place)), 1) for name, place in places.items()}


if __name__ == "__main__":
    run(measure, triggers=100)
