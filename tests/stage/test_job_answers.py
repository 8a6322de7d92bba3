"""A daemon with a scripted instrument over UDP: what its commands answer and which files its jobs leave."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from bad_input import RATE_HZ
from live_daemon import Player, client, pairs
from melnet_music_client import DaemonFailed, MelNet
from scripted_instrument import counted

from bridge.stage.daemon import Daemon


def test_ping_and_version(net: MelNet) -> None:
    assert net.command("ping") == {}
    assert net.command("version")["version"]


def test_status_is_honest_about_having_no_sound(net: MelNet) -> None:
    status = net.command("status")
    assert status["output"] == "none: takes go to files"
    assert status["engine"] == "scripted"
    assert status["jobs"] == 0


def test_a_job_is_answered_step_by_step(player: Player, folders: tuple[Path, Path]) -> None:
    finished = player.run_job("generate", 5, "seconds", 2.0, "seed", 77)
    answers = [message.address for message in player.heard if message.values[:2] == ["generate", 5]]
    assert answers[0] == "/melnet/done"
    assert answers[-1] == "/melnet/finished"
    assert set(answers) <= {"/melnet/done", "/melnet/progress", "/melnet/finished"}
    assert finished["sounded"] == 0
    assert (finished["seconds"], finished["seed"], finished["gaps"]) == (2.0, 77, 0)
    take = Path(str(finished["file"]))
    assert take.parent == folders[0]
    samples, rate_hz = soundfile.read(take, dtype="float32")
    assert rate_hz == RATE_HZ
    np.testing.assert_array_equal(samples, counted(0, 2 * RATE_HZ))
    origin = json.loads(take.with_suffix(".json").read_text())
    assert origin["seed"] == 77
    assert origin["kind"] == "generate"
    assert origin["preset_digest"] == "0000"
    assert not [path for path in folders[0].iterdir() if path.suffix not in (".wav", ".json")]


def test_seeds_count_up(net: MelNet) -> None:
    net.set(seed=500)
    assert [net.generate(seconds=0.125).wait(20)["seed"] for _ in range(2)] == [500, 501]
    assert net.generate(seconds=0.125, seed=9).wait(20)["seed"] == 9
    assert net.get("seed") == 502


def test_properties_are_the_defaults_of_jobs(net: MelNet) -> None:
    net.set(seconds=0.5, temperature="preset", level=0)
    assert net.generate().wait(20)["seconds"] == 0.5
    assert net.get("temperature") == "preset"
    net.set(level=1)


def test_continuation_with_lead_is_one_take(player: Player, folders: tuple[Path, Path]) -> None:
    player.send("prime/file", "good.wav")
    assert pairs(player.wait_for("done", "prime/file"))["seconds"] == 1.0
    finished = player.run_job("continue", 1, "seconds", 1.0, "lead", 0.5)
    samples, _ = soundfile.read(str(finished["file"]), dtype="float32")
    heard, _ = soundfile.read(folders[1] / "good.wav", dtype="float32")
    np.testing.assert_array_equal(samples[: RATE_HZ // 2], heard[RATE_HZ // 2 :])
    np.testing.assert_array_equal(samples[RATE_HZ // 2 :], counted(0, RATE_HZ))


def test_another_attempt_is_promised_as_the_first_one_was_made(net: MelNet) -> None:
    net.command("prime/file", "good.wav")
    assert net.continue_(seconds=0.5, lead=60.0).wait(20)["seconds"] == 1.5
    again = net.reroll()
    assert again.accepted["seconds"] == 1.5
    assert again.wait(20)["seconds"] == 1.5


def test_inpainting(net: MelNet) -> None:
    net.command("prime/file", "good.wav")
    assert net.inpaint(start=0.25, stop=0.75).wait(20)["seconds"] == 0.5
    for start, stop, code in ((0.25, 99, "refused"), (0.75, 0.25, "out_of_range")):
        with pytest.raises(DaemonFailed) as caught:
            net.inpaint(start=start, stop=stop).wait(20)
        assert caught.value.code == code


def test_jobs_wait_for_each_other(player: Player) -> None:
    for number in (1, 2, 3):
        player.send("generate", number, "seconds", 0.5)
    for number in (1, 2, 3):
        player.wait_for("finished", "generate", number)


def test_cancel(player: Player) -> None:
    player.send("generate", 1, "seconds", 300)
    player.send("generate", 2, "seconds", 300)
    player.wait_for("progress", "generate", 1)
    for number in (2, 1):
        player.send("cancel", number)
        assert player.wait_for("fail", "generate", number)[2] == "cancelled"
        player.wait_for("done", "cancel", number)
    player.send("cancel", 1)
    assert player.wait_for("fail", "cancel", 1)[2] == "unknown_id"


def test_a_job_is_its_senders(player: Player, daemon: Daemon) -> None:
    player.send("generate", 1, "seconds", 300)
    player.wait_for("done", "generate", 1)
    player.send("generate", 1)
    assert player.wait_for("fail", "generate", 1)[2] == "id_in_use"
    with client(daemon) as other:
        other.send("cancel", 1)
        assert other.wait_for("fail", "cancel", 1)[2] == "unknown_id"
        other.send("panic")
        other.wait_for("done", "panic")
    assert player.wait_for("fail", "generate", 1)[2] == "cancelled"


def test_presets(player: Player) -> None:
    player.send("presets")
    reply = player.wait_for("presets.reply", seconds=60.0)  # a scripted player has yet to import torch
    assert len(reply) % 2 == 0


def test_unknown_preset_leaves_the_old_one(player: Player) -> None:
    before = player.ask("status")["preset"]
    player.send("load", "no such preset")
    failed = player.wait_for("fail", "load")
    assert failed[2] == "unknown_preset"
    assert player.ask("status")["preset"] == before


def test_load(player: Player) -> None:
    before = str(player.ask("status")["preset"])
    player.send("load", f"{before} again=1")
    assert pairs(player.wait_for("done", "load"))["preset"] == f"{before} again=1"
    player.send("load", before)
    player.wait_for("done", "load")


def test_listening_without_an_input_is_refused(player: Player) -> None:
    player.send("listen/start")
    assert player.wait_for("fail", "listen/start")[2] == "no_input"
    player.send("listen/stop")
    player.wait_for("done", "listen/stop")


@pytest.mark.parametrize("name", ["good.wav", "stereo.wav", "eight_bit.wav", "fast.wav", "../allowed/good.wav"])
def test_prime_files(player: Player, name: str) -> None:
    player.send("prime/file", name)
    assert pairs(player.wait_for("done", "prime/file"))["seconds"] == pytest.approx(1.0, abs=1e-3)
    deadline = time.monotonic() + 5.0
    while player.ask("status")["heard"] != pytest.approx(1.0, abs=1e-3):
        assert time.monotonic() < deadline


def test_part_of_a_prime_file(player: Player) -> None:
    player.send("prime/file", "good.wav", "start", 0.5, "seconds", 0.25)
    assert pairs(player.wait_for("done", "prime/file"))["seconds"] == 0.25
    player.send("prime/file", "good.wav", "start", 5)
    assert player.wait_for("fail", "prime/file")[2] == "bad_file"
