"""The daemon as the command line serves it: a process of its own, so that no measuring thread is in its way."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil
from live_daemon import client, wait_ready

from bridge.osc.udp_server import Address

DEVICE = "system"
PRESET = "piano"
_STOP_SECONDS = 20.0
PATIENCE_SECONDS = 300.0
"""The first time on a machine it compiles; on a busy one all takes long, and takes are put off to later lines."""
_MAPPED = {"player": "llvmlite", "audio": "portaudio"}
"""A library that only this child has loaded, by which it is known."""


@dataclass(frozen=True)
class ServedDaemon:
    """Runs; what it logs lies in a file."""

    process: subprocess.Popen[str]
    address: Address
    takes: Path
    log: Path

    def child(self, name: Literal["player", "audio"]) -> psutil.Process:
        """One of its processes, as it is now: waits for one that starts."""
        deadline = time.monotonic() + 30.0
        while time.monotonic() < deadline:
            for each in psutil.Process(self.process.pid).children():
                try:
                    if any(_MAPPED[name] in part.path for part in each.memory_maps()):
                        return each
                except psutil.Error:  # it ended while we looked
                    continue
            time.sleep(0.05)
        raise AssertionError(f"the daemon has no {name}")

    @property
    def logged(self) -> dict[str, int]:
        """How often it has logged what should never be, and the loss of its sound device.

        The sound server gives up on a client for which a busy machine has no time; then other figures mean little.
        """
        text = self.log.read_text()
        return {"tracebacks": text.count("Traceback"), "sound_device_lost": text.count("no sound: takes go to files")}


@contextmanager
def served(takes: Path, *options: str, allowed: Path | None = None) -> Iterator[ServedDaemon]:
    """A daemon that is ready, with the preset PRESET, on free ports; ``options`` as `melnet-music serve` has them.

    It is told to stop at the end, unless it has stopped, and must end in good order.
    """
    allow = ["--allow-folder", str(allowed)] if allowed else []
    command = [
        sys.executable, "-m", "bridge.cli", "serve", "--json", "--preset", PRESET, "--takes", str(takes),
        "--osc-port", "0", "--oscquery-port", "0", *allow, *options,
    ]  # fmt: skip
    log = takes.parent / f"{takes.name}.log"
    with log.open("w") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
        try:
            assert process.stdout is not None
            where = json.loads(process.stdout.readline())
            daemon = ServedDaemon(process, (where["osc_host"], where["osc_port"]), takes, log)
            with client(daemon) as player:
                wait_ready(player, PATIENCE_SECONDS)
            yield daemon
        finally:
            process.terminate()
            code = process.wait(_STOP_SECONDS)
    assert code == 0, log.read_text()
