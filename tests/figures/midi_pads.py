"""From a pad to the first sample: how long after a stroke the sound of its take begins.

    python -m tests.figures.midi_pads [--triggers 100]

The daemon has the piano, which has heard its own phrase; every stroke has it go on for a short while, with no line to
wait for. A JACK server without hardware carries MIDI and sound. Told for each stroke, in milliseconds from when the
pad's program hands it to JACK: until its first sample, as a recording of the device has it (the time at which JACK
asked for that sample); until a client hears ``started``; and of that, what the daemon itself tells as ``waited``. The
rest is JACK, which hands MIDI on at its next periods, and three pipes between processes. The latency of a sound
device, one of its periods at least, is not in it.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jack_rig import PERIOD_SAMPLES, RATE_HZ, Capture, jack_server
from live_daemon import client, live_daemon, pairs, wait_ready
from midi_rig import controller
from numpy.typing import NDArray

from bridge.midi.ports import MidiSettings
from bridge.player.settings import INSTRUMENT_FACTORY
from melnet_music.model.preset import PHRASE_FILE, find_preset
from tests.figures.support.program import run

PRESET = "piano"
_DEVICE = "system"
_MAP = '[[map]]\nnote = 36\ndo = "continue"\nwith = { seconds = 0.5, quantise = "none" }\n'


def measure(folder: Path, *, triggers: int) -> Mapping[str, object]:
    moments = random.Random(1)
    map_file, phrase = folder / "midi.toml", find_preset(PRESET) / PHRASE_FILE
    map_file.write_text(_MAP)
    struck, heard_ms, waited_ms = list[float](), list[float](), list[float]()
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
        capture = Capture(folder, most_seconds=10.0 * triggers)
        capture.wait_until_ready()
        for number in range(1, triggers + 1):
            # everywhere in JACK's periods, and after the last take's sound has ended for the recording, too
            time.sleep(moments.uniform(0.5, 0.7))
            struck_at = time.monotonic()
            pad.send(0x99, 36, 100)
            started = player.wait_for("event", "started", "midi:0", "continue", number, seconds=120.0)
            struck.append(struck_at)
            heard_ms.append(1e3 * (time.monotonic() - struck_at))
            waited_ms.append(1e3 * float(str(pairs(started[2:])["waited"])))
            player.wait_for("event", "finished", "midi:0", "continue", number, seconds=120.0)
        began_at = capture.began_at()
        captured = capture.stop()
    first_ms = [1e3 * seconds for seconds in _until_sound(captured, [at - began_at for at in struck])]
    return {
        "jack_period_ms": 1e3 * PERIOD_SAMPLES / RATE_HZ,
        "stroke_to_first_sample_ms": _distribution(first_ms),
        "stroke_to_started_ms": _distribution(heard_ms),
        "waited_ms": _distribution(waited_ms),
    }


def _until_sound(captured: NDArray[np.float32], struck: list[float]) -> list[float]:
    """From each of these seconds in the recording until it sounds. Between takes it is silent to the bit."""
    sounding = np.flatnonzero(captured)
    first = sounding[np.searchsorted(sounding, [round(at * RATE_HZ) for at in struck])]
    return [float(sample / RATE_HZ - at) for sample, at in zip(first, struck, strict=True)]


def _distribution(values: list[float]) -> dict[str, float]:
    places = {"least": 0, "median": 50, "p90": 90, "p99": 99, "most": 100}
    return {name: round(float(np.percentile(values, place)), 1) for name, place in places.items()}


if __name__ == "__main__":
    run(measure, triggers=100)
