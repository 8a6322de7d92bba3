"""The doctor under real conditions: ports that are taken, damaged weights, devices of other rates, none at all."""

from __future__ import annotations

import json
import os
import shutil
import socket
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import pytest
from jack_rig import RATE_HZ, jack_server
from live_daemon import live_daemon

from bridge.audio.device_process import AudioDeviceOpened, OpenedDevice
from bridge.cli.doctor.check import Check, lines, verdict
from bridge.cli.doctor.devices import check_devices, check_midi, open_devices
from bridge.cli.doctor.instrument import (
    check_engine,
    check_preset,
    check_takes_folder,
    first_sound_check,
    speed_check,
)
from bridge.cli.doctor.ports import check_osc_port, check_oscquery_port
from bridge.cli.main import build_parser, main
from melnet_music.instrument.take_speed import TakeSpeed

HOST = "127.0.0.1"


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that this process has, for UDP and TCP."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
    ):
        tcp.bind((HOST, 0))
        tcp.listen()
        udp.bind(tcp.getsockname())
        yield tcp.getsockname()[1]


def test_a_taken_port_is_named_with_its_process(taken: int) -> None:
    check = check_osc_port(HOST, taken)
    assert check.state == "fail"
    assert f"UDP port {taken} on {HOST} is in use" in check.found
    assert "--osc-port" in check.advice
    if Path("/proc/net/udp").exists():
        assert f"(process {os.getpid()})" in check.found


def test_the_daemon_runs_without_oscquery(taken: int) -> None:
    check = check_oscquery_port(HOST, taken)
    assert (check.state, "--oscquery-port" in check.advice) == ("warn", True)
    assert check_oscquery_port(HOST, 0).state == "ok"


def test_another_daemon_is_recognised(tmp_path: Path) -> None:
    with live_daemon(tmp_path) as daemon:
        assert "a melnet-music daemon, version" in check_osc_port(*daemon.address).found


def test_an_address_of_another_machine_is_refused() -> None:
    assert check_osc_port("192.0.2.1", 0).state == "fail"


def test_whole_damaged_and_missing_weights(narrow_piano: Path, tmp_path: Path) -> None:
    check, preset = check_preset(str(narrow_piano))
    assert (check.state, preset is not None) == ("ok", True)
    broken = tmp_path / "broken"
    shutil.copytree(narrow_piano, broken)
    weights = broken / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    check, preset = check_preset(str(broken))
    assert (check.state, preset) == ("fail", None)
    assert "truncated" in check.found
    weights.unlink()
    check, preset = check_preset(str(broken))
    assert check.state == "fail"
    assert "has no weights" in check.found
    assert "piano" in check_preset("no such preset")[0].found


def test_devices_are_opened_as_the_daemon_does() -> None:
    with jack_server(synchronous=False):
        opened = open_devices("system", "no such device")
        assert opened.output is not None
        checks = {check.name: check for check in check_devices("system", "no such device", opened, 44100)}
    assert checks["output"].found.endswith(f"{RATE_HZ} Hz")
    assert (checks["input"].state, "--audio-in" in checks["input"].advice) == ("fail", True)
    assert checks["latency"].found.endswith("as the output device reports")
    assert checks["sample rate"].found == "the preset's 44100 Hz are resampled to the device's 48000 Hz"


def device(rate_hz: int, latency_seconds: float = 0.01) -> OpenedDevice:
    return OpenedDevice("device", rate_hz, latency_seconds)


def test_rates_and_latency_are_judged() -> None:
    opened = AudioDeviceOpened(device(32000, 0.2), device(48000), ())
    checks = list(check_devices("default", "default", opened, 44100))
    assert [check.name for check in checks if check.state == "warn"] == ["latency", "sample rate", "two rates"]
    assert all(check.advice for check in checks if check.state == "warn")
    nothing = AudioDeviceOpened(None, None, ())
    assert all(check.state == "ok" for check in check_devices(None, None, nothing, 44100))


def test_speed_is_judged_by_real_time() -> None:
    fast = speed_check(TakeSpeed(3.0, 0.1), "cpu", 2, 2, busy=True)
    assert (fast.state, fast.advice) == ("ok", "")
    slow = speed_check(TakeSpeed(0.5, 0.1), "cpu", 1, 2, busy=True)
    assert slow.state == "warn"
    for advice in ("close what else", "--threads 2", "smaller preset"):
        assert advice in slow.advice
    tight = speed_check(TakeSpeed(1.2, 0.1), "cpu", 2, 2, busy=False)
    assert (tight.state, "threads" in tight.advice) == ("warn", False)


def test_the_first_sound_is_judged_by_ahead() -> None:
    assert first_sound_check(TakeSpeed(2.0, 0.1)).state == "ok"
    assert "`ahead` to 0.60" in first_sound_check(TakeSpeed(2.0, 0.4)).advice


def test_an_engine_is_measured(narrow_piano: Path) -> None:
    checks = list(check_engine(str(narrow_piano), "cpu-bf16", 1))
    assert [check.name for check in checks] == ["engine speed", "first sound"]
    (unknown,) = check_engine(str(narrow_piano), "abacus", None)
    assert (unknown.state, "no engine 'abacus'" in unknown.found) == ("fail", True)


def test_wanted_midi_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_midi("auto", [], []).state in ("ok", "warn")
    assert check_midi("auto", ["no such port"], ["virtual"]).state in ("warn", "fail")


def test_a_takes_folder(tmp_path: Path) -> None:
    assert check_takes_folder(tmp_path / "new" / "takes").state == "ok"
    file = tmp_path / "file"
    file.touch()
    assert check_takes_folder(file / "takes").state == "fail"


def test_the_command_without_a_sound_device(narrow_piano: Path, taken: int, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["doctor", "--preset", str(narrow_piano), "--no-audio", "--no-speed", "--oscquery-port", "0"]
    assert main([*options, "--osc-port", "0", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["can_play"] is True
    assert {"OSC port", "preset", "output", "MIDI", "shared memory"} <= {check["name"] for check in told["checks"]}
    assert main([*options, "--osc-port", str(taken)]) == 1
    assert capsys.readouterr().out.endswith("`melnet-music serve` would not play: OSC port\n")


def test_it_takes_the_options_of_serve() -> None:
    parser = build_parser()

    def names(subcommand: str) -> set[str]:
        chosen: Namespace = parser.parse_args([subcommand])
        return set(vars(chosen))

    assert names("serve") <= names("doctor")


def test_a_check_is_a_line_and_its_advice_another() -> None:
    checks = [Check("OSC port", "fail", "it is taken", "take another"), Check("input", "ok", "none")]
    assert [line.split()[0] for line in lines(checks)] == ["fail", "->", "ok"]
    assert verdict(checks) == "`melnet-music serve` would not play: OSC port"
    assert verdict(checks[1:]) == "`melnet-music serve` can play"
