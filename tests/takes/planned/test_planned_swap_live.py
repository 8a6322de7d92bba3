"""A planned take that another preset takes over on a bar line: it stays planned, and all its notes are told."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from jack_rig import jack_server
from live_daemon import Player, client, live_daemon, pairs, wait_ready
from narrow_piano import write_narrow_piano
from short_of_time import SHORT, shorten_ring

from bridge.stage.daemon import Daemon

PATIENCE_SECONDS = 120.0
NEAR_BEATS = 0.01
PLAYED_EARLY_SECONDS = 0.02
"""Notes on a line, which are played a little before or after it, belong to either take."""


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Daemon]:
    shorten_ring(monkeypatch)
    planning_piano = str(write_narrow_piano(tmp_path, plans=True))
    with (
        jack_server(synchronous=False),
        live_daemon(tmp_path / "takes", preset=planning_piano, factory=SHORT, output="system") as running,
    ):
        yield running


def told_by(player: Player) -> dict[int, list[tuple[float, int]]]:
    """Beat, from the beginning of bar 1, and key of the notes that were told, by take."""
    told: dict[int, list[tuple[float, int]]] = {}
    for message in player.heard:
        if message.address == "/melnet/event" and message.values[0] == "plan":
            said = pairs(["", *message.values])
            beat = 4.0 * (float(str(said["bar"])) - 1) + float(str(said["beat"])) - 1
            told.setdefault(int(str(said["take"])), []).append((beat, int(str(said["key"]))))
    return told


def given(told: dict[str, object], later_seconds: float = 0.0) -> Counter[int]:
    """Keys of the notes in a take's file that begin in it, or so long after it."""
    how = json.loads(Path(str(told["file"])).with_suffix(".json").read_text())
    seconds = float(str(told["seconds"])) - how["lead_seconds"] + later_seconds
    return Counter(int(key) for onset, _, key, _ in how["notes"] if onset < seconds)


def test_it_stays_planned_and_tells_its_notes(daemon: Daemon, narrow_piano: Path) -> None:
    with client(daemon) as player:
        wait_ready(player)
        player.send("subscribe")
        player.wait_for("done", "subscribe")
        bar = int(str(player.ask("transport")["bar"])) + 3
        player.send("generate", 1, "bars", 12, "seed", 5, "density", 2.0, "at_bar", bar, "late", "next")
        player.wait_for("started", "generate", 1, seconds=PATIENCE_SECONDS)
        player.send("load", str(narrow_piano), "quantise", "bar")
        handed = pairs(player.wait_for("handed", "generate", 1, seconds=PATIENCE_SECONDS))
        finished = pairs(player.wait_for("finished", "generate", 1, seconds=PATIENCE_SECONDS))
        assert player.ask("status")["plans"] == 0
    line_beat, told = 4.0 * (int(str(handed["bar"])) - 1), told_by(player)
    before, after = told[int(str(handed["take"]))], told[int(str(handed["goes_on_as"]))]
    assert handed["beat"] == 1.0
    sounded = Counter(key for beat, key in before if beat < line_beat)
    assert given(handed, -PLAYED_EARLY_SECONDS) <= sounded <= given(handed, PLAYED_EARLY_SECONDS)
    assert len(after) > 4
    assert min(beat for beat, _ in after) >= line_beat - NEAR_BEATS
    assert Counter(key for _, key in after) == given(finished)
