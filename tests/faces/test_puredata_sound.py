"""Pure Data and a daemon with sound, on a JACK server: what Pd plays is heard, and takes come out of Pd."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from bad_input import PING, bundle
from jack_rig import RATE_HZ, jack_server
from live_daemon import client, live_daemon, pairs, wait_ready
from pd_session import needs_pd, pd_session

from bridge.osc.datagrams import encode_message

WITH_JACK = ("-jack", "-r", str(RATE_HZ), "-inchannels", "1", "-outchannels", "1", "-send", "pd dsp 1")


@pytest.fixture(scope="module")
def server() -> Iterator[subprocess.Popen[bytes]]:
    with jack_server(synchronous=False) as running:
        yield running


def test_pd_is_heard_and_plays_the_take(server: object, tmp_path: Path) -> None:
    needs_pd()
    objects = [
        "melnet {port}",  # 7
        "list prepend answer",
        f"melnet~ {tmp_path}",  # 9
        "osc~ 440",
        "env~ 1024",  # 11
        "change -1",
        "list prepend loudness",
        "list prepend take",  # 14
    ]
    wires = ["3 0 7 0", "7 0 8 0", "8 0 4 0", "10 0 9 0", "3 2 9 1", "9 0 11 0", "11 0 12 0", "12 0 13 0", "13 0 4 0"]
    wires += ["9 1 14 0", "14 0 4 0"]
    with live_daemon(tmp_path / "takes", allowed=(tmp_path,)) as daemon, client(daemon) as player:
        wait_ready(player)
        objects[0] = f"melnet {daemon.address[1]}"
        with pd_session(tmp_path, objects, wires, options=WITH_JACK) as pd:
            pd.wait_for("loudness 0")
            pd.say("sound play seconds 0.5")
            assert "nothing was heard" in pd.wait_for("take failed refused")
            pd.say("sound hear")
            deadline = time.monotonic() + 20.0
            heard = tmp_path / "melnet-heard.wav"
            while not heard.is_file() or heard.stat().st_size < RATE_HZ:  # a quarter of a second
                assert time.monotonic() < deadline
                time.sleep(0.02)
            pd.say("sound stop")
            done = pd.wait_for("answer done prime/file").split()
            assert float(done[-1]) >= 0.25
            pd.say("sound play seconds 0.5 seed 3")
            assert "seconds 0.5 seed 3 sounded 0" in pd.wait_for("take finished")
            while float(pd.wait_for("loudness").split()[1]) < 20.0:  # dB, of 100
                pass


def test_the_sound_goes_on_under_floats_and_bundles_from_the_past(server: object, tmp_path: Path) -> None:
    objects = ["melnet {port}", "list prepend answer", "netsend -u -b", "list prepend send", "list trim"]
    wires = ["3 0 7 0", "7 0 8 0", "8 0 4 0", "3 3 10 0", "10 0 11 0", "11 0 9 0", "13 0 9 0"]
    with live_daemon(tmp_path, output="system") as daemon, client(daemon) as player:
        assert "48000 Hz" in str(wait_ready(player)["output"])
        objects[0] = f"melnet {daemon.address[1]}"
        objects += ["loadbang", f"list append connect 127.0.0.1 {daemon.address[1]}", "list trim"]
        wires[-1:] = ["12 0 13 0", "13 0 14 0", "14 0 9 0"]
        with pd_session(tmp_path, objects, wires) as pd:
            pd.say("command generate 100001 seconds 3 seed 7")
            pd.wait_for("answer started generate 100001")
            past = bundle(time.time() - 60.0, encode_message("/melnet/set/level", [1.0]), PING)
            for number in range(50):
                pd.say("bytes " + " ".join(map(str, past)))
                pd.say(f"command sync {number}")
            for number in range(50):
                pd.wait_for(f"answer synced {number}")
            finished = pd.wait_for("answer finished generate 100001").split()
            told = pairs(list(finished[2:]))
            assert (told["sounded"], told["gaps"], told["missing_samples"]) == ("1", "0", "0")
        assert player.ask("status")["dropped_datagrams"] == 0
