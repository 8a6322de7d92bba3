"""Bars of a live daemon: waited for, recorded, looped."""

from __future__ import annotations

import time
from pathlib import Path

from jack_rig import generator
from live_daemon import Player, pairs

RATE_HZ = 48000
TEMPO = 240.0
BAR_SAMPLES = RATE_HZ
"""In 4/4."""
DEADLINE_SECONDS = 120.0
_LOOK_SECONDS = 0.05


def bar_of(player: Player) -> int:
    return int(str(player.ask("transport")["bar"]))


def wait_for_bar(player: Player, bar: int) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while bar_of(player) < bar:
        assert time.monotonic() < deadline
        time.sleep(_LOOK_SECONDS)


def record_bars(player: Player, count: int, sound: Path | None = None) -> int:
    """Listen to counted samples, or a sound file, for so many whole bars; returns the first of them."""
    player.send("listen/start")
    player.wait_for("done", "listen/start")
    with generator(sound):
        first = bar_of(player) + 1
        wait_for_bar(player, first + count + 1)
    player.send("listen/stop")
    player.wait_for("done", "listen/stop")
    return first


def start_loop(player: Player, first: int, last: int) -> None:
    """Returns when it plays."""
    player.send("loop/start", first, last)
    told = pairs(player.wait_for("done", "loop/start"))
    wait_for_bar(player, int(str(told["bar"])) + 1)
