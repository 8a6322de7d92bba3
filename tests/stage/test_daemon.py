"""The whole daemon over real UDP with a scripted instrument and no sound device: jobs, answers, abuse, deaths."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from bad_input import BAD_COMMANDS, PING, RATE_HZ, bundle, make_prime_files, nasty
from live_daemon import Player, client, live_daemon, pairs, wait_ready
from scripted_instrument import SEED_DIES, SEED_NOT_FINITE, SEED_RAISES, counted

from bridge.osc.reply_addresses import resolve_hosts
from bridge.osc.udp_server import Message, encode_message, parse_datagram
from bridge.protocol.table import PROPERTIES
from bridge.protocol.types import Value
from bridge.stage.daemon import Daemon
from bridge.stage.dispatcher import HELD_COMMANDS

YEAR_SECONDS = 365 * 86400
OTHER_HOST = "127.0.0.2"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The takes folder and the allowed folder."""
    root = tmp_path_factory.mktemp("daemon")
    return root / "takes", make_prime_files(root)


@pytest.fixture(scope="module")
def daemon(folders: tuple[Path, Path]) -> Iterator[Daemon]:
    takes, allowed = folders
    with live_daemon(takes, allowed=(allowed,), reply_hosts=(OTHER_HOST,)) as running:
        yield running


@pytest.fixture
def player(daemon: Daemon) -> Iterator[Player]:
    with client(daemon) as one:
        wait_ready(one)
        one.heard.clear()
        yield one
        one.send("panic")
        one.wait_for("done", "panic")
        one.send("prime/clear")
        one.wait_for("done", "prime/clear")


# --- answers --------------------------------------------------------------------------------------------


def test_ping_and_version(player: Player) -> None:
    player.send("ping")
    assert player.wait_for("pong") == []
    player.send("version")
    assert player.wait_for("version.reply") != [""]


def test_status_is_honest_about_having_no_sound(player: Player) -> None:
    status = player.ask("status")
    assert status["output"] == "none: takes go to files"
    assert status["engine"] == "scripted"
    assert status["jobs"] == 0


def test_a_job_is_answered_step_by_step(player: Player, folders: tuple[Path, Path]) -> None:
    finished = player.run_job("generate", 5, "seconds", 2.0, "seed", 77)
    answers = [message.address for message in player.heard if message.values[:2] == ["generate", 5]]
    assert answers[0] == "/melnet/done"
    assert answers[-1] == "/melnet/finished"
    assert set(answers) <= {"/melnet/done", "/melnet/progress", "/melnet/finished"}
    assert finished["sounded"] is False
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


def test_seeds_count_up(player: Player) -> None:
    player.send("set", "seed", 500)
    player.wait_for("done", "set")
    assert [player.run_job("generate", number, "seconds", 0.125)["seed"] for number in (1, 2)] == [500, 501]
    assert player.run_job("generate", 3, "seconds", 0.125, "seed", 9)["seed"] == 9
    player.send("get", "seed")
    assert player.wait_for("get.reply") == ["seed", 502]


def test_properties_are_the_defaults_of_jobs(player: Player) -> None:
    for name, value in (("seconds", 0.5), ("temperature", "preset"), ("level", 0)):
        player.send("set", name, value)
        assert player.wait_for("done", "set")[2] == name
    assert player.run_job("generate", 1)["seconds"] == 0.5
    player.send("get", "temperature")
    assert player.wait_for("get.reply") == ["temperature", "preset"]
    player.send("set", "level", 1)
    player.wait_for("done", "set")


def test_continuation_with_lead_is_one_take(player: Player, folders: tuple[Path, Path]) -> None:
    player.send("prime/file", "good.wav")
    assert pairs(player.wait_for("done", "prime/file"))["seconds"] == 1.0
    finished = player.run_job("continue", 1, "seconds", 1.0, "lead", 0.5)
    samples, _ = soundfile.read(str(finished["file"]), dtype="float32")
    heard, _ = soundfile.read(folders[1] / "good.wav", dtype="float32")
    np.testing.assert_array_equal(samples[: RATE_HZ // 2], heard[RATE_HZ // 2 :])
    np.testing.assert_array_equal(samples[RATE_HZ // 2 :], counted(0, RATE_HZ))


def test_another_attempt_is_promised_as_the_first_one_was_made(player: Player) -> None:
    player.send("prime/file", "good.wav")
    player.wait_for("done", "prime/file")
    finished = player.run_job("continue", 1, "seconds", 0.5, "lead", 60.0)
    assert finished["seconds"] == 1.5
    player.send("take/reroll", 2)
    assert pairs(player.wait_for("done", "take/reroll", 2))["seconds"] == 1.5
    assert pairs(player.wait_for("finished", "take/reroll", 2))["seconds"] == 1.5


def test_inpainting(player: Player) -> None:
    player.send("prime/file", "good.wav")
    player.send("inpaint", 1, "start", 0.25, "stop", 0.75)
    assert pairs(player.wait_for("finished", "inpaint", 1))["seconds"] == 0.5
    player.send("inpaint", 2, "start", 0.25, "stop", 99)
    assert player.wait_for("fail", "inpaint", 2)[2] == "refused"
    player.send("inpaint", 3, "start", 0.75, "stop", 0.25)
    assert player.wait_for("fail", "inpaint", 3)[2] == "out_of_range"


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


# --- prime files ----------------------------------------------------------------------------------------


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


# --- abuse ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "values", "code"), BAD_COMMANDS, ids=[f"{n[:20]}-{c}" for n, _, c in BAD_COMMANDS])
def test_bad_commands_are_answered(player: Player, name: str, values: list[Value], code: str) -> None:
    player.send(name, *values)
    failed = player.wait_for("fail")
    assert failed[2] == code
    assert str(name).startswith(str(failed[0])[:64])
    assert 0 < len(str(failed[3])) <= 410


def test_garbage_is_answered(player: Player) -> None:
    player.send_bytes(b"\xff\xfe\x00garbage")
    assert player.wait_for("fail")[:3] == ["", -1, "malformed"]


def test_dated_bundles_wait_for_their_time(player: Player) -> None:
    sent = time.time()
    player.send_bytes(bundle(sent + 0.4, encode_message("/melnet/version", [])))
    player.send_bytes(bundle(sent - 5.0, PING))
    player.wait_for("pong")
    assert time.time() - sent < 0.4
    player.wait_for("version.reply")
    assert time.time() - sent >= 0.39


def test_a_bundle_dated_a_year_ahead_is_refused(player: Player) -> None:
    player.send_bytes(bundle(time.time() + YEAR_SECONDS, encode_message("/melnet/generate", [8])))
    assert player.wait_for("fail")[:3] == ["generate", 8, "too_far_ahead"]
    player.send("ping")
    player.wait_for("pong")


def test_bad_commands_in_dated_bundles_are_answered_at_once(player: Player) -> None:
    player.send_bytes(bundle(time.time() + 600.0, encode_message("/melnet/generate", [8, "secs", 1.0])))
    assert player.wait_for("fail", seconds=5.0)[2] == "unknown_key"


def test_held_commands_are_bounded_and_panic_drops_them(player: Player) -> None:
    due = time.time() + 600.0
    for _ in range(HELD_COMMANDS // 32):
        player.send_bytes(bundle(due, *[PING] * 32))
        player.ask("status")
    player.send_bytes(bundle(due, PING))
    assert player.wait_for("fail", "ping")[2] == "busy"
    player.send("panic")
    assert player.wait_for("fail", "ping")[2] == "cancelled"
    assert player.ask("status")["held"] == 0
    fails = [message.values[2] for message in player.heard if message.address == "/melnet/fail"]
    assert fails == ["busy", "cancelled"]  # told once, not a thousand times


def test_too_many_jobs_are_refused(player: Player) -> None:
    for number in range(60):
        player.send("generate", number, "seconds", 100.0)
    assert player.wait_for("fail", "generate")[2] == "busy"
    player.send("panic")
    player.wait_for("done", "panic")


def test_a_stuck_panic_button_is_answered_every_time(player: Player) -> None:
    player.send("generate", 1, "seconds", 100.0)
    for first in range(2, 202, 20):  # more at once would not fit into the sockets' buffers on a busy machine
        for number in range(first, first + 20):
            player.send("panic")
            player.send("generate", number, "seconds", 100.0)
        for _ in range(20):
            player.wait_for("done", "panic")
    player.send("panic")
    player.wait_for("done", "panic")
    assert player.ask("status")["jobs"] == 0


def test_random_datagrams_hide_no_answer(player: Player, daemon: Daemon) -> None:
    generator = random.Random(3)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flood:
        flood.connect(daemon.address)
        for number in range(3000):
            flood.send(nasty(generator))
            if number % 100 == 99:
                player.send("ping")
                player.wait_for("pong")


# --- things that break ----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [SEED_RAISES, SEED_NOT_FINITE])
def test_a_failing_engine_fails_its_job_only(player: Player, seed: int) -> None:
    player.send("generate", 1, "seconds", 1.0, "seed", seed)
    assert player.wait_for("fail", "generate", 1)[2] == "failed"
    assert player.run_job("generate", 1, "seconds", 0.125)["seconds"] == 0.125


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
        status = wait_ready(player)
        assert str(status["output"]).startswith("none: takes go to files")
        assert "no such device" in str(status["output"])
        assert Path(str(player.run_job("generate", 1, "seconds", 0.25)["file"])).exists()


def serving(tmp_path: Path, **more: object) -> subprocess.Popen[str]:
    """The daemon as the command line runs it, with the scripted instrument."""
    code = f"""
import sys
from pathlib import Path
from bridge.cli.live import run_daemon
from bridge.stage.daemon import Daemon, DaemonSettings
sys.exit(run_daemon(Daemon(DaemonSettings("rtf=8 hz=48000", "cpu", None, "127.0.0.1", 0, None, None,
    Path({str(tmp_path)!r}), (), "scripted_instrument:load")), as_json=True))
"""
    return subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parent.parent / "support",
        **more,  # type: ignore[call-overload]
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_it_in_good_order(tmp_path: Path, number: signal.Signals) -> None:
    process = serving(tmp_path, start_new_session=True)
    assert process.stdout is not None
    where = json.loads(process.stdout.readline())
    assert set(where) == {"osc_host", "osc_port", "oscquery_port"}
    player = Player((where["osc_host"], where["osc_port"]))
    wait_ready(player)
    player.send("generate", 1, "seconds", 300)
    player.wait_for("done", "generate", 1)
    os.killpg(process.pid, number)  # as a terminal and a service manager do
    assert player.wait_for("fail", "generate", 1)[2] == "cancelled"
    _, errors = process.communicate(timeout=20.0)
    player.close()
    assert process.returncode == 0
    assert "Traceback" not in errors


def run_cli(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bridge.cli", *arguments], capture_output=True, text=True, timeout=120.0, check=False
    )


def test_port_in_use(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        result = run_cli("serve", "--no-audio", "--osc-port", str(port), "--takes", str(tmp_path))
    assert result.returncode == 2
    assert result.stderr == (
        f"melnet-music serve: UDP port {port} on 127.0.0.1 is in use; choose another with --osc-port\n"
    )


def test_no_such_preset_ends_serve(tmp_path: Path) -> None:
    result = run_cli("serve", "--no-audio", "--osc-port", "0", "--preset", "nonsense", "--takes", str(tmp_path))
    assert result.returncode == 2
    assert "nonsense" in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stderr.splitlines()[-1].startswith("melnet-music serve: no preset 'nonsense'")


def test_devices_as_json() -> None:
    result = run_cli("devices", "--json")
    assert result.returncode == 0
    assert set(json.loads(result.stdout)) == {"audio", "midi"}


def test_children_do_not_outlive_a_killed_daemon(tmp_path: Path) -> None:
    process = serving(tmp_path, start_new_session=True)
    assert process.stdout is not None
    where = json.loads(process.stdout.readline())
    player = Player((where["osc_host"], where["osc_port"]))
    wait_ready(player)
    player.close()
    process.kill()
    process.communicate(timeout=20.0)  # its pipes are the children's too: they end with the last of them
    deadline = time.monotonic() + 10.0
    while group_lives(process.pid):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


# --- being told -----------------------------------------------------------------------------------------


def events(player: Player) -> list[list[object]]:
    return [message.values for message in player.heard if message.address == "/melnet/event"]


def told_at_once(player: Player) -> dict[object, object]:
    """Every property's value, as a new subscriber is told; then nothing is left in ``heard``."""
    while len(told := [values for values in events(player) if values[0] == "property"]) < len(PROPERTIES):
        player.wait_for("event")
    player.heard.clear()
    return {name: value for _, name, value in told}


def test_a_new_subscriber_is_told_the_value_of_every_property(daemon: Daemon, player: Player) -> None:
    player.send("set/lead", 1.5)
    player.wait_for("done", "set/lead", -1, "lead", 1.5)
    player.send("set/bias", "preset")
    player.wait_for("done", "set/bias", -1, "bias", "preset")
    with client(daemon) as subscriber:
        subscriber.send("subscribe")
        told = told_at_once(subscriber)
        assert list(told) == list(PROPERTIES)
        for name, value in told.items():
            player.send("get", str(name))
            assert player.wait_for("get.reply", name) == [name, value]
        assert (told["lead"], told["bias"]) == (1.5, "preset")
        subscriber.send("subscribe")  # once more: only the lease is new
        subscriber.wait_for("done", "subscribe")
        player.run_job("generate", 1, "seconds", 0.125)
        next_seed = int(str(told["seed"])) + 1
        subscriber.wait_for("event", "property", "seed", next_seed)
        assert [values for values in events(subscriber) if values[0] == "property"] == [["property", "seed", next_seed]]
    player.send("set/lead", 0.0)
    player.wait_for("done", "set/lead")


def test_subscribers_are_told_of_everybodys_jobs_and_of_properties(daemon: Daemon, player: Player) -> None:
    with client(daemon) as first, client(daemon) as second:
        for each in (first, second):
            each.send("subscribe", "lease", 30)
            assert pairs(each.wait_for("done", "subscribe")) == {"lease": 30.0}
            told_at_once(each)
        player.run_job("generate", 4, "seconds", 0.25, "seed", 3)
        player.send("set", "bias", 0.5)
        player.wait_for("done", "set")
        player.send("set", "bias", "preset")
        for each in (first, second):
            each.wait_for("event", "property", "bias", "preset")
            who = f"{player.address[0]}:{player.address[1]}"
            job = [values[0] for values in events(each) if values[1:4] == [who, "generate", 4]]
            assert job[0] == "done"
            assert job[-1] == "finished"
            assert ["property", "bias", 0.5] in events(each)
        second.send("unsubscribe")
        second.wait_for("done", "unsubscribe")
        second.heard.clear()
        player.send("set", "lead", 0.0)
        first.wait_for("event", "property", "lead")
        second.send("ping")
        second.wait_for("pong")
        assert events(second) == []
        player.send("generate", 5, "seconds", 5.0)
        player.wait_for("done", "generate", 5)
        player.send("cancel", 5)
        assert first.wait_for("event", "fail", who, "generate", 5)[4] == "cancelled"


def test_a_sync_waits_for_commands_and_not_for_jobs(player: Player) -> None:
    player.send("sync", 1)
    assert player.wait_for("synced") == [1]
    player.send("generate", 6, "seconds", 1.0)
    player.wait_for("done", "generate", 6)
    player.send("sync", 2)
    assert player.wait_for("synced") == [2]
    player.send("prime/file", "good.wav")  # waits for the job
    player.send("sync", 3)
    player.wait_for("synced", 3)
    order = [message.address for message in player.heard if message.address != "/melnet/progress"]
    primed = next(place for place, message in enumerate(player.heard) if message.values[:1] == ["prime/file"])
    assert any(message.address == "/melnet/finished" for message in player.heard[:primed])
    assert order[-1] == "/melnet/synced"


def test_who_sends_more_than_is_looked_at_is_told(player: Player) -> None:
    def told(message: Message) -> bool:
        return message.values[:3] == ["", -1, "busy"] and "datagrams of yours were dropped" in str(message.values[3])

    deadline = time.monotonic() + 20.0
    while not any(told(message) for message in player.heard):
        assert time.monotonic() < deadline
        for _ in range(500):
            player.send_bytes(b"?")
        player.send("ping")
        player.wait_for("pong")


def test_answers_go_where_they_are_wanted(daemon: Daemon, player: Player) -> None:
    with client(daemon) as ear:
        player.send("reply", ear.address[1])
        assert pairs(ear.wait_for("done", "reply")) == {"port": ear.address[1]}
        player.send("ping")
        ear.wait_for("pong")
        player.send("no/such/thing")
        ear.wait_for("fail")
        player.send("reply", 0)
        player.wait_for("done", "reply")
        player.send("ping")
        player.wait_for("pong")
        assert len([message for message in player.heard if message.address == "/melnet/pong"]) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no second address without being set up for it")
def test_answers_go_to_a_host_that_was_named_and_to_no_other(player: Player) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ear:
        ear.bind((OTHER_HOST, 0))
        ear.settimeout(5.0)
        player.send("reply", ear.getsockname()[1], "host", OTHER_HOST)
        (done,) = parse_datagram(ear.recv(4096))
        assert done.values == ["reply", -1, "port", ear.getsockname()[1], "host", OTHER_HOST]
        player.send("reply", 9, "host", "192.0.2.1")
        (fail,) = parse_datagram(ear.recv(4096))  # nothing is changed
        assert fail.values[2] == "refused"
        assert f"`serve --reply-host HOST` names (named are {OTHER_HOST}), got '192.0.2.1'" in str(fail.values[3])
        player.send("reply", 0)
        player.wait_for("done", "reply")


def test_a_host_that_nobody_knows_is_a_clear_error() -> None:
    with pytest.raises(ValueError, match=r"--reply-host 'no such host' is not known .*: give a name"):
        resolve_hosts(["no such host"])
