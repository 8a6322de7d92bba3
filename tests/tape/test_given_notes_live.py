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
from melnet_music.model.preset import PHRASE_FILE
from melnet_music.notes.midi_file import read_midi_notes, read_midi_timing, write_midi_notes
from melnet_music.notes.note_map import Note

DEVICE = "system"
TEMPO = 240.0
BAR_SECONDS = 1.0


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
            allowed=(narrow_piano, folder),
        ) as running,
    ):
        yield running


@pytest.fixture
def player(daemon: Daemon) -> Iterator[Player]:
    with client(daemon) as one:
        wait_ready(one)
        one.send("set", "tempo", TEMPO)
        one.wait_for("done", "set")
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
    edited = [Note(0.0, 0.25, 60, 90), Note(0.5, 0.75, 64, 80)]
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


def test_a_planned_repainting_fits_between_what_is_around_it(player: Player, folder: Path) -> None:
    player.send("prime/file", PHRASE_FILE, "seconds", 8.0)
    player.wait_for("done", "prime/file")
    player.send(
        "continue", 4, "seconds", 1.0, "lead", 5.0, "quantise", "bar", "late", "next"
    )  # the phrase, on the tape
    bar = 2 + int(str(pairs(player.wait_for("started", "continue", 4))["bar"]))
    player.wait_for("finished", "continue", 4)
    player.send("inpaint", 5, "from_bar", bar, "to_bar", bar, "seed", 3, "plan", "on", "scale", "c major")
    repainted = pairs(player.wait_for("finished", "inpaint", 5))
    assert not [message.values for message in player.heard if message.address == "/melnet/warning"]
    notes = notes_of(repainted)
    assert notes
    assert all(0.0 <= onset < BAR_SECONDS for onset, *_ in notes)
    assert {int(pitch) % 12 for _, _, pitch, _ in notes} <= {0, 2, 4, 5, 7, 9, 11}
    on_tape = sorted((note.pitch, note.onset_s) for note in tape_notes(player, folder, bar, "planned_bar"))
    assert on_tape == [pytest.approx(note, abs=1e-3) for note in sorted((n[2], n[0]) for n in notes)]

    take = "take", int(str(repainted["take"]))
    assert notes_of(player.run_job("take/reroll", 6, *take, "seed", 4)) == notes
    assert notes_of(player.run_job("take/reroll", 7, *take, "seed", 3, "renew", "notes")) == notes
    assert notes_of(player.run_job("take/reroll", 8, *take, "seed", 4, "renew", "notes")) != notes


def test_notes_that_are_known_are_believed_more_than_the_ear(player: Player, folder: Path) -> None:
    """The model is random and makes noise, in which no ear finds notes."""
    player.send("generate", 9, "bars", 3, "seed", 5, "plan", "on", "quantise", "bar", "late", "next")
    bar = 1 + int(str(pairs(player.wait_for("started", "generate", 9, seconds=60.0))["bar"]))
    player.wait_for("finished", "generate", 9)
    assert notes_of(player.run_job("inpaint", 10, "from_bar", bar, "to_bar", bar, "plan", "on"))

    player.send("notes/prompt/start")
    player.wait_for("done", "notes/prompt/start")
    for key in (60, 64, 67, 72, 76):
        player.send("note", key, 90)
        player.send("note", key, 0)
    planned = player.run_job("continue", 11, "seconds", 2.0, "seed", 5, "plan", "on", "density", 4.0)
    assert notes_of(planned)
    again = player.run_job("take/reroll", 12, "take", int(str(planned["take"])), "seed", 5, "renew", "notes")
    assert notes_of(again) == notes_of(planned)
