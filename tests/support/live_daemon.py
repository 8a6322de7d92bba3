"""A whole daemon with real sockets and processes, and a client that talks to it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, Protocol

import pytest

from bridge.cli.subcommand import DEFAULT_ENGINE
from bridge.midi.ports import NO_MIDI, MidiSettings
from bridge.osc.client import OscClient
from bridge.osc.datagrams import Message
from bridge.osc.udp_server import Address
from bridge.protocol.types import NAMESPACE, Value
from bridge.stage.daemon import Daemon, DaemonSettings

SCRIPTED = "scripted_instrument:load"
DEADLINE_SECONDS = 20.0
NO_SOUND_YET = "none: takes go to files ("
"""So the status begins that tells why a device could not be opened: it is tried again."""
OTHER_HOST = "127.0.0.2"
"""An address of this machine that is not the one that clients send from."""


class HasAddress(Protocol):
    """A daemon, in this process or another."""

    @property
    def address(self) -> Address: ...


class Player:
    """A client that keeps what it got, and waits for answers with a deadline."""

    def __init__(self, daemon: Address) -> None:
        self._client = OscClient(daemon)
        self.address = self._client.address
        self.heard: list[Message] = []

    def send(self, name: str, *values: Value) -> None:
        self._client.send(f"{NAMESPACE}/{name}", values)

    def send_bytes(self, data: bytes) -> None:
        self._client.send_bytes(data)

    def wait_for(self, wanted: str, *start: object, seconds: float = DEADLINE_SECONDS) -> list[object]:
        """The values of the next answer at that address that begins with ``start``; others are kept in ``heard``."""
        return self.wait_until(
            lambda message: message.address == f"{NAMESPACE}/{wanted}" and message.values[: len(start)] == [*start],
            f"{wanted} {start}",
            seconds,
        ).values

    def wait_until(self, wanted: Callable[[Message], bool], what: str, seconds: float) -> Message:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            message = self.receive(left)
            if message is not None:
                self.heard.append(message)
                if wanted(message):
                    return message
        raise AssertionError(f"no {what} within {seconds:g} s; last came {self.heard[-5:]}")

    def wait_unless_heard(self, wanted: Callable[[Message], bool], what: str, seconds: float = 60.0) -> None:
        """Wait for an answer or event that may be among those that were heard already."""
        if not any(map(wanted, self.heard)):
            self.wait_until(wanted, what, seconds)

    def receive(self, seconds: float) -> Message | None:
        """The next answer, which is not kept; None: none came in time."""
        return self._client.receive(seconds)

    def ask(self, name: str, *values: Value) -> dict[str, object]:
        """Send a query and return its reply's key-value pairs."""
        self.send(name, *values)
        reply = self.wait_for(f"{name}.reply")
        return dict(zip(map(str, reply[::2]), reply[1::2], strict=True))

    def run_job(self, name: str, job_id: int, *values: Value, seconds: float = 60.0) -> dict[str, object]:
        """Send a job and return its ``finished``."""
        self.send(name, job_id, *values)
        return pairs(self.wait_for("finished", name, job_id, seconds=seconds))

    def close(self) -> None:
        self._client.close()


def oscquery_port(daemon: Daemon) -> int:
    """That a daemon serves OSCQuery on."""
    assert daemon.oscquery_address is not None
    return daemon.oscquery_address[1]


def pairs(values: list[object]) -> dict[str, object]:
    """What follows command and id, as keys and values."""
    return dict(zip(map(str, values[2::2]), values[3::2], strict=True))


class Errors(logging.Handler):
    """Keeps what was logged with a traceback: the daemon lives through it, a test that provokes it must not."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            self.records.append(record)


@contextmanager
def live_daemon(
    takes: Path,
    *,
    preset: str = "rtf=8 hz=48000 block=0.1",
    output: str | None = None,
    audio_input: str | None = None,
    allowed: tuple[Path, ...] = (),
    factory: str = SCRIPTED,
    oscquery_port: int | None = None,
    oscquery_hosts: tuple[str, ...] = (),
    oscquery_origins: tuple[str, ...] = (),
    panel: bool = True,
    midi: MidiSettings = NO_MIDI,
    midi_map: Path | None = None,
    player_hung_seconds: float = 10.0,
    reply_hosts: tuple[str, ...] = (),
) -> Iterator[Daemon]:
    """A daemon in a thread of this process, its player and audio process in theirs; it must log no traceback."""
    daemon = Daemon(
        DaemonSettings(
            preset=preset,
            engine=DEFAULT_ENGINE,
            threads=None,
            osc_host="127.0.0.1",
            osc_port=0,
            output_device=output,
            input_device=audio_input,
            takes_folder=takes,
            allowed_folders=allowed,
            instrument_factory=factory,
            oscquery_port=oscquery_port,
            oscquery_hosts=oscquery_hosts,
            oscquery_origins=oscquery_origins,
            panel=panel,
            midi=midi,
            midi_map=midi_map,
            player_hung_seconds=player_hung_seconds,
            reply_hosts=reply_hosts,
        )
    )
    thread = threading.Thread(target=daemon.run, name="daemon")
    errors, log = Errors(), logging.getLogger("bridge")
    log.addHandler(errors)
    thread.start()
    try:
        yield daemon
    finally:
        daemon.stop()
        thread.join(DEADLINE_SECONDS)
        log.removeHandler(errors)
        assert not thread.is_alive()
        assert not errors.records, logging.Formatter().format(errors.records[0])


def look_for_sound_often(patch: pytest.MonkeyPatch) -> None:
    """Have the daemon that is made next try again soon to open a sound device that is lost."""
    patch.setattr("bridge.stage.daemon._REOPEN_SOONEST_SECONDS", 0.25)
    patch.setattr("bridge.stage.daemon._REOPEN_LATEST_SECONDS", 0.5)


def process_id(daemon: Daemon, name: Literal["player", "audio"]) -> int:
    """Of one of its processes, as it is now."""
    pid = (daemon._player if name == "player" else daemon._audio).pid
    assert pid is not None
    return pid


@contextmanager
def client(daemon: HasAddress) -> Iterator[Player]:
    player = Player(daemon.address)
    try:
        yield player
    finally:
        player.close()


def end_all(player: Player) -> None:
    """End what sounds, is made or heard, and forget the prompt, so that the next test finds a daemon at rest."""
    for name in ("panic", "listen/stop", "prime/clear"):
        player.send(name)
    player.wait_for("done", "prime/clear")


def wait_ready(player: Player, seconds: float = 180.0) -> dict[str, object]:
    """Poll until the preset is loaded, which may compile first, and the sound device is open if one is wanted."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        status = player.ask("status")
        if status["player"] == "ready" and not str(status["output"]).startswith(("starting", NO_SOUND_YET)):
            return status
        time.sleep(0.05)
    raise AssertionError("the daemon did not get ready")


def wait_until(true: Callable[[], bool], seconds: float = 60.0) -> None:
    """Look again and again."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)
