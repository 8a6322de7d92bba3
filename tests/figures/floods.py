"""What comes over the network while a take sounds, and whether the take or anybody's answers suffer.

In turn: dated bundles, and how far from their time they are obeyed; the same after one that is dated a year ahead; two
subscribers of which one is killed; messages in great number; fuzzed datagrams. The floods come from processes of their
own; meanwhile another client pings, and waits for each answer. In the end the take, recorded from the device, is held
against its file.
"""

from __future__ import annotations

import logging
import multiprocessing
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from bad_input import bundle, nasty
from jack_rig import Capture, jack_server
from live_daemon import Player, client, pairs

from bridge.osc.datagrams import encode_message
from bridge.osc.udp_server import Address
from tests.figures.support.heard import places_of, sound_of
from tests.figures.support.music_file import PHRASE
from tests.figures.support.program import run
from tests.figures.support.served_daemon import DEVICE, PATIENCE_SECONDS, ServedDaemon, served

_LOG = logging.getLogger(__name__)

YEAR_SECONDS = 365 * 86400.0
PING = encode_message("/melnet/ping", [])
_SPACING_SECONDS = 0.05
_OTHER_SECONDS = 75.0
"""How long all but the flood of messages takes, at most."""
_PING_EVERY_SECONDS = 0.01
_ANSWER_SECONDS = 5.0
_SPAWN = multiprocessing.get_context("spawn")


def measure(
    folder: Path, *, bundles: int, others: int, messages_per_second: int, seconds: float, fuzzed: int,
    fuzzed_per_second: int,
) -> dict[str, object]:  # fmt: skip
    """Args:
    bundles, others: how many dated ones; how many beside the one dated a year ahead.
    seconds: how long the flood of messages lasts.
    fuzzed: datagrams.
    """
    take_seconds = min(300.0, _OTHER_SECONDS + seconds)
    with (
        jack_server(),
        served(folder / "takes", "--audio-out", DEVICE, allowed=PHRASE.parent) as daemon,
        client(daemon) as player,
    ):
        player.send("prime/file", PHRASE.name)
        player.wait_for("done", "prime/file")
        capture = Capture(folder, most_seconds=PATIENCE_SECONDS + take_seconds + 30.0)
        capture.wait_until_ready()
        player.send("continue", 1, "seconds", take_seconds, "seed", 1)
        player.wait_for("started", "continue", 1, seconds=PATIENCE_SECONDS)
        began = time.monotonic()
        figures: dict[str, object] = {"take_seconds": take_seconds}
        figures["bundles"] = _bundles(daemon, bundles)
        figures["bundles_after_one_dated_a_year_ahead"] = _bundles(daemon, others, year_ahead=True)
        figures["subscribers"] = _subscribers(daemon)
        rate = messages_per_second
        figures["messages"] = _flood(daemon, _send_messages, (rate, round(rate * seconds)))
        figures["fuzzed"] = _flood(daemon, _send_fuzzed, (fuzzed_per_second, fuzzed))
        figures["lasted_seconds"] = time.monotonic() - began
        finished = pairs(player.wait_for("finished", "continue", 1, seconds=take_seconds + PATIENCE_SECONDS))
        sounded = time.monotonic() - began
        status = player.ask("status")
        captured = capture.stop()
        told = [str(m.values) for m in player.heard if m.address in ("/melnet/warning", "/melnet/fail")]
    return {
        **figures,
        "take": {
            "sounded_all_the_while": float(str(figures["lasted_seconds"])) < sounded - 1.0,
            "gaps": finished["gaps"],
            "missing_samples": finished["missing_samples"],
            "recorded_bit_for_bit": len(places_of(sound_of(Path(str(finished["file"]))), captured)) == 1,
            "told": told,
        },
        "underruns": status["underruns"],
        "dropped_datagrams": status["dropped_datagrams"],
        **daemon.logged,
    }


# --- bundles --------------------------------------------------------------------------------------------


def _bundles(daemon: ServedDaemon, count: int, *, year_ahead: bool = False) -> dict[str, object]:
    """How far from their time dated bundles are answered, as their sender sees it."""
    _LOG.info("%d bundles", count)
    moments = random.Random(count)
    refused = []
    with client(daemon) as sender, _pinging(daemon) as pings:
        if year_ahead:
            sender.send_bytes(bundle(time.time() + YEAR_SECONDS, encode_message("/melnet/generate", [7])))
            refused = sender.wait_for("fail", "generate", 7)[2:3]
        begin = time.time() + 1.0
        due = [begin + _SPACING_SECONDS * (n + moments.random()) for n in range(count)]
        for number, at in enumerate(due):
            sender.send_bytes(bundle(at, encode_message("/melnet/sync", [number])))
        late = [-1.0] * count
        for _ in range(count):
            answered = int(str(sender.wait_for("synced")[0]))
            late[answered] = time.time() - due[answered]
    milliseconds = np.array(late) * 1000.0
    return {
        "count": count,
        "milliseconds_late_0_50_95_100": [float(v) for v in np.percentile(milliseconds, [0, 50, 95, 100])],
        **({"the_one_a_year_ahead": refused} if year_ahead else {}),
        **pings.figures,
    }


# --- subscribers ----------------------------------------------------------------------------------------


def _subscribers(daemon: ServedDaemon, changes: int = 100) -> dict[str, object]:
    """One of two is killed: whether the other hears of every change before and after."""
    _LOG.info("two subscribers")
    with client(daemon) as changer, client(daemon) as lives, _pinging(daemon) as pings:
        lives.send("subscribe", "lease", 60)
        lives.wait_for("done", "subscribe")
        ours, theirs = _SPAWN.Pipe()
        doomed = _SPAWN.Process(target=_subscribe, args=(daemon.address, theirs), daemon=True)
        doomed.start()
        assert ours.recv() == "subscribed"
        for number in range(changes):
            if number == changes // 2:
                doomed.kill()
                doomed.join()
            changer.send("set", "bias", number / 16)
            changer.wait_for("done", "set")
        heard = {"before": 0, "after": 0}
        ends: tuple[float | str, ...] = (10.0, "preset")  # back to what it was
        for last in ends:
            changer.send("set", "bias", last)
            lives.wait_for("event", "property", "bias", last)
        told = [m.values[2] for m in lives.heard if m.values[:2] == ["property", "bias"]]
        for place in range(changes):
            heard["before" if place < changes // 2 else "after"] += told.count(place / 16)
    return {"changes": changes, "heard_by_the_one_that_lives": heard, **pings.figures}


def _subscribe(daemon: Address, connection: Connection) -> None:
    player = Player(daemon)
    player.send("subscribe", "lease", 60)
    player.wait_for("done", "subscribe")
    connection.send("subscribed")
    player.wait_for("event", "nothing that comes", seconds=600.0)


# --- floods ---------------------------------------------------------------------------------------------


def _flood(
    daemon: ServedDaemon, send: Callable[[Address, Connection, int, int], None], size: tuple[int, int]
) -> dict[str, object]:
    """What a flooding process says of itself, and what the client that pings beside it saw."""
    ours, theirs = _SPAWN.Pipe()
    flooder = _SPAWN.Process(target=send, args=(daemon.address, theirs, *size), daemon=True)
    flooder.start()
    assert ours.recv() == "ready"
    _LOG.info("a flood of %d", size[1])
    with _pinging(daemon) as pings:
        ours.send("begin")
        said: dict[str, object] = ours.recv()
    flooder.join()
    return {**said, **pings.figures}


def _send_messages(daemon: Address, connection: Connection, rate: int, count: int) -> None:
    """Pings at an even pace, reading the answers as they come."""
    answered = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flood:
        flood.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        flood.connect(daemon)
        connection.send("ready")
        connection.recv()
        began = time.monotonic()
        for sent in range(count):
            flood.send(PING)
            answered += _read_all(flood)
            time.sleep(max(0.0, began + (sent + 1) / rate - time.monotonic()))
        took = time.monotonic() - began
        deadline = time.monotonic() + _ANSWER_SECONDS
        while answered < count and time.monotonic() < deadline:
            time.sleep(0.01)
            answered += _read_all(flood)
    connection.send({"sent": count, "answered": answered, "a_second": count / took})


def _read_all(flood: socket.socket) -> int:
    count = 0
    while True:
        try:
            flood.recv(1 << 16, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return count
        count += 1


def _send_fuzzed(daemon: Address, connection: Connection, rate: int, count: int) -> None:
    generator = random.Random(3)
    datagrams = [nasty(generator) for _ in range(count)]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flood:
        flood.connect(daemon)
        connection.send("ready")
        connection.recv()
        began = time.monotonic()
        for number, datagram in enumerate(datagrams):
            flood.send(datagram)
            ahead = began + (number + 1) / rate - time.monotonic()
            if ahead > 0.001:
                time.sleep(ahead)
        took = time.monotonic() - began
    connection.send({"sent": count, "a_second": count / took})


class _Pings:
    """A client in a thread: one ping after the other, each waited for."""

    def __init__(self, daemon: ServedDaemon) -> None:
        self._daemon = daemon
        self._stop = threading.Event()
        self._seconds: list[float] = []
        self._lost = 0
        self._thread = threading.Thread(target=self._run, name="pings")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        with client(self._daemon) as player:
            while not self._stop.wait(_PING_EVERY_SECONDS):
                began = time.monotonic()
                player.send("ping")
                try:
                    player.wait_for("pong", seconds=_ANSWER_SECONDS)
                except AssertionError:
                    self._lost += 1
                else:
                    self._seconds.append(time.monotonic() - began)

    @property
    def figures(self) -> dict[str, object]:
        return {
            "pings": len(self._seconds) + self._lost,
            "pings_answered": len(self._seconds),
            "slowest_ping_milliseconds": 1000.0 * max(self._seconds, default=float("nan")),
            "median_ping_milliseconds": 1000.0 * float(np.median(self._seconds)),
        }


@contextmanager
def _pinging(daemon: ServedDaemon) -> Iterator[_Pings]:
    pings = _Pings(daemon)
    pings.start()
    try:
        yield pings
    finally:
        pings.stop()


if __name__ == "__main__":
    run(
        measure, bundles=200, others=100, messages_per_second=2000, seconds=60.0, fuzzed=100_000,
        fuzzed_per_second=20_000,
    )  # fmt: skip
