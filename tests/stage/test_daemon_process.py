"""The daemon's process: signals, wrong arguments, and its children."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from live_daemon import Player, wait_ready


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
    assert set(where) == {"osc_host", "osc_port", "oscquery_port", "panel"}
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


@pytest.mark.parametrize("options", [[], ["--no-panel"]])
def test_serve_tells_where_the_panel_is(tmp_path: Path, options: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "bridge.cli", "serve", "--no-audio", "--json", "--takes", str(tmp_path)]
    with subprocess.Popen(
        [*command, "--osc-port", "0", "--oscquery-port", str(port), *options],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        where = json.loads(process.stdout.readline())
        process.terminate()
    assert where["oscquery_port"] == port
    assert where["panel"] == (None if options else f"http://127.0.0.1:{port}/")


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
