"""Any command at any time, with a MIDI keyboard and a clock master that jumps: nothing hangs, nothing dies, and every
answer is one that the reference lists.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from clock_rig import CLOCK_PORT, TransportMaster, clock_master
from documented import check_documented
from jack_rig import RATE_HZ, generator, jack_server
from live_daemon import Player, client, live_daemon, pairs, wait_ready
from midi_rig import Controller, controller

from bridge.midi.ports import MidiSettings
from bridge.osc.datagrams import Message
from bridge.protocol.table import COMMANDS, PROPERTIES
from bridge.protocol.types import Argument, Command, Value

DEVICE = "system"
ACTS = 100
PRESET = "rtf=20 hz=48000 block=0.05"
PRESETS = (
    PRESET,
    "rtf=10 hz=48000 block=0.1 digest=1111",
    "rtf=20 hz=44100 block=0.05 digest=2222",
    "rtf=0.8 hz=48000 block=0.2 digest=3333",
    "rtf=12 hz=48000 block=0.1 really=2 digest=4444",
)
KEPT_FROM_CHANCE = ("reply", "set/clock", "panic")
"""The first takes answers away from us; the others come by themselves, but seldom."""
NEAR_BARS = 12
"""Bars that are named lie so near to where the music is."""
MIDI_MAP = """
[[map]]
notes = [0, 127]
channel = 1
play = "follow"

[[map]]
note = 36
channel = 10
do = "continue"

[[map]]
note = 37
channel = 10
do = "take/reroll"

[[map]]
note = 38
channel = 10
do = "load"
with = { preset = "rtf=20 hz=48000 block=0.05 digest=5555", quantise = "bar" }

[[map]]
cc = 1
set = "temperature"
"""


class Chance:
    """Draws what is done next; the jobs it asked for are open until they are answered to the end."""

    def __init__(self, seed: int, player: Player, master: TransportMaster, keys: Controller) -> None:
        self._draw = random.Random(seed)
        self._player, self._master, self._keys = player, master, keys
        self._bar = 1
        self._job = 0
        self.open_jobs: set[int] = set()
        self.unforeseen: list[Message] = []

    def act(self) -> None:
        """One thing, and what has been answered by then."""
        acts = (self._command, self._job_command, self._play_keys, self._steer_master)
        self._draw.choices(acts, weights=(6, 4, 4, 1))[0]()
        self.listen(self._draw.choice((0.02, 0.05, 0.2)))

    def listen(self, seconds: float) -> None:
        while (message := self._player.receive(seconds)) is not None:
            seconds = 0.0
            self._hear(message)

    def listen_until_synced(self) -> None:
        """Until all that was asked for is answered, but jobs."""
        self._player.send("sync", 1)
        last = self._player.wait_until(lambda message: message.address == "/melnet/synced", "sync", 20.0)
        for message in self._player.heard[: self._player.heard.index(last)]:
            self._hear(message)

    def _hear(self, message: Message) -> None:
        check_documented(message)
        values = message.values
        if message.address == "/melnet/transport.reply":
            self._bar = int(str(values[1]))
        if message.address in ("/melnet/fail", "/melnet/finished") and COMMANDS[str(values[0])].is_job:
            self.open_jobs.discard(int(str(values[1])))
        died = message.address == "/melnet/event" and values[:2] == ["player", "died"]
        if died or (message.address == "/melnet/fail" and values[2] in ("failed", "unknown_command", "wrong_type")):
            self.unforeseen.append(message)

    def _command(self) -> None:
        name = self._draw.choice([name for name in COMMANDS if name not in KEPT_FROM_CHANCE])
        self._send(COMMANDS[name])
        if self._draw.random() < 0.1:
            self._player.send("set/clock", self._draw.choice(("midi", "midi", "internal")))
        if self._draw.random() < 0.02:
            self._player.send("panic")
        self._player.send("transport")

    def _job_command(self) -> None:
        self._send(self._draw.choice([command for command in COMMANDS.values() if command.is_job]))

    def _send(self, command: Command) -> None:
        values = [self._value(argument) for argument in command.fixed]
        if command.is_job:
            self._job += 1
            values[0] = self._job
            self.open_jobs.add(self._job)
        if command.name == "set":
            property_name = self._draw.choice([name for name in PROPERTIES if name != "clock"])
            values = [property_name, self._value(PROPERTIES[property_name])]
        for key in self._draw.sample(command.keys, self._draw.randint(0, min(3, len(command.keys)))):
            values += [key.name, self._value(key)]
        self._player.send(command.name, *values)

    def _value(self, argument: Argument) -> Value:
        if argument.choices:
            return self._draw.choice(argument.choices)
        match argument.name:
            case "name":
                return self._draw.choice(list(PROPERTIES))
            case "preset":
                return self._draw.choice(PRESETS)
            case "path":
                return self._draw.choice(("heard.wav", f"out{self._draw.randrange(9)}.wav"))
            case "scale":
                return self._draw.choice(("free", "c major", "f# dorian", "h moll"))
            case "notes":
                return self._draw.choice(("heard.wav", "nothing.mid"))
            case "meter":
                return self._draw.choice(("4/4", "3/4", "7/8"))
            case "from_bar" | "to_bar" | "at_bar" | "bar":
                return max(1, self._bar + self._draw.randint(-NEAR_BARS, NEAR_BARS // 4))
        low, high = max(argument.low, -9.0), min(argument.high, max(argument.low, -9.0) + 9.0)
        if argument.kind == "bool":
            return self._draw.random() < 0.5
        return self._draw.randint(round(low), round(high)) if argument.kind == "int" else self._draw.uniform(low, high)

    def _play_keys(self) -> None:
        status, most = self._draw.choice(((0x90, 128), (0x80, 128), (0x99, 39), (0xB0, 128), (0xE0, 128), (0xC0, 4)))
        first = self._draw.randrange(36 if status == 0x99 else 0, most)
        self._keys.send(status, first, *([] if status == 0xC0 else [self._draw.randrange(128)]))

    def _steer_master(self) -> None:
        tempo, beat = self._draw.uniform(80, 180), self._draw.randrange(400, 900)
        self._master.order(self._draw.choice(("roll", "roll", "stop", f"locate {beat}", f"tempo {tempo:.2f}")))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tone = (0.2 * np.sin(0.05 * np.arange(30 * RATE_HZ))).astype(np.float32)
    soundfile.write(tmp_path / "played.wav", tone, RATE_HZ)
    soundfile.write(tmp_path / "heard.wav", tone[: 6 * RATE_HZ], RATE_HZ)
    (tmp_path / "midi.toml").write_text(MIDI_MAP)
    return tmp_path


@pytest.fixture
def master() -> Iterator[TransportMaster]:
    with jack_server(synchronous=False), clock_master(120.0) as one:
        yield one


@pytest.mark.parametrize("seed", [1, 2])
def test_anything_goes(master: TransportMaster, folder: Path, seed: int) -> None:
    with controller("keys") as keys:
        midi = MidiSettings((CLOCK_PORT, "keys"), ("keys",), "jack")
        with (
            live_daemon(
                folder / "takes",
                preset=PRESET,
                output=DEVICE,
                audio_input=DEVICE,
                allowed=(folder,),
                midi=midi,
                midi_map=folder / "midi.toml",
            ) as daemon,
            client(daemon) as player,
            generator(folder / "played.wav"),
        ):
            wait_ready(player)
            player.send("subscribe", "lease", 3600.0)
            player.send("listen/start")
            master.order("roll")
            player.send("set/clock", "midi")
            chance = Chance(seed, player, master, keys)
            for _ in range(ACTS):
                chance.act()
            player.send("panic")
            chance.listen_until_synced()
            assert chance.unforeseen == []
            assert chance.open_jobs == set()
            status = player.ask("status")
            assert (status["player"], status["jobs"], status["held"]) == ("ready", 0, 0)
            player.send("generate", 10_000, "seconds", 0.5, "quantise", "none", "follow", "off")
            finished = pairs(player.wait_for("finished", "generate", 10_000))
            assert (finished["seconds"], finished["gaps"]) == (0.5, 0)
