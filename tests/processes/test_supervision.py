"""What lives and does nothing, disks that are full, stops in the middle: real processes, signals and limits."""

from __future__ import annotations

import json
import os
import resource
import signal
import time
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest
import soundfile
from live_daemon import client, live_daemon, pairs, process_id, wait_ready
from scripted_instrument import SEED_HANGS, counted

from bridge.processes.child_process import ChildProcess
from bridge.processes.messages import STOP, Loaded, PlayerEvent, PrimeClear
from bridge.stage.stage import Stage

RATE_HZ = 48000
DEAF_SECONDS = 60.0
HUNG_SECONDS = 1.5


def _reads_nothing(connection: Connection, settings: None) -> None:
    time.sleep(DEAF_SECONDS)


def test_requests_to_a_child_that_reads_none_hold_up_nobody() -> None:
    child = ChildProcess("deaf", _reads_nothing, None)
    child.start()
    began = time.monotonic()
    for number in range(10_000):  # many times what fits into its pipe
        child.send(PrimeClear(number))
    child.send(STOP)
    assert time.monotonic() - began < DEAF_SECONDS / 2
    child.kill()
    assert child.stop(5.0) == -signal.SIGKILL
    assert not child.running


@pytest.mark.parametrize("how", ["stopped", "stuck", "stopped while idle"])
def test_a_hung_player_is_replaced(tmp_path: Path, how: str) -> None:
    with (
        live_daemon(tmp_path, preset="rtf=20 hz=48000", player_hung_seconds=HUNG_SECONDS) as daemon,
        client(daemon) as player,
    ):
        wait_ready(player)
        player.send("subscribe")
        player.wait_for("done", "subscribe")
        hung = process_id(daemon, "player")
        if how != "stopped while idle":
            player.send("generate", 1, "seconds", 300.0, "seed", SEED_HANGS if how == "stuck" else 1)
            player.wait_for("done" if how == "stuck" else "progress", "generate", 1)
        if how != "stuck":
            os.kill(hung, signal.SIGSTOP)
        player.send("ping")
        player.wait_for("pong")
        assert not [message for message in player.heard if message.address == "/melnet/fail"]  # nobody waited for that
        if how != "stopped while idle":
            failed = player.wait_for("fail", "generate", 1)
            assert failed[2] == "player_died"
            assert "the player process hung, and was killed" in str(failed[3])
        player.wait_for("event", "player", "ready", seconds=60.0)
        assert process_id(daemon, "player") != hung
        assert player.run_job("generate", 2, "seconds", 0.25)["seconds"] == 0.25


def test_who_hears_that_the_player_is_ready_may_count_on_the_usual_patience(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else one that hangs just then would be given as long as a preset may take to load."""
    longer_seconds: list[float] = []
    hear = Stage.player_event

    def note_patience(stage: Stage, event: PlayerEvent) -> None:
        if isinstance(event, Loaded):
            longer_seconds.append(stage._output_ring.longer_seconds)
        hear(stage, event)

    monkeypatch.setattr(Stage, "player_event", note_patience)
    with live_daemon(tmp_path) as daemon, client(daemon) as player:
        wait_ready(player)
        for _ in range(5):
            player.send("load", "rtf=8 hz=48000 block=0.1")
            player.wait_for("done", "load")
    assert len(longer_seconds) == 6
    assert max(longer_seconds) < 1.0


def test_a_player_that_works_long_is_left_alone(tmp_path: Path) -> None:
    """A block of a slow engine, or of an engine that was asked for a long one, takes longer than the usual patience."""
    slow = "rtf=0.5 hz=48000 block=1"
    with live_daemon(tmp_path, preset=slow, player_hung_seconds=1.0) as daemon, client(daemon) as player:
        wait_ready(player)
        working = process_id(daemon, "player")
        assert player.run_job("generate", 1, "seconds", 1.0)["seconds"] == 1.0
        assert process_id(daemon, "player") == working


def _make_a_take_through_errors_of_ours(takes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with live_daemon(takes) as daemon, client(daemon) as player:
        wait_ready(player)
        run_due, fails = daemon._stage.run_due, iter([True] * 3)

        def run_due_or_fail() -> None:
            if next(fails, False):
                raise KeyError("an error of ours")
            run_due()

        monkeypatch.setattr(daemon._stage, "run_due", run_due_or_fail)
        assert player.run_job("generate", 1, "seconds", 1.0)["seconds"] == 1.0
        assert not next(fails, False)


def test_an_error_of_ours_ends_neither_the_daemon_nor_a_take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # and the rig lets no test pass where one is logged
    with pytest.raises(AssertionError, match="an error of ours"):
        _make_a_take_through_errors_of_ours(tmp_path, monkeypatch)


def test_a_daemon_that_stops_waits_for_no_hung_player(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.stage.daemon._STOP_DEADLINE_SECONDS", 0.5)
    with live_daemon(tmp_path) as daemon, client(daemon) as player:
        wait_ready(player)
        hung = process_id(daemon, "player")
        os.kill(hung, signal.SIGSTOP)
        began = time.monotonic()
    assert time.monotonic() - began >= 0.5
    with pytest.raises(ProcessLookupError):
        os.kill(hung, 0)


def test_a_take_in_the_making_is_kept_when_the_daemon_stops(tmp_path: Path) -> None:
    with live_daemon(tmp_path) as daemon, client(daemon) as player:
        wait_ready(player)
        player.send("generate", 1, "seconds", 300.0, "seed", 7)
        player.send("generate", 2, "seconds", 1.0)
        made = float(str(pairs(player.wait_for("progress", "generate", 1))["generated"]))
        daemon.stop()
        failed = player.wait_for("fail", "generate", 1)
        assert failed[2] == "cancelled"
        assert "kept" in str(failed[3])
    (file,) = tmp_path.glob("*.json")
    samples, _ = soundfile.read(file.with_suffix(".wav"), dtype="float32")
    assert round(made * RATE_HZ) <= len(samples) < 300 * RATE_HZ  # OSC tells it in 32 bits
    np.testing.assert_array_equal(samples, counted(0, len(samples)))
    assert json.loads(file.read_text())["cut_short_after_seconds"] == len(samples) / RATE_HZ


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="limits another process's files, which only Linux can")
def test_a_full_disk_loses_neither_the_take_nor_its_sound(tmp_path: Path) -> None:
    with live_daemon(tmp_path) as daemon, client(daemon) as player:
        wait_ready(player)
        writer = process_id(daemon, "player")
        before = resource.prlimit(writer, resource.RLIMIT_FSIZE)
        resource.prlimit(writer, resource.RLIMIT_FSIZE, (50_000, before[1]))
        assert player.run_job("generate", 1, "seconds", 0.5)["file"] == ""
        (warning,) = [str(message.values[2]) for message in player.heard if message.address == "/melnet/warning"]
        (file,) = tmp_path.iterdir()  # of half a second, 96 kB
        assert file.suffix == ".json"
        assert f"melnet-music render {file.name} OUT.wav" in warning
        resource.prlimit(writer, resource.RLIMIT_FSIZE, before)
        assert Path(str(player.run_job("generate", 1, "seconds", 0.5)["file"])).exists()
