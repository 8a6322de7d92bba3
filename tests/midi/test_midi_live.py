"""MIDI controllers on JACK play a whole daemon."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from jack_rig import jack_server
from live_daemon import Player, client, live_daemon, wait_ready
from midi_rig import Controller, controller

from bridge.midi.ports import MidiSettings

MAP = """
[[map]]
cc = 7
set = "level"

[[map]]
note = 36
do = "generate"
with = { seconds = 0.5 }
velocity = { temperature = [0.5, 1.0] }

[[map]]
note = 37
do = "take/recall"
with = { take = 99 }

[[map]]
cc = 119
do = "take/recall"
with = { take = 98 }

[[map]]
notes = [48, 72]
play = "follow"
"""
HUNG_SECONDS = 5.0
PARTS = 20
ALL_READ = "no take 98 in this session"


@pytest.fixture(scope="module")
def jack() -> Iterator[None]:
    with jack_server(synchronous=False):
        yield


@contextmanager
def playing(takes: Path, map_file: Path) -> Iterator[Player]:
    """A subscriber of a daemon that opens the ports of a controller ``pad``."""
    settings = MidiSettings(("pad",), ("pad",), "jack")
    with live_daemon(takes, midi=settings, midi_map=map_file) as daemon, client(daemon) as player:
        wait_ready(player)
        player.send("subscribe")
        player.wait_for("done", "subscribe")
        yield player


def plugged(player: Player, name: str) -> None:
    """Wait until the daemon has opened or closed it."""
    player.wait_until(lambda message: message.values[:3] == ["midi", "in", name], f"{name} in MIDI", 60.0)


@pytest.mark.usefixtures("jack")
def test_pads_and_faders_play_the_daemon(tmp_path: Path) -> None:
    map_file = tmp_path / "midi.toml"
    map_file.write_text(MAP)
    with playing(tmp_path, map_file) as player:
        with controller("pad") as pad:
            plugged(player, "pad:out")
            assert pad.next_shown() == b"\xb0\x07\x7f"
            pad.send(0xB0, 7, 127)
            pad.send(0xB0, 7, 0)
            assert player.wait_for("event", "property", "level")[2] == 0.0
            player.send("set/level", 0.5)
            assert pad.next_shown() == b"\xb0\x07\x40"
            pad.send(0x99, 36, 127)
            player.wait_for("event", "finished", "midi:0", "generate", 1)
            pad.send(0x99, 37, 127)
            failed = player.wait_for("event", "fail", "midi:0", "take/recall")
            assert failed[4] == "unknown_take"

            player.send("midi/learn", "tempo", "low", 80.0, "high", 160.0)
            player.send("sync", 1)
            player.wait_for("synced", 1)
            pad.send(0xB0, 20, 0)
            pad.send(0xB0, 20, 127)
            learned = player.wait_for("done", "midi/learn")
            assert learned[2:] == ["name", "tempo", "control", "cc 20 on channel 1"]
            assert "range = [80.0, 160.0]" in map_file.read_text()
            pad.send(0x90, 60, 100)
        plugged(player, "none")
        assert player.ask("status")["player"] == "ready"

    with playing(tmp_path, map_file) as player, controller("pad") as pad:
        plugged(player, "pad:out")
        pad.send(0xB0, 20, 0)  # of what the knob learned before the restart: far from 120 bpm, no jump
        pad.send(0xB0, 20, 20)
        pad.send(0xB0, 119, 127)
        player.wait_until(lambda message: str(message.values[-1]).startswith(ALL_READ), "end of a part", 60.0)
        player.send("get", "tempo")
        assert player.wait_for("get.reply") == ["tempo", 120.0]
        pad.send(0xB0, 20, 127)  # on its way it passes 120 bpm
        assert player.wait_for("event", "property", "tempo")[2] == 160.0


@pytest.mark.usefixtures("jack")
def test_a_midi_process_that_stands_still_holds_up_nobody_and_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when JACK stalls: python-rtmidi waits for it with the interpreter's lock held, and no thread of it goes on."""
    monkeypatch.setattr("bridge.midi.ports_process._HUNG_SECONDS", HUNG_SECONDS)
    map_file = tmp_path / "midi.toml"
    map_file.write_text(MAP)
    settings = MidiSettings(("pad",), ("pad",), "jack")
    with (
        controller("pad") as pad,
        live_daemon(tmp_path, midi=settings, midi_map=map_file) as daemon,
        client(daemon) as player,
    ):
        wait_ready(player)
        player.send("subscribe")
        player.wait_for("done", "subscribe")
        while player.ask("status")["midi_in"] != "pad:out":
            time.sleep(0.05)
        hung = daemon._midi.pid
        assert hung is not None
        os.kill(hung, signal.SIGSTOP)
        slowest = 0.0
        for number in range(100):  # each shows the fader of the stopped process where the level is now
            asked = time.monotonic()
            player.send("set/level", number / 100)
            player.wait_for("done", "set/level")
            slowest = max(slowest, time.monotonic() - asked)
        assert slowest < HUNG_SECONDS / 2
        assert player.run_job("generate", 1, "seconds", 0.25)["seconds"] == 0.25
        player.wait_unless_heard(
            lambda message: message.values[:3] == ["midi", "in", "none"], "end of the MIDI process"
        )
        plugged(player, "pad:out")
        assert daemon._midi.pid != hung
        assert any(fades(player, pad) for _ in range(20))


def fades(player: Player, pad: Controller) -> bool:
    """Whether the daemon follows a fader: JACK on a busy machine may lose what it sends."""
    player.send("set/level", 0.5)
    pad.send(0xB0, 7, 64)
    pad.send(0xB0, 7, 0)
    with suppress(AssertionError):
        player.wait_until(lambda message: message.values == ["property", "level", 0.0], "level 0", 3.0)
        return True
    return False


def all_read(player: Player, pad: Controller) -> bool:
    """Whether the daemon hears a knob after all that came before: JACK on a busy machine may lose it."""
    pad.send(0xF7)  # chance began messages without end, and RtMidi waits for theirs
    pad.send(0xB0, 119, 0)
    pad.send(0xB0, 119, 127)
    with suppress(AssertionError):
        player.wait_until(lambda message: str(message.values[-1]).startswith(ALL_READ), "end of a part", 3.0)
        return True
    return False


@pytest.mark.usefixtures("jack")
def test_nonsense_from_a_port_ends_nothing(tmp_path: Path) -> None:
    generator = random.Random(1)
    map_file = tmp_path / "midi.toml"
    map_file.write_text(MAP)
    with playing(tmp_path, map_file) as player:
        with controller("pad") as pad:
            plugged(player, "pad:out")
            for _ in range(PARTS):  # no more at once than JACK has room for
                for _ in range(100):
                    pad.send(*generator.randbytes(generator.randrange(1, 4)))
                assert any(all_read(player, pad) for _ in range(20))
            pad.send(0x90, 60, 100)
        plugged(player, "none")
        with controller("pad") as pad:
            plugged(player, "pad:out")
            assert any(fades(player, pad) for _ in range(20))
