"""A sound device that comes back at another rate: the tape is blank, and whoever plays is told why."""

from __future__ import annotations

from pathlib import Path

import pytest
from jack_rig import RATE_HZ, jack_server
from live_daemon import client, live_daemon, look_for_sound_often, pairs, wait_ready

DEVICE = "system"
OTHER_HZ = 44100


def test_tape_loop_and_edits_are_gone_and_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    look_for_sound_often(monkeypatch)
    with (
        jack_server(synchronous=False) as doomed,
        live_daemon(tmp_path, output=DEVICE) as daemon,
        client(daemon) as player,
    ):
        wait_ready(player)
        player.send("set", "tempo", 240.0)
        player.send("generate", 1, "bars", 2, "quantise", "bar")
        bar = int(str(pairs(player.wait_for("started", "generate", 1))["bar"]))
        player.wait_for("finished", "generate", 1)
        take = player.run_job("inpaint", 2, "from_bar", bar, "to_bar", bar)["take"]
        player.send("loop/start", bar, bar + 1)
        player.wait_for("done", "loop/start")
        player.send("subscribe")
        player.wait_for("done", "subscribe")
        doomed.kill()
        player.wait_for("event", "sound", "gone")
        with jack_server(rate_hz=OTHER_HZ):
            assert player.wait_for("event", "tape", seconds=60.0) == ["tape"]
            why = str(player.wait_for("event", "blank")[1])
            assert why.startswith(f"the sound device has {OTHER_HZ} Hz now, the tape had {RATE_HZ}")
            for name, values in (
                ("loop/stop", ()),
                ("take/undo", ()),
                ("take/recall", (int(str(take)),)),
                ("inpaint", (3, "from_bar", bar, "to_bar", bar)),
            ):
                player.send(name, *values)
                assert player.wait_for("fail", name)[2] == "refused"
            player.send("generate", 4, "bars", 1, "quantise", "bar")
            new_bar = int(str(pairs(player.wait_for("started", "generate", 4))["bar"]))
            assert new_bar > bar
            player.wait_for("finished", "generate", 4)
            player.run_job("inpaint", 5, "from_bar", new_bar, "to_bar", new_bar)
            player.send("take/undo")
            assert pairs(player.wait_for("done", "take/undo"))["edits"] == 0
