"""While the sound device is gone, no bar is promised."""

from __future__ import annotations

from pathlib import Path

from bars import TEMPO, record_bars, start_loop
from jack_rig import jack_server
from live_daemon import client, live_daemon, pairs, wait_ready

DEVICE = "system"


def test_no_bar_is_promised_while_the_sound_device_is_gone(tmp_path: Path) -> None:
    with (
        jack_server(synchronous=False) as doomed,
        live_daemon(tmp_path, output=DEVICE, audio_input=DEVICE) as daemon,
        client(daemon) as player,
    ):
        wait_ready(player)
        player.send("set", "tempo", TEMPO)
        player.wait_for("done", "set")
        first = record_bars(player, 2)
        start_loop(player, first, first + 1)
        finished = player.run_job("inpaint", 1, "from_bar", first, "to_bar", first)
        assert "bar" in finished
        player.send("subscribe")
        player.wait_for("done", "subscribe")
        doomed.kill()
        player.wait_for("event", "sound", "gone")
        player.send("take/undo")
        assert pairs(player.wait_for("done", "take/undo")) == {"edits": 0}
        player.send("take/reroll", 2)
        assert "bar" not in pairs(player.wait_for("finished", "take/reroll", 2))
