"""The planned notes of takes on their way to a DAW: told over OSC, and played over MIDI, while a whole daemon plays."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from jack_rig import PERIOD_SAMPLES, RATE_HZ, jack_server
from live_daemon import Player, client, live_daemon, pairs, process_id, wait_ready
from midi_daw import MidiTrack, midi_track

from bridge.clock.device_clock import read_device_clock
from bridge.clock.transport import Place
from bridge.midi.ports import MidiSettings
from bridge.osc.datagrams import Message
from bridge.player.settings import INSTRUMENT_FACTORY
from bridge.stage.daemon import Daemon

BPM = 240.0
NEAR_BEATS = 0.01
PERIOD_SECONDS = PERIOD_SAMPLES / RATE_HZ
PATIENCE_SECONDS = 120.0
LONG_SECONDS = 30.0
AHEAD_BARS = 5
"""Of a second. A take is begun two seconds before it must be, which a busy machine may hold up a player for."""


class Told(NamedTuple):
    take: int
    key: int
    velocity: int
    beat: float
    """From the beginning of bar 1, in 4/4."""
    beats: float
    start_in: float


@pytest.fixture(scope="module")
def track() -> Iterator[MidiTrack]:
    with jack_server(synchronous=False), midi_track("daw") as one:
        yield one


@pytest.fixture(scope="module")
def daemon(track: MidiTrack, narrow_piano: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    folder = tmp_path_factory.mktemp("plan_out")
    midi = MidiSettings((), (), "jack", notes=("daw shows",))
    with live_daemon(
        folder, preset=str(narrow_piano), factory=INSTRUMENT_FACTORY, output="system", midi=midi
    ) as running:
        yield running


@pytest.fixture
def player(daemon: Daemon) -> Iterator[Player]:
    with client(daemon) as one:
        wait_ready(one)
        wait_for_port(one)
        one.send("subscribe")
        one.wait_for("done", "subscribe")
        one.send("set", "tempo", BPM)
        one.send("set", "plan", "on")
        one.send("set", "density", 2.0)
        one.wait_for("done", "set", -1, "density")
        yield one


def wait_for_port(player: Player) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while "daw" not in str(player.ask("status")["notes_out"]):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def told_by(player: Player, take: int | None = None) -> list[Told]:
    """The notes that a subscriber was told, of one take or of all."""
    told = []
    for message in player.heard:
        if message.address == "/melnet/event" and message.values[0] == "plan":
            said = pairs(["", *message.values])
            beat = 4.0 * (float(str(said["bar"])) - 1) + float(str(said["beat"])) - 1
            take_number, key, velocity = (int(str(said[name])) for name in ("take", "key", "velocity"))
            told.append(Told(take_number, key, velocity, beat, float(str(said["beats"])), float(str(said["start_in"]))))
    return [note for note in told if take in (None, note.take)]


def saved(finished: dict[str, object]) -> list[tuple[float, float, int, int]]:
    """The notes in a take's file that begin in its sound; no end is after it."""
    seconds = float(str(finished["seconds"]))
    notes = json.loads(Path(str(finished["file"])).with_suffix(".json").read_text())["notes"]
    return [(onset, min(end, seconds), key, velocity) for onset, end, key, velocity in notes if onset < seconds]


def begin(player: Player, track: MidiTrack, job: int, *values: str | float) -> int:
    """Begin a long take, wait until notes of it are played, and return how many were before."""
    before = len(track.played)
    player.send("generate", job, "seconds", LONG_SECONDS, "seed", 5, *values)
    player.wait_for("started", "generate", job, seconds=PATIENCE_SECONDS)
    track.wait_until(lambda: len(track.played) > before + 2, "playing")
    return before


def all_released(track: MidiTrack) -> None:
    track.wait_until(lambda: not track.sounding, "released")


def finish(player: Player, name: str, job: int) -> dict[str, object]:
    return pairs(player.wait_for("finished", name, job, seconds=PATIENCE_SECONDS))


def test_each_note_is_told_before_it_sounds_and_played_as_it_does(
    daemon: Daemon, player: Player, track: MidiTrack
) -> None:
    before = len(track.played)
    bar = int(str(player.ask("transport")["bar"])) + AHEAD_BARS
    player.send("generate", 1, "bars", 2, "seed", 5, "at_bar", bar, "late", "next")
    started = pairs(player.wait_for("started", "generate", 1, seconds=PATIENCE_SECONDS))
    finished = finish(player, "generate", 1)
    told, notes = told_by(player), saved(finished)
    assert len(told) == len(notes) > 4
    line_beat = 4.0 * (int(str(started["bar"])) - 1)
    for note, (onset, end, key, velocity) in zip(told, notes, strict=True):
        assert (note.key, note.velocity) == (key, velocity)
        assert note.beat - line_beat == pytest.approx(onset * BPM / 60, abs=NEAR_BEATS)
        assert note.beats == pytest.approx((end - onset) * BPM / 60, abs=NEAR_BEATS)
    assert min(note.start_in for note in told) > 0.0
    track.wait_until(lambda: len(track.played) >= before + len(notes), "all played")
    all_released(track)
    played = track.played[before:]
    assert [(note.key, note.velocity) for note in played] == [(note.key, note.velocity) for note in told]
    transport, clock = daemon._stage._transport, read_device_clock(daemon._output_ring.clock, RATE_HZ)
    assert clock is not None
    line = transport.in_device_time(transport.line_at(Place(int(line_beat) // 4, 0.0))).first_sample
    for note, (onset, *_) in zip(played, notes, strict=True):
        heard_at = clock.monotonic_at(line + onset * RATE_HZ) + float(str(started["latency"]))
        assert note.at_seconds == pytest.approx(heard_at + PERIOD_SECONDS, abs=0.5)  # a busy server loses time


def test_another_attempt_at_a_take_plays_the_same_notes(player: Player) -> None:
    player.send("generate", 2, "seconds", 2.0, "seed", 7)
    first = finish(player, "generate", 2)
    player.send("take/reroll", 3, "take", int(str(first["take"])), "seed", 8)
    second = finish(player, "take/reroll", 3)
    notes, again = (told_by(player, int(str(take["take"]))) for take in (first, second))
    assert [(note.key, note.velocity) for note in notes] == [(key, velocity) for *_, key, velocity in saved(first)]
    assert [note[1:3] for note in again] == [note[1:3] for note in notes]
    assert [note.beat - again[0].beat for note in again] == pytest.approx(
        [note.beat - notes[0].beat for note in notes], abs=NEAR_BEATS
    )


def cancel(daemon: Daemon, player: Player) -> None:
    player.send("cancel", 4)


def panic(daemon: Daemon, player: Player) -> None:
    player.send("panic")


def kill_player(daemon: Daemon, player: Player) -> None:
    os.kill(process_id(daemon, "player"), signal.SIGKILL)


@pytest.mark.parametrize("end", [cancel, panic, kill_player])
def test_a_take_that_is_ended_releases_its_notes(
    daemon: Daemon, player: Player, track: MidiTrack, end: Callable[[Daemon, Player], None]
) -> None:
    before = begin(player, track, 4)
    end(daemon, player)
    player.wait_for("fail", "generate", 4)
    told_at = time.monotonic()
    all_released(track)
    told = len(told_by(player))
    wait_ready(player)
    after = begin(player, track, 5)  # what it plays comes after all that was left of the other
    assert after - before < told
    assert not [note for note in track.played[before:after] if note.at_seconds > told_at + 2.0]
    player.send("cancel", 5)
    player.wait_for("fail", "generate", 5)
    all_released(track)


def test_a_midi_process_that_stands_still_loses_notes_alone(
    daemon: Daemon, player: Player, track: MidiTrack, monkeypatch: pytest.MonkeyPatch
) -> None:
    def is_without_ports(message: Message) -> bool:
        return message.values == ["midi", "in", "none", "out", "none"]

    assert daemon._midi.pid is not None
    with monkeypatch.context() as patch:
        patch.setattr("bridge.midi.ports_process._HUNG_SECONDS", 3.0)
        os.kill(daemon._midi.pid, signal.SIGSTOP)
        bar = int(str(player.ask("transport")["bar"])) + AHEAD_BARS
        player.send("generate", 7, "seconds", 2.0, "seed", 11, "at_bar", bar, "late", "next")
        finished = finish(player, "generate", 7)
        assert finished["sounded"] == 1
        assert len(told_by(player)) == len(saved(finished)) > 0
        player.wait_unless_heard(is_without_ports, "end of the MIDI process", PATIENCE_SECONDS)
    wait_for_port(player)
    begin(player, track, 8)
    player.send("cancel", 8)
    player.wait_for("fail", "generate", 8)
    all_released(track)


def test_no_key_was_struck_twice(track: MidiTrack) -> None:
    """After all of these."""
    assert track.struck_twice == 0


def test_without_a_sound_device_none_are_told(tmp_path: Path, narrow_piano: Path) -> None:
    with live_daemon(tmp_path, preset=str(narrow_piano), factory=INSTRUMENT_FACTORY) as daemon, client(daemon) as one:
        wait_ready(one)
        one.send("subscribe")
        assert saved(one.run_job("generate", 1, "seconds", 1.0, "seed", 5, "plan", "on"))
        assert not told_by(one)
