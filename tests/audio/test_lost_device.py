"""Sound servers that die and audio processes that hang, under a take that sounds: it goes on, and so does the sound."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from jack_rig import RATE_HZ, Capture, jack_server, sound_of
from live_daemon import Player, client, live_daemon, look_for_sound_often, pairs, process_id, wait_ready, wait_until
from scripted_instrument import counted

DEVICE = "system"


def beat_of(player: Player) -> float:
    place = player.ask("transport")
    return 4 * float(str(place["bar"])) + float(str(place["beat"]))


def test_a_sound_server_that_dies_takes_nothing_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    look_for_sound_often(monkeypatch)
    with (
        jack_server(synchronous=False) as doomed,
        live_daemon(tmp_path, preset="rtf=2 hz=48000", output=DEVICE) as daemon,
        client(daemon) as player,
    ):
        wait_ready(player)
        began, beat = time.monotonic(), beat_of(player)
        player.send("generate", 1, "seconds", 3.0)
        player.wait_for("started", "generate", 1)
        doomed.kill()
        assert "gone" in str(player.wait_for("warning", "generate", 1)[2])
        finished = pairs(player.wait_for("finished", "generate", 1))
        take, _ = soundfile.read(str(finished["file"]), dtype="float32")
        np.testing.assert_array_equal(take, counted(0, 3 * RATE_HZ))
        assert str(player.ask("status")["output"]).startswith("none")
        assert Path(str(player.run_job("generate", 2, "seconds", 0.25)["file"])).exists()
        with jack_server():  # it comes back
            player.send("subscribe")
            player.wait_for("done", "subscribe")
            if "48000 Hz" not in str(player.ask("status")["output"]):
                player.wait_until(
                    lambda message: message.values[:1] == ["sound"] and "48000 Hz" in str(message.values[1]),
                    "sound again",
                    30.0,
                )
            capture = Capture(tmp_path)
            capture.wait_until_ready()
            assert player.run_job("generate", 3, "seconds", 0.5)["sounded"] == 1
            np.testing.assert_array_equal(sound_of(capture.stop()), counted(0, RATE_HZ // 2))
            # two beats a second, as if nothing had been, but that a busy machine's device lags behind the clock
            beats, seconds = beat_of(player) - beat, time.monotonic() - began
            assert seconds < beats < 2 * seconds + 0.1


def test_a_hung_audio_process_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.stage.daemon._AUDIO_HUNG_SECONDS", 1.0)
    look_for_sound_often(monkeypatch)
    with (
        jack_server(synchronous=False),
        live_daemon(tmp_path, preset="rtf=4 hz=48000", output=DEVICE) as daemon,
        client(daemon) as player,
    ):
        wait_ready(player)
        player.send("generate", 1, "seconds", 3.0)
        player.wait_for("started", "generate", 1)
        os.kill(process_id(daemon, "audio"), signal.SIGSTOP)
        assert "gone" in str(player.wait_for("warning", "generate", 1)[2])
        take, _ = soundfile.read(str(pairs(player.wait_for("finished", "generate", 1))["file"]), dtype="float32")
        np.testing.assert_array_equal(take, counted(0, 3 * RATE_HZ))
        wait_until(lambda: "48000 Hz" in str(player.ask("status")["output"]))
        assert player.run_job("generate", 2, "seconds", 0.5)["sounded"] == 1
