"""Long listening and playing: memory of the daemon's processes, underruns, and whether the tape stays with the bars.

A phrase of whole bars is played to the input over and over, and recorded; takes continue it on bar lines, bars of the
tape are repainted. In the beginning and in the end as many bars, without takes, are looped and recorded from the
device: where in the phrase their first bar line lies is the tape's place against the transport, to the sample, and what
differs from the phrase is sound that was lost on the way in.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path

import numpy as np
import psutil
from bars import bar_of, wait_for_bar
from jack_rig import RATE_HZ, Capture, generator, jack_server
from live_daemon import Player, client, pairs

from tests.figures.support.heard import Samples
from tests.figures.support.music_file import bars_of_phrase
from tests.figures.support.program import run
from tests.figures.support.served_daemon import DEVICE, PATIENCE_SECONDS, ServedDaemon, served

_LOG = logging.getLogger(__name__)

BAR_SAMPLES = 2 * RATE_HZ
_FADE = 480
_TAKE_SECONDS = 8.0
_REPAINTED_EVERY = 3
_MIB = 1 << 20


def measure(folder: Path, *, minutes: float) -> dict[str, object]:
    """Args:
    minutes: how long takes are made, after the first.
    """
    sound, phrase = bars_of_phrase(folder, BAR_SAMPLES)
    with (
        jack_server(),
        served(folder / "takes", "--audio-out", DEVICE, "--audio-in", DEVICE) as daemon,
        client(daemon) as player,
        generator(sound),
    ):
        player.send("listen/start")
        player.wait_for("done", "listen/start")
        before = _place_on_tape(player, folder, phrase)
        takes = [_take(player, 1)]
        memory = [_memory(daemon)]
        began = told = time.monotonic()
        number = 1
        while time.monotonic() < began + 60.0 * minutes:
            number += 1
            takes.append(_take(player, number))
            if number % _REPAINTED_EVERY == 0:
                bar = bar_of(player) - 8
                player.run_job("inpaint", number, "from_bar", bar, "to_bar", bar + 1, seconds=PATIENCE_SECONDS)
            if time.monotonic() >= told + 60.0:
                told = time.monotonic()
                memory.append(_memory(daemon))
                _LOG.info("%d takes; %s", number, memory[-1])
        memory.append(_memory(daemon))
        after = _place_on_tape(player, folder, phrase)
        status = player.ask("status")
    apart = after["place"] - before["place"]
    drift = (apart + len(phrase) // 2) % len(phrase) - len(phrase) // 2
    return {
        "takes": len(takes),
        "takes_that_sounded": sum(bool(take["sounded"]) for take in takes),
        "gaps": sum(int(str(take["gaps"])) for take in takes),
        "warnings": [message.values[2] for message in player.heard if message.address == "/melnet/warning"],
        "underruns": status["underruns"],
        "missed_input_seconds": status["missed_input"],
        "drift_samples": drift,
        "samples_lost_on_the_way_in": {"before": before["differ"], "after": after["differ"]},
        "memory_mib": {"after_first_take": memory[0], "after_all": memory[-1], "minute_by_minute": memory[1:-1]},
        **daemon.logged,
    }


def _take(player: Player, number: int) -> dict[str, object]:
    """A continuation on a bar line."""
    return player.run_job("continue", number, "seconds", _TAKE_SECONDS, "quantise", "bar", seconds=PATIENCE_SECONDS)


def _memory(daemon: ServedDaemon) -> dict[str, dict[str, float]]:
    """Of each process: all that it has resident, what it shares with the others included; and what is its alone."""
    processes = {
        "stage": psutil.Process(daemon.process.pid),
        "player": daemon.child("player"),
        "audio": daemon.child("audio"),
    }
    used = {name: process.memory_full_info() for name, process in processes.items()}
    return {
        name: {"resident": round(each.rss / _MIB, 1), "alone": round(each.uss / _MIB, 1)} for name, each in used.items()
    }


def _place_on_tape(player: Player, folder: Path, phrase: Samples) -> dict[str, int]:
    """Record as many bars as the phrase has, loop them, and see where in the phrase bar 1 would begin."""
    bars = len(phrase) // BAR_SAMPLES
    first = bar_of(player) + 2
    wait_for_bar(player, first + bars + 1)
    capture = Capture(folder)
    capture.wait_until_ready()
    player.send("loop/start", first, first + bars - 1)
    bar = int(str(pairs(player.wait_for("done", "loop/start"))["bar"]))
    wait_for_bar(player, bar + 2 * bars + 1)
    player.send("loop/stop")
    player.wait_for("done", "loop/stop")
    captured = capture.stop()
    begin = int(np.flatnonzero(captured)[0]) - 1 + len(phrase)
    heard = captured[begin : begin + len(phrase)]
    alike = np.fft.irfft(np.fft.rfft(phrase) * np.conj(np.fft.rfft(heard)), len(phrase))
    place = int(np.argmax(alike))
    whole = np.roll(phrase, -place)
    _LOG.info("bar %d begins %d samples into the phrase", first, place)
    return {"place": place - (first - 1) * BAR_SAMPLES, "differ": int((heard != whole)[_FADE:-_FADE].sum())}


if __name__ == "__main__":
    run(measure, minutes=30.0)
