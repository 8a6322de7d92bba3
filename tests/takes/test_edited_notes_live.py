"""Planned takes of a whole daemon whose notes are planned anew, or edited in a MIDI file and played."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hearing_piano import HEARING
from live_daemon import Player, client, live_daemon, process_id, wait_ready
from numpy.typing import NDArray

from bridge.cli.main import main
from bridge.stage.daemon import Daemon
from melnet_music.model.preset import PHRASE_FILE
from melnet_music.notes.midi_file import read_midi_notes, write_midi_notes
from melnet_music.notes.note_map import Note

Told = dict[str, object]
C_MAJOR = {0, 2, 4, 5, 7, 9, 11}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("edited").resolve()


@pytest.fixture(scope="module")
def daemon(folder: Path, narrow_piano: Path) -> Iterator[Daemon]:
    preset, allowed = str(narrow_piano), (narrow_piano, folder)
    with live_daemon(folder / "takes", preset=preset, factory=HEARING, allowed=allowed) as running:
        yield running


@pytest.fixture
def player(daemon: Daemon) -> Iterator[Player]:
    with client(daemon) as one:
        wait_ready(one)
        yield one


@pytest.fixture(scope="module")
def planned(daemon: Daemon) -> Told:
    """A continuation that was planned from what an ear told of a phrase; then something else was heard."""
    with client(daemon) as player:
        wait_ready(player)
        player.send("prime/file", PHRASE_FILE, "seconds", 8.0)
        player.wait_for("done", "prime/file")
        finished = player.run_job("continue", 1, "seconds", 2.0, "seed", 5, "lead", 0.5, "plan", "on", "density", 2.0)
        player.send("prime/clear")
        player.wait_for("done", "prime/clear")
        player.send("prime/file", PHRASE_FILE, "start", 2.0, "seconds", 4.0)
        player.wait_for("done", "prime/file")
    assert notes_of(finished)
    return finished


def notes_of(finished: Told) -> list[list[float]]:
    notes: list[list[float]] = json.loads(Path(str(finished["file"])).with_suffix(".json").read_text())["notes"]
    return notes


def sound_of(finished: Told) -> NDArray[np.float32]:
    audio: NDArray[np.float32] = soundfile.read(str(finished["file"]), dtype="float32")[0]
    return audio


def take(finished: Told) -> tuple[str, int]:
    return "take", int(str(finished["take"]))


def refusal(player: Player, name: str, *values: str | int | float) -> tuple[str, str]:
    player.send(name, 90, *values)
    code, message = player.wait_for("fail", name, 90)[2:]
    return str(code), str(message)


def exported(player: Player, folder: Path, finished: Told, name: str) -> list[Note]:
    player.send("take/export", take(finished)[1], str(folder / f"{name}.wav"))
    player.wait_for("done", "take/export")
    return read_midi_notes(folder / f"{name}.mid")


# --- planned anew -------------------------------------------------------------------------------------------


def test_notes_are_planned_anew_from_what_was_heard_before_the_take(player: Player, planned: Told) -> None:
    again = player.run_job("take/reroll", 2, *take(planned), "renew", "notes", "seed", 5)
    np.testing.assert_array_equal(sound_of(again), sound_of(planned))
    other = player.run_job("take/reroll", 3, *take(planned), "renew", "notes")
    assert other["seed"] == 6
    assert notes_of(other) != notes_of(planned)
    same = player.run_job("take/reroll", 4, *take(planned))
    assert notes_of(same) == notes_of(planned)
    assert not np.array_equal(sound_of(same), sound_of(planned))


def test_settings_that_are_given_hold_from_then_on(player: Player, planned: Told) -> None:
    values = "renew", "notes", "scale", "c major", "density", 4.0, "seed", 5
    scaled = player.run_job("take/reroll", 2, *take(planned), *values)
    assert {int(pitch) % 12 for _, _, pitch, _ in notes_of(scaled)} <= C_MAJOR
    next_one = player.run_job("take/reroll", 3, *take(scaled), "renew", "notes", "seed", 9)
    assert {int(pitch) % 12 for _, _, pitch, _ in notes_of(next_one)} <= C_MAJOR
    planning = json.loads(Path(str(next_one["file"])).with_suffix(".json").read_text())["planning"]
    assert (planning["scale"], planning["density"], planning["register"]) == ("c major", 4.0, 0.0)


def test_a_player_that_starts_after_another_died_plans_the_same(
    player: Player, planned: Told, daemon: Daemon, folder: Path
) -> None:
    player.send("subscribe")
    player.wait_for("done", "subscribe")
    os.kill(process_id(daemon, "player"), signal.SIGKILL)
    player.wait_until(lambda message: message.values[:2] == ["player", "died"], "death", 20.0)
    wait_ready(player)
    again = player.run_job("take/reroll", 2, *take(planned), "renew", "notes", "seed", 5)
    np.testing.assert_array_equal(sound_of(again), sound_of(planned))
    exported(player, folder, planned, "after")
    rendered = player.run_job("take/render", 3, *take(planned), "notes", str(folder / "after.mid"))
    np.testing.assert_array_equal(sound_of(rendered), sound_of(planned))


def test_notes_that_were_not_planned_are_not_planned_anew(player: Player, planned: Told, folder: Path) -> None:
    plain = player.run_job("generate", 2, "seconds", 0.5)
    code, message = refusal(player, "take/reroll", *take(plain), "renew", "notes")
    assert (code, "were not planned" in message) == ("refused", True)
    soundfile.write(folder / "hiss.wav", 0.01 * np.random.default_rng(0).standard_normal(22050), 22050)
    player.send("prime/clear")
    player.wait_for("done", "prime/clear")
    player.send("prime/file", str(folder / "hiss.wav"))
    player.wait_for("done", "prime/file")
    unheard = player.run_job("continue", 3, "seconds", 0.5, "plan", "on")
    again = player.run_job("take/reroll", 4, *take(unheard), "seed", unheard["seed"])  # type: ignore[arg-type]
    np.testing.assert_array_equal(sound_of(again), sound_of(unheard))
    code, message = refusal(player, "take/reroll", *take(unheard), "renew", "notes")
    assert (code, "were not planned" in message) == ("refused", True)
    code, message = refusal(player, "take/reroll", *take(planned), "density", 2.0)
    assert (code, "ask for renew notes" in message) == ("refused", True)
    assert refusal(player, "take/reroll", *take(planned), "renew", "notes", "scale", "h major")[0] == "out_of_range"


# --- edited -------------------------------------------------------------------------------------------------


def test_exported_and_not_edited_it_is_the_same_to_the_sample(player: Player, planned: Told, folder: Path) -> None:
    notes = exported(player, folder, planned, "unedited")
    own = notes_of(planned)
    assert [(note.onset_s, note.pitch) for note in notes] == [(pytest.approx(0.5 + n[0], abs=1e-3), n[2]) for n in own]
    rendered = player.run_job("take/render", 2, *take(planned), "notes", str(folder / "unedited.mid"))
    assert rendered["seed"] == 5
    assert [(n[0], *n[2:]) for n in notes_of(rendered)] == [(n[0], *n[2:]) for n in own]
    np.testing.assert_array_equal(sound_of(rendered), sound_of(planned))


def test_edited_notes_are_what_the_take_plays(
    player: Player, planned: Told, folder: Path, tmp_path: Path, narrow_piano: Path
) -> None:
    notes = exported(player, folder, planned, "edited")
    higher = [replace(note, pitch=note.pitch + 1) for note in notes]
    write_midi_notes(folder / "higher.mid", higher)
    rendered = player.run_job("take/render", 2, *take(planned), "notes", str(folder / "higher.mid"), "seed", 6)
    assert [n[2:] for n in notes_of(rendered)] == [[note.pitch, note.velocity] for note in higher]
    assert not np.array_equal(sound_of(rendered), sound_of(planned))
    # its file makes it again, and so does the first take's with these notes
    files = [Path(str(told["file"])).with_suffix(".json") for told in (rendered, planned)]
    given = [[], ["--notes", str(folder / "higher.mid"), "--seed", "6"]]
    for file, options in zip(files, given, strict=True):
        assert main(["render", str(file), str(tmp_path / "out.wav"), "--preset", str(narrow_piano), *options]) == 0
        again = soundfile.read(tmp_path / "out.wav", dtype="float32")[0]
        np.testing.assert_array_equal(again, sound_of(rendered))
    back = player.run_job("take/reroll", 3, *take(rendered), "renew", "notes", "seed", 5)
    np.testing.assert_array_equal(sound_of(back), sound_of(planned))


def test_a_repainting_and_a_generation_play_the_notes_of_a_file(player: Player, planned: Told, folder: Path) -> None:
    notes = [Note(0.0, 0.3, 60, 90), Note(0.25, 0.6, 64, 80)]
    write_midi_notes(folder / "two.mid", notes)
    player.send("prime/file", PHRASE_FILE, "seconds", 4.0)
    player.wait_for("done", "prime/file")
    takes = (
        player.run_job("inpaint", 2, "start", 2.0, "stop", 3.0, "lead", 0.5),
        player.run_job("generate", 3, "seconds", 1.0),
    )
    for first in takes:
        rendered = player.run_job("take/render", 4, *take(first), "notes", str(folder / "two.mid"))
        assert notes_of(rendered) == [pytest.approx([n.onset_s, n.end_s, n.pitch, n.velocity], abs=1e-4) for n in notes]
        assert rendered["seed"] == first["seed"]
        assert not np.array_equal(sound_of(rendered), sound_of(first))
        name = f"take{take(rendered)[1]}"
        exported(player, folder, rendered, name)
        again = player.run_job("take/render", 5, "notes", str(folder / f"{name}.mid"))  # the last one
        np.testing.assert_array_equal(sound_of(again), sound_of(rendered))


def test_files_that_cannot_be_played_are_refused(
    player: Player, planned: Told, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_midi_notes(folder / "empty.mid", [])
    (folder / "sound.mid").write_bytes(b"RIFF" + bytes(100))
    (folder / "large.mid").write_bytes(bytes(800_000))
    write_midi_notes(tmp_path / "elsewhere.mid", [Note(0.0, 1.0, 60, 80)])
    for name, said in (
        ("empty.mid", "has no notes"),
        ("sound.mid", "cannot be read as MIDI"),
        ("large.mid", "800000 bytes"),
        ("none.mid", "no MIDI file at"),
    ):
        code, message = refusal(player, "take/render", *take(planned), "notes", str(folder / name))
        assert (code, said in message) == ("bad_file", True), message
        file = Path(str(planned["file"])).with_suffix(".json")
        assert main(["render", str(file), str(tmp_path / "out.wav"), "--notes", str(folder / name)]) == 2
        assert said in capsys.readouterr().err
    elsewhere = refusal(player, "take/render", *take(planned), "notes", str(tmp_path / "elsewhere.mid"))
    assert elsewhere[0] == "forbidden_path"
    assert refusal(player, "take/render", *take(planned))[0] == "missing_argument"
    assert refusal(player, "take/render", "take", 999, "notes", "empty.mid")[0] == "unknown_take"
