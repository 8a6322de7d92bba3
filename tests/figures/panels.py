"""What panels cost: the daemon's processor time, and whether a take has gaps, with none, one, ten and fifty of them.

Each time a take plays from the JACK server, and the panels read all that they are sent, in a process of their own.
With the fifty there are two more: one that sends rubbish as fast as it can, and one that never reads.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import random
import socket
import time
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

import psutil
from jack_rig import jack_server
from live_daemon import Player, client, pairs
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from bridge.panel.sound_view import HEADER, KIND_COLUMNS
from tests.figures.support.music_file import PHRASE
from tests.figures.support.program import run
from tests.figures.support.served_daemon import DEVICE, PATIENCE_SECONDS, ServedDaemon, served

_LOG = logging.getLogger(__name__)

_SETTLING_SECONDS = 2.0
_SPAWN = multiprocessing.get_context("spawn")
_SILENT_REQUEST = (
    "GET /panel/socket HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def measure(folder: Path, *, seconds: float, few: int, some: int, many: int) -> dict[str, object]:
    """``seconds``: how long each number of panels is looked at."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with (
        jack_server(),
        served(folder / "takes", "--audio-out", DEVICE, "--oscquery-port", str(port), allowed=PHRASE.parent) as daemon,
        client(daemon) as player,
    ):
        player.send("prime/file", PHRASE.name)
        player.wait_for("done", "prime/file")
        figures = [
            _with_panels(daemon, player, port, number, panels, seconds)
            for number, panels in enumerate((0, few, some, many), 1)
        ]
        underruns = player.ask("status")["underruns"]
    return {"with_panels": figures, "underruns": underruns, **daemon.logged}


def _with_panels(
    daemon: ServedDaemon, player: Player, port: int, number: int, panels: int, seconds: float
) -> dict[str, object]:
    _LOG.info("%d panels", panels)
    rude = panels >= 50
    ours, theirs = _SPAWN.Pipe()
    browsers = _SPAWN.Process(target=_look, args=(port, theirs, panels, rude), daemon=True)
    browsers.start()
    assert ours.recv() == "ready"
    player.send("continue", number, "seconds", seconds + 2 * _SETTLING_SECONDS, "seed", number)
    player.wait_for("started", "continue", number, seconds=PATIENCE_SECONDS)
    processes = {"daemon": psutil.Process(daemon.process.pid), **{n: daemon.child(n) for n in ("player", "audio")}}
    ours.send("count")
    began, before = time.monotonic(), {name: _worked(process) for name, process in processes.items()}
    slowest_ping = 0.0
    while time.monotonic() < began + seconds:
        asked = time.monotonic()
        player.send("ping")
        player.wait_for("pong")
        slowest_ping = max(slowest_ping, time.monotonic() - asked)
        time.sleep(0.1)
    lasted = time.monotonic() - began
    cores = {name: (_worked(process) - before[name]) / lasted for name, process in processes.items()}
    ours.send("stop")
    seen = ours.recv()
    browsers.join()
    finished = pairs(player.wait_for("finished", "continue", number, seconds=seconds + PATIENCE_SECONDS))
    return {
        "panels": panels,
        "one_more_sends_rubbish_and_one_never_reads": rude,
        "cores_kept_busy": cores,
        "slowest_ping_milliseconds": 1000.0 * slowest_ping,
        "gaps": finished["gaps"],
        "missing_samples": finished["missing_samples"],
        "pictures_a_second_of_a_panel": [count / lasted for count in seen["pictures"]],
        "columns_a_second_of_a_panel": [count / lasted for count in seen["columns"]],
    }


def _worked(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _look(port: int, connection: Connection, panels: int, rude: bool) -> None:
    asyncio.run(_look_at_all(port, connection, panels, rude))


async def _look_at_all(port: int, connection: Connection, panels: int, rude: bool) -> None:
    url = f"ws://127.0.0.1:{port}/panel/socket"
    sockets = [await connect(url, compression=None, max_queue=None) for _ in range(panels)]
    counts = [[0, 0] for _ in sockets]
    tasks = [asyncio.create_task(_read(each, count)) for each, count in zip(sockets, counts, strict=True)]
    silent = socket.create_connection(("127.0.0.1", port)) if rude else None
    if silent:
        silent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        silent.sendall(_SILENT_REQUEST.encode())
        tasks.append(asyncio.create_task(_send_rubbish(url)))
    connection.send("ready")
    await asyncio.to_thread(connection.recv)
    before = [[*count] for count in counts]
    await asyncio.to_thread(connection.recv)
    told = [[now - then for now, then in zip(*each, strict=True)] for each in zip(counts, before, strict=True)]
    connection.send({"pictures": _least_and_most(told, 0), "columns": _least_and_most(told, 1)})
    for task in tasks:
        task.cancel()
    if silent:
        silent.close()
    for each in sockets:
        each.transport.abort()


def _least_and_most(counts: list[list[int]], place: int) -> list[int]:
    """Of all panels; nothing of none."""
    found = [count[place] for count in counts]
    return [min(found), max(found)] if found else []


async def _read(panel: ClientConnection, count: list[int]) -> None:
    with suppress(ConnectionClosed):
        async for message in panel:
            if message[0] == KIND_COLUMNS:
                count[0] += 1
                count[1] += HEADER.unpack_from(message)[2]  # type: ignore[arg-type]


async def _send_rubbish(url: str) -> None:
    generator = random.Random(1)
    async with connect(url, compression=None) as panel:
        while True:
            await panel.send(generator.randbytes(generator.randrange(400)))
            await panel.send("rubbish" * generator.randrange(50))


if __name__ == "__main__":
    run(measure, seconds=20.0, few=1, some=10, many=50)
