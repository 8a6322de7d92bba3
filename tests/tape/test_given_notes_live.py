"""Notes that takes were given, planned or edited, on the tape of a whole daemon with a real device."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import astuple
from pathlib import Path

import pytest
from hearing_piano import HEARING
from jack_rig import jack_server
from live_daemon import Player, client, live_daemon, pairs, wait_ready

from bridge.stage.daemon import Daemon
from melnet_music.notes.midi_file import read_midi_notes, read_midi_timing, write_midi_notes
from melnet_music.notes.note_map import Note

DEVICE = "system"
BAR_SECONDS = 2.0
"""At 120 bpm."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("given").resolve()


@pytest.fixture(scope="module")
def daemon(folder: Path, narrow_piano: Path) -> Iterator[Daemon]:
    with (
        jack_server(),
        live_daemon(
            folder / "takes",
            preset=str(narrow_piano),
            factory=HEARING,
            output=DEVICE,
            audio_input=DEVICE,
            allowed=(folder,),
        ) as running,
    ):
        yield running


@pytest.fixture
def player(daemon: Daemon) -> Iterator[Player]:
    with client(daemon) as one:
        wait_ready(one)
        yield one


def notes_of(finished: dict[str, object]) -> list[tuple[float, ...]]:
    notes = json.loads(Path(str(finished["file"])).with_suffix(".json").read_text())["notes"]
    return [tuple(note) for note in notes]


def tape_notes(player: Player, folder: Path, bar: int, name: str) -> list[Note]:
    player.send("tape/export", bar, bar, f"{name}.wav")
    player.wait_for("done", "tape/export")
    midi = folder / f"{name}.mid"
    return read_midi_notes(midi) if midi.exists() else []


def test_planned_and_edited_notes_are_on_the_tape(player: Player, folder: Path) -> None:
    player.send("generate", 1, "bars", 1, "seed", 5, "plan", "on", "quantise", "bar", "late", "next")
    bar = int(str(pairs(player.wait_for("started", "generate", 1, seconds=60.0))["bar"]))
    planned = pairs(player.wait_for("finished", "generate", 1))
    notes = sorted((pitch, velocity, onset) for onset, _, pitch, velocity in notes_of(planned) if onset < BAR_SECONDS)
    assert notes
    on_tape = sorted((note.pitch, note.velocity, note.onset_s) for note in tape_notes(player, folder, bar, "bar"))
    assert on_tape == [pytest.approx(note, abs=1e-3) for note in notes]

    player.send("take/export", int(str(planned["take"])), "take.wav")
    player.wait_for("done", "take/export")
    timing = read_midi_timing(folder / "take.mid")
    assert timing.meters == ((0.0, 4, 4),)
    assert float(timing.times.beats_at(BAR_SECONDS)) == pytest.approx(4.0)

    player.run_job("inpaint", 2, "from_bar", bar, "to_bar", bar, "seed", 3)
    assert tape_notes(player, folder, bar, "repainted") == []
    edited = [Note(0.0, 0.5, 60, 90), Note(1.0, 1.5, 64, 80)]
    write_midi_notes(folder / "edited.mid", edited)
    rendered = player.run_job("take/render", 3, "notes", "edited.mid")
    assert rendered["seed"] == 3
    near = [pytest.approx((note.onset_s, note.end_s, note.pitch, note.velocity), abs=1e-3) for note in edited]
    assert [astuple(note) for note in tape_notes(player, folder, bar, "edited_bar")] == near
    player.send("take/export", int(str(rendered["take"])), "again.wav")
    player.wait_for("done", "take/export")
    assert [astuple(note) for note in read_midi_notes(folder / "again.mid")] == near
    player.send("take/undo")
    player.wait_for("done", "take/undo")
    assert tape_notes(player, folder, bar, "undone") == []
