"""A daemon whose engine fails, whose player dies, and whose folder or device is missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from bad_input import RATE_HZ
from live_daemon import Player, client, live_daemon, wait_ready, wait_until
from scripted_instrument import SEED_DIES, SEED_ENGINE_FAILS, SEED_NOT_FINITE, SEED_RAISES


@pytest.mark.parametrize("seed", [SEED_RAISES, SEED_NOT_FINITE])
def test_a_failing_engine_fails_its_job_only(player: Player, seed: int) -> None:
    player.send("generate", 1, "seconds", 1.0, "seed", seed)
    assert player.wait_for("fail", "generate", 1)[2] == "failed"
    assert player.run_job("generate", 1, "seconds", 0.125)["seconds"] == 0.125


def test_who_asked_is_told_that_an_engine_failed_and_another_goes_on(player: Player) -> None:
    assert player.run_job("generate", 1, "seconds", 0.5, "seed", SEED_ENGINE_FAILS)["seconds"] == 0.5
    (warning,) = [message.values for message in player.heard if message.address == "/melnet/warning"]
    assert warning == ["generate", 1, "engine first failed; second goes on"]


def test_a_dead_player_is_replaced(player: Player) -> None:
    player.send("generate", 1, "seconds", 1.0, "seed", SEED_DIES)
    player.send("generate", 2, "seconds", 1.0)
    for number in (1, 2):
        assert player.wait_for("fail", "generate", number)[2] == "player_died"
    assert player.run_job("generate", 3, "seconds", 0.25)["seconds"] == 0.25


def test_a_new_player_and_a_new_preset_have_heard_what_the_old_one_heard(
    player: Player, folders: tuple[Path, Path]
) -> None:
    player.send("prime/file", "good.wav")
    player.wait_for("done", "prime/file")
    heard, _ = soundfile.read(folders[1] / "good.wav", dtype="float32")

    def lead(number: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        finished = player.run_job("continue", number, "seconds", 0.25, "lead", 1.0)
        samples, _ = soundfile.read(str(finished["file"]), dtype="float32")
        return samples[:RATE_HZ]

    player.send("generate", 1, "seconds", 1.0, "seed", SEED_DIES)
    player.wait_for("fail", "generate", 1)
    np.testing.assert_array_equal(lead(2), heard)
    for preset in ("rtf=9 hz=48000 block=0.1", "rtf=8 hz=48000 block=0.1"):
        player.send("load", preset)
        player.wait_for("done", "load")
        np.testing.assert_array_equal(lead(3), heard)
    player.send("prime/clear")
    player.wait_for("done", "prime/clear")
    player.send("generate", 4, "seconds", 1.0, "seed", SEED_DIES)
    player.wait_for("fail", "generate", 4)
    player.send("continue", 5)
    assert player.wait_for("fail", "continue", 5)[2] == "refused"  # what was cleared stays so


def test_what_is_cleared_while_a_preset_hears_it_again_is_cleared_for_that_one_too(
    player: Player, folders: tuple[Path, Path]
) -> None:
    minute = 0.1 * np.sin(np.arange(60 * RATE_HZ) / 9)
    soundfile.write(folders[1] / "minute.wav", minute, RATE_HZ, subtype="FLOAT")
    player.send("prime/file", "minute.wav")
    player.wait_for("done", "prime/file")
    player.send("generate", 1, "seconds", 1.0)  # whose blocks are made while the preset hears
    player.send("prime/clear")
    player.send("load", "rtf=9 hz=48000 block=0.1")
    player.wait_for("done", "load")
    player.send("continue", 2)
    assert player.wait_for("fail", "continue", 2)[2] == "refused"


def test_a_folder_that_cannot_be_written_is_a_warning(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way of a folder")
    with live_daemon(blocked / "takes") as daemon, client(daemon) as player:
        wait_ready(player)
        finished = player.run_job("generate", 1, "seconds", 0.25)
        assert finished["file"] == ""
        assert finished["seconds"] == 0.25
        (warning,) = [message.values for message in player.heard if message.address == "/melnet/warning"]
        assert warning[:2] == ["generate", 1]


def test_an_absent_device_leaves_files(tmp_path: Path) -> None:
    with live_daemon(tmp_path, output="no such device") as daemon, client(daemon) as player:
        wait_until(lambda: player.ask("status")["player"] == "ready")
        wait_until(lambda: str(player.ask("status")["output"]).startswith("none: takes go to files"))
        assert "no such device" in str(player.ask("status")["output"])
        assert Path(str(player.run_job("generate", 1, "seconds", 0.25)["file"])).exists()
