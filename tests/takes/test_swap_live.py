"""Presets are swapped while a take sounds: on the line that was asked for, without a gap, measured on the device."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from jack_rig import RATE_HZ, Capture, jack_server
from live_daemon import Player, client, end_all, live_daemon, pairs, process_id, wait_ready
from numpy.typing import NDArray
from scripted_instrument import SEED_RAISES, counted

from bridge.stage.daemon import Daemon
from bridge.takes.take_files import read_take

DEVICE = "system"
TEMPO = 240.0
BAR_SAMPLES = RATE_HZ
OLD, NEW = "rtf=20 hz=48000 block=0.05", "rtf=20 hz=48000 block=0.1 digest=1111"
TAKE_SECONDS = 5.0
LONG_SECONDS = 8.0
"""Of takes during which bars are of two seconds."""


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with jack_server(), live_daemon(tmp_path_factory.mktemp("takes"), preset=OLD, output=DEVICE) as running:
        yield running


@pytest.fixture
def player(daemon: Daemon) -> Iterator[Player]:
    with client(daemon) as player:
        wait_ready(player)
        player.send("load", OLD)
        player.wait_for("done", "load")
        player.send("set", "tempo", TEMPO)
        player.wait_for("done", "set")
        player.heard.clear()
        yield player
        end_all(player)


def start(player: Player, *values: object, seconds: float = TAKE_SECONDS) -> dict[str, object]:
    """A take on a bar line, which sounds."""
    player.send("generate", 1, "seconds", seconds, "quantise", "bar", *values)  # type: ignore[arg-type]
    return pairs(player.wait_for("started", "generate", 1))


def bar_of(told: dict[str, object]) -> int:
    assert told["beat"] == pytest.approx(1.0, abs=1e-3)
    return int(str(told["bar"]))


def samples_of(told: dict[str, object]) -> NDArray[np.float32]:
    samples, rate_hz = soundfile.read(str(told["file"]), dtype="float32")
    assert rate_hz == RATE_HZ
    return samples


def test_a_take_that_sounds_goes_on_with_another_preset_on_a_bar_line(player: Player, tmp_path: Path) -> None:
    capture = Capture(tmp_path)
    capture.wait_until_ready()
    begun = bar_of(start(player))
    player.send("load", NEW, "quantise", "bar")
    promised = pairs(player.wait_for("done", "load"))
    bar = bar_of(promised)
    handed = pairs(player.wait_for("handed", "generate", 1))
    swapped = pairs(player.wait_for("started", "load"))
    assert bar_of(swapped) == bar_of(handed) == bar
    assert player.ask("status")["preset"] == NEW
    finished = pairs(player.wait_for("finished", "generate", 1, seconds=60.0))
    assert (finished["take"], finished["follows"]) == (handed["goes_on_as"], handed["take"])
    assert (handed["gaps"], finished["gaps"], finished["sounded"]) == (0, 0, True)

    old, new = samples_of(handed), samples_of(finished)
    line = (bar - begun) * BAR_SAMPLES
    np.testing.assert_array_equal(old, counted(0, line))
    lead = round(read_take(Path(str(finished["file"])).with_suffix(".json")).job.lead_seconds * RATE_HZ)
    np.testing.assert_array_equal(new[:lead], old[len(old) - lead :])
    np.testing.assert_array_equal(new[lead:], counted(0, round(TAKE_SECONDS * RATE_HZ) - line))
    captured = capture.stop()
    begin = int(np.flatnonzero(captured)[0])
    np.testing.assert_array_equal(captured[begin:][: line + len(new) - lead], np.concatenate([old, new[lead:]]))

    how = json.loads(Path(str(handed["file"])).with_suffix(".json").read_text())
    assert how["cut_short_after_seconds"] == line / RATE_HZ
    player.send("take/list")
    listed = [dict(zip(m.values[::2], m.values[1::2], strict=True)) for m in replies(player)]
    assert [take["take"] for take in listed[-2:]] == [handed["take"], finished["take"]]


def replies(player: Player) -> list[object]:
    player.wait_for("done", "take/list")
    return [m for m in player.heard if m.address == "/melnet/take/list.reply"]


def test_jobs_behind_are_made_by_the_new_preset(player: Player) -> None:
    start(player)
    player.send("generate", 2, "seconds", 0.5)
    player.wait_for("progress", "generate", 2)  # it is in the making, or made
    player.send("load", NEW)
    player.send("generate", 3, "seconds", 0.5)
    player.wait_for("started", "load")
    for number in (2, 3):
        finished = pairs(player.wait_for("finished", "generate", number, seconds=60.0))
        saved = read_take(Path(str(finished["file"])).with_suffix(".json"))
        assert (saved.origin.preset, finished["gaps"]) == (NEW, 0)


def test_a_take_is_made_again_with_its_own_preset_only(player: Player) -> None:
    player.send("generate", 1, "seconds", 0.2)
    player.wait_for("finished", "generate", 1)
    player.send("load", NEW)
    player.wait_for("done", "load")
    player.send("take/reroll", 2)
    code, message = player.wait_for("fail", "take/reroll", 2)[2:]
    assert code == "refused"
    assert OLD in str(message)
    player.send("load", OLD)
    player.wait_for("done", "load")
    player.send("take/reroll", 2)
    player.wait_for("finished", "take/reroll", 2)


def test_what_cannot_be_loaded_leaves_the_take_alone(player: Player, tmp_path: Path) -> None:
    capture = Capture(tmp_path)
    capture.wait_until_ready()
    player.send("generate", 1, "seconds", 3.0)
    player.wait_for("started", "generate", 1)
    player.send("load", "no such preset", "quantise", "bar")
    assert player.wait_for("fail", "load")[2] == "unknown_preset"
    finished = pairs(player.wait_for("finished", "generate", 1))
    assert (finished["gaps"], "follows" in finished) == (0, False)
    captured = capture.stop()
    begin = int(np.flatnonzero(captured)[0])
    np.testing.assert_array_equal(captured[begin:][: 3 * RATE_HZ], counted(0, 3 * RATE_HZ))


def test_a_preset_that_fails_to_go_on_leaves_the_take_alone(player: Player) -> None:
    start(player, "seed", SEED_RAISES - 1)
    player.send("load", NEW, "quantise", "bar")
    assert player.wait_for("fail", "load")[2] == "failed"
    assert player.ask("status")["preset"] == OLD
    finished = pairs(player.wait_for("finished", "generate", 1, seconds=60.0))
    assert (finished["seconds"], finished["gaps"]) == (TAKE_SECONDS, 0)


def test_a_line_that_is_past(player: Player) -> None:
    start(player)
    player.send("load", NEW, "at_bar", 1, "late", "drop")
    assert player.wait_for("fail", "load")[2] == "too_late"
    player.send("load", NEW, "at_bar", 1, "late", "play")
    player.wait_for("started", "load")


def test_cancelled_before_the_line_the_preset_is_loaded_all_the_same(player: Player) -> None:
    begun = bar_of(start(player))
    player.send("load", NEW, "at_bar", begun + 4)
    player.wait_for("done", "load")
    player.send("cancel", 1)
    assert player.wait_for("fail", "generate", 1)[2] == "cancelled"
    player.wait_for("started", "load")
    assert player.ask("status")["preset"] == NEW
    player.run_job("generate", 2, "seconds", 0.25)


def test_panic_silences_what_was_handed_over(player: Player) -> None:
    start(player)
    player.send("load", NEW)
    player.wait_for("handed", "generate", 1)
    player.send("panic")
    assert player.wait_for("fail", "generate", 1)[2] == "cancelled"
    assert any(m.address == "/melnet/started" and m.values[0] == "load" for m in player.heard)
    player.run_job("generate", 2, "seconds", 0.25)


def test_a_change_of_tempo_moves_the_line(player: Player) -> None:
    begun = bar_of(start(player, seconds=LONG_SECONDS))
    player.send("load", NEW, "at_bar", begun + 3)
    player.wait_for("done", "load")
    player.send("set", "tempo", TEMPO / 2)
    assert bar_of(pairs(player.wait_for("started", "load"))) == begun + 3


def test_while_nothing_sounds_it_waits_for_no_far_line(player: Player) -> None:
    bar = int(str(player.ask("transport")["bar"])) + 5
    player.send("generate", 1, "seconds", 0.25, "at_bar", bar)
    player.wait_for("done", "generate", 1)
    player.send("load", NEW, "quantise", "bar")
    assert "bar" not in pairs(player.wait_for("done", "load"))
    started = pairs(player.wait_for("started", "generate", 1))
    assert bar_of(started) == bar
    finished = pairs(player.wait_for("finished", "generate", 1))
    assert read_take(Path(str(finished["file"])).with_suffix(".json")).origin.preset == NEW


def test_everybody_is_answered_when_the_player_dies_meanwhile(player: Player, daemon: Daemon) -> None:
    begun = bar_of(start(player))
    player.send("load", NEW, "at_bar", begun + 4)
    player.wait_for("done", "load")
    os.kill(process_id(daemon, "player"), signal.SIGKILL)
    for command, number in (("generate", 1), ("load", -1)):
        assert player.wait_for("fail", command, number)[2] == "player_died"
    wait_ready(player)
    assert player.ask("status")["preset"] == OLD


def test_a_sound_server_that_dies_meanwhile_leaves_nobody_waiting(tmp_path: Path) -> None:
    with (
        jack_server(synchronous=False) as doomed,
        live_daemon(tmp_path, preset=OLD, output=DEVICE) as daemon,
        client(daemon) as player,
    ):
        wait_ready(player)
        player.send("generate", 1, "seconds", LONG_SECONDS)
        player.wait_for("started", "generate", 1)
        bar = int(str(player.ask("transport")["bar"])) + 3
        player.send("load", NEW, "at_bar", bar)
        player.wait_for("done", "load")
        doomed.kill()
        finished = pairs(player.wait_for("finished", "generate", 1, seconds=60.0))
        assert (finished["seconds"], "follows" in finished) == (LONG_SECONDS, False)
        player.wait_for("started", "load")
        assert player.ask("status")["preset"] == NEW
