"""Planned takes that follow the transport, and what is played, while they are made, in whole daemons."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from jack_rig import jack_server
from live_daemon import Player, client, live_daemon, pairs, wait_ready, wait_until
from short_of_time import SHORT, shorten_ring

from bridge.cli.main import main
from bridge.osc.datagrams import Message
from bridge.player.settings import INSTRUMENT_FACTORY
from bridge.stage.daemon import Daemon
from bridge.takes.take_files import read_take
from melnet_music.notes.score.grid import STEPS_PER_QUARTER

PATIENCE_SECONDS = 120.0
ASTRAY_SECONDS = 0.015
"""How far a player strays from the grid at most, with what is rounded."""


def on_the_grid(json_file: Path) -> list[float]:
    """Beats of a take's notes in the bars that it followed, which they lie on: checked."""
    job = read_take(json_file).job
    assert job.planning is not None
    assert job.planning.begins_at is not None
    timeline, begins_at = job.planning.timeline, job.planning.begins_at
    beats = [timeline.beat_at(begins_at + onset_s) for onset_s, *_ in job.notes or ()]
    nearest = [timeline.seconds_at(round(beat * STEPS_PER_QUARTER) / STEPS_PER_QUARTER) for beat in beats]
    astray = np.array(nearest) - begins_at - np.array([onset_s for onset_s, *_ in job.notes or ()])
    assert np.abs(astray).max() < ASTRAY_SECONDS
    return beats


def is_being_made(message: Message) -> bool:
    if message.address != "/melnet/progress":
        return False
    told = pairs(message.values)
    return 0.0 < float(str(told["generated"])) < float(str(told["of"]))


def test_a_take_goes_on_in_another_tempo(tmp_path: Path, narrow_piano: Path) -> None:
    with live_daemon(tmp_path, preset=str(narrow_piano), factory=INSTRUMENT_FACTORY) as daemon, client(daemon) as one:
        wait_ready(one)
        one.run_job("generate", 9, "seconds", 0.5, "plan", "on", seconds=PATIENCE_SECONDS)  # readies the score model
        one.send("generate", 1, "seconds", 20.0, "seed", 5, "plan", "on", "density", 2.0)
        one.wait_until(is_being_made, "made part of it", PATIENCE_SECONDS)
        one.send("set", "tempo", 60.0)
        finished = pairs(one.wait_for("finished", "generate", 1, seconds=PATIENCE_SECONDS))
    described = Path(str(finished["file"])).with_suffix(".json")
    tempos = [tempo["bpm"] for tempo in json.loads(described.read_text())["planning"]["timeline"]["tempos"]]
    assert tempos[0] == pytest.approx(120.0)
    assert tempos[-1] == pytest.approx(60.0)
    assert len(on_the_grid(described)) > 20


@pytest.fixture(scope="module")
def daemon(narrow_piano: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    takes = tmp_path_factory.mktemp("takes")
    with pytest.MonkeyPatch.context() as patch, jack_server(synchronous=False):
        shorten_ring(patch)
        with live_daemon(takes, preset=str(narrow_piano), factory=SHORT, output="system") as running:
            yield running


@pytest.fixture
def player(daemon: Daemon) -> Iterator[Player]:
    with client(daemon) as one:
        wait_ready(one)
        yield one


def test_bar_lines_of_a_take_that_sounds_fall_on_those_of_the_transport(daemon: Daemon, player: Player) -> None:
    player.send("generate", 1, "bars", 7, "seed", 5, "plan", "on", "density", 2.0, "quantise", "bar")
    started = pairs(player.wait_for("started", "generate", 1, seconds=PATIENCE_SECONDS))
    line = int(str(started["bar"]))
    wait_until(lambda: int(str(player.ask("transport")["bar"])) > line)
    player.send("set", "tempo", 150.0)
    finished = pairs(player.wait_for("finished", "generate", 1, seconds=PATIENCE_SECONDS))
    described = Path(str(finished["file"])).with_suffix(".json")
    planning = read_take(described).job.planning
    assert planning is not None
    assert planning.begins_at is not None
    beats = on_the_grid(described)
    transport, timeline = daemon._stage._transport.timeline, planning.timeline
    last = timeline.beat_at(planning.begins_at + float(str(finished["seconds"])))
    lines = [timeline.seconds_at(timeline.beat_of(timeline.place_at(beat).bar)) for beat in (beats[0] + 0.5, last)]
    for at in lines:
        assert transport.beat_at(at) % 4.0 == pytest.approx(0.0, abs=0.01) or transport.beat_at(at) % 4.0 > 3.99
    assert timeline.tempos[-1].bpm == pytest.approx(150.0)


def test_a_take_answers_the_keys_that_are_played_while_it_sounds(
    player: Player, narrow_piano: Path, tmp_path: Path
) -> None:
    def take(number: int, *keys: int) -> Path:
        player.send("generate", number, "seconds", 7.0, "seed", 5, "plan", "on", "density", 2.0)
        player.wait_for("started", "generate", number, seconds=PATIENCE_SECONDS)
        for key in keys:
            player.send("note", key, 100)
            player.wait_for("progress", "generate", number)
            player.send("note", key, 0)
        finished = pairs(player.wait_for("finished", "generate", number, seconds=PATIENCE_SECONDS))
        return Path(str(finished["file"]))

    def notes_of(file: Path) -> list[list[float]]:
        return list(json.loads(file.with_suffix(".json").read_text())["notes"])

    alone, answered = take(1), take(2, 84, 86, 88, 91, 96)
    first = next(
        at for at, pair in enumerate(zip(notes_of(alone), notes_of(answered), strict=False)) if pair[0] != pair[1]
    )
    assert first > 0  # what it had planned by then stays
    again = tmp_path / "again.wav"
    described = str(answered.with_suffix(".json"))
    assert main(["render", described, str(again), "--preset", str(narrow_piano)]) == 0
    np.testing.assert_array_equal(*(soundfile.read(path, dtype="float32")[0] for path in (answered, again)))
