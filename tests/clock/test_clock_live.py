"""The daemon follows a MIDI clock of another program, and leads one, over real ports."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from clock_rig import CLOCK_PORT, TransportMaster, clock_master
from jack_rig import jack_server
from live_daemon import Player, client, end_all, live_daemon, pairs, wait_ready
from midi_rig import controller

from bridge.clock.midi_clock_follower import CONTINUE, SONG_POSITION, STOP
from bridge.midi.ports import MidiSettings
from bridge.stage.daemon import Daemon

DEVICE = "system"
PRESET = "rtf=20 hz=48000 block=0.05"
NEAR_BEATS = 0.5
"""Of places that are read one after the other, on a busy machine."""


@pytest.fixture(scope="module")
def server() -> Iterator[subprocess.Popen[bytes]]:
    with jack_server(synchronous=False) as running:
        yield running


@pytest.fixture(scope="module")
def rolling(server: object) -> Iterator[TransportMaster]:
    with clock_master(120.0) as one:
        yield one


@pytest.fixture
def master(rolling: TransportMaster) -> Iterator[TransportMaster]:
    """Stands still at first."""
    yield rolling
    rolling.order("stop")
    rolling.order("tempo 120")


@pytest.fixture(scope="module")
def daemon(rolling: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    midi = MidiSettings((CLOCK_PORT,), (), "jack")
    with live_daemon(tmp_path_factory.mktemp("takes"), preset=PRESET, output=DEVICE, midi=midi) as running:
        yield running


@pytest.fixture
def player(daemon: Daemon) -> Iterator[Player]:
    with client(daemon) as one:
        wait_ready(one)
        wait_until(one, "status", lambda status: CLOCK_PORT in str(status["midi_in"]))
        one.send("subscribe")
        one.wait_for("done", "subscribe")
        yield one
        end_all(one)
        one.send("set", "clock", "internal")
        one.wait_for("done", "set", -1, "clock")


def wait_until(player: Player, what: str, true: Callable[[dict[str, object]], bool]) -> dict[str, object]:
    deadline = time.monotonic() + 60.0
    while not true(told := player.ask(what)):
        assert time.monotonic() < deadline, told
        time.sleep(0.02)
    return told


def beat_of(transport: dict[str, object]) -> float:
    return 4.0 * (float(str(transport["bar"])) - 1) + float(str(transport["beat"])) - 1


def song_position(message: bytes) -> int | None:
    """In sixteenths."""
    return message[1] | message[2] << 7 if message[0] == SONG_POSITION else None


def is_with(master: TransportMaster) -> Callable[[dict[str, object]], bool]:
    def near(transport: dict[str, object]) -> bool:
        where = master.where()
        true = where.beat + (time.monotonic() - where.seconds) * 2.0
        return transport["state"] == "running" and abs(beat_of(transport) - true) < NEAR_BEATS

    return near


def test_tempo_place_stop_and_locate_are_the_masters(master: TransportMaster, player: Player) -> None:
    player.send("set", "tempo", 90.0)
    player.send("set", "clock", "midi")
    player.wait_for("done", "set", -1, "clock")
    assert player.ask("transport")["state"] == "waiting"
    master.order("roll")
    player.wait_for("event", "clock", "midi", "running")
    wait_until(player, "transport", is_with(master))
    player.wait_unless_heard(  # it is shown to controllers
        lambda message: message.values[:2] == ["property", "tempo"] and abs(float(str(message.values[2])) - 120) < 1.5,
        "tempo of 120",
    )
    for name, values in (("set", ("tempo", 100.0)), ("transport/locate", (5,))):
        player.send(name, *values)
        assert player.wait_for("fail", name)[2] == "refused"
    master.order("stop")
    player.wait_for("event", "clock", "midi", "stopped")
    stopped = beat_of(player.ask("transport"))
    wait_until(player, "transport", lambda each: beat_of(each) > stopped + 0.5)  # the grid goes on
    player.send("generate", 1, "seconds", 0.25, "quantise", "bar")
    assert pairs(player.wait_for("finished", "generate", 1))["sounded"] == 1
    master.order("locate 128")
    master.order("roll")
    player.wait_for("event", "clock", "midi", "running")
    assert int(str(wait_until(player, "transport", is_with(master))["bar"])) >= 33
    player.send("set", "clock", "internal")
    player.wait_for("done", "set", -1, "clock")
    player.send("transport/locate", 3)
    assert pairs(player.wait_for("done", "transport/locate"))["state"] == "running"


def go_to(master: TransportMaster, player: Player, beat: int) -> None:
    """Have the rolling master go on from a beat, and wait until the daemon follows it there."""
    master.order(f"locate {beat}")
    follows = is_with(master)
    wait_until(player, "transport", lambda transport: beat <= master.where().beat < beat + 12 and follows(transport))


def test_what_waits_for_a_line_takes_the_next_one_where_the_master_goes(
    master: TransportMaster, player: Player
) -> None:
    player.send("set", "clock", "midi")
    master.order("roll")
    player.wait_for("event", "clock", "midi", "running")
    go_to(master, player, 32)
    player.send("generate", 1, "seconds", 0.25, "quantise", "4bar")
    player.send("generate", 2, "seconds", 0.25, "at_bar", 41)
    assert pairs(player.wait_for("done", "generate", 1))["bar"] in (13, 17)
    player.wait_for("done", "generate", 2)
    go_to(master, player, 4 * 36 + 1)
    for number in (1, 2):
        player.wait_for("finished", "generate", number, seconds=60.0)
    bars = {m.values[1]: pairs(m.values)["bar"] for m in player.heard if m.address == "/melnet/started"}
    assert bars[1] in (41, 45)
    assert bars[2] in (bars[1], 41, 42)


def test_a_preset_that_waits_for_a_line_lives_through_another_tempo(master: TransportMaster, player: Player) -> None:
    player.send("set", "clock", "midi")
    master.order("roll")
    player.wait_for("event", "clock", "midi", "running")
    wait_until(player, "transport", is_with(master))
    player.send("generate", 1, "seconds", 12.0, "quantise", "bar")
    player.wait_for("started", "generate", 1)
    bar = int(str(player.ask("transport")["bar"])) + 3
    player.send("load", "rtf=20 hz=48000 block=0.1 digest=1111", "at_bar", bar)
    assert pairs(player.wait_for("done", "load"))["bar"] == bar
    master.order("tempo 126")
    player.wait_until(
        lambda message: message.values[:2] == ["property", "tempo"] and abs(float(str(message.values[2])) - 126) < 1.5,
        "tempo of 126",
        20.0,
    )
    player.wait_for("started", "load")
    told = pairs(player.wait_for("finished", "generate", 1))
    assert (told["gaps"], told["sounded"]) == (0, True)


def test_a_link_that_cannot_be_had_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.clock.link.find_spec", lambda _: None)
    with live_daemon(tmp_path) as daemon, client(daemon) as player:
        player.send("set", "clock", "link")
        fail = player.wait_for("fail", "set")
        assert fail[2] == "refused"
        assert "pip install 'melnet-music[link]'" in str(fail[3])
        assert player.ask("transport")["clock"] == "internal"


@pytest.mark.usefixtures("server")
def test_a_slave_is_led_to_where_the_music_is(tmp_path: Path) -> None:
    with controller("drums") as drums:
        midi = MidiSettings((), (), "jack", ("drums",))
        with live_daemon(tmp_path, output=DEVICE, midi=midi) as daemon, client(daemon) as player:
            wait_ready(player)
            wait_until(player, "status", lambda each: "drums" in str(each["clock_out"]))
            player.send("set", "tempo", 30.0)  # so that little happens before it is told
            player.send("transport/locate", 9, "beat", 2.0)
            player.wait_for("done", "transport/locate")
            while (place := song_position(drums.next_shown())) is None or place < 4 * 33:
                pass  # where it was before
            assert place < 4 * 33 + 8
            assert drums.next_shown()[0] == CONTINUE
            player.send("set", "clock_out", "off")
            player.wait_for("done", "set", -1, "clock_out")
            assert drums.next_shown()[0] == STOP
