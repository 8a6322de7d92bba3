"""Keys over OSC, by the whole daemon with a real engine and a small preset: takes that follow them, and phrases."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from live_daemon import Player, client, live_daemon, pairs, process_id, wait_ready

from bridge.cli.main import main
from bridge.player.settings import INSTRUMENT_FACTORY
from bridge.stage.daemon import Daemon
from melnet_music.model.preset import load_preset
from melnet_music.notes.midi_file import read_midi_notes


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("notes").resolve()


@pytest.fixture(scope="module")
def daemon(folder: Path, narrow_piano: Path) -> Iterator[Daemon]:
    preset = str(narrow_piano)
    with live_daemon(folder / "takes", preset=preset, factory=INSTRUMENT_FACTORY, allowed=(folder,)) as running:
        yield running


@pytest.fixture
def player(daemon: Daemon) -> Iterator[Player]:
    with client(daemon) as one:
        wait_ready(one)
        yield one
        one.send("panic")
        one.wait_for("done", "panic")
        one.send("prime/clear")
        one.wait_for("done", "prime/clear")


def wait_generated(player: Player, seconds: float, *job: object) -> None:
    """Until so much of a job is made."""
    player.wait_until(
        lambda message: (
            message.address == "/melnet/progress"
            and message.values[:2] == [*job]
            and float(str(pairs(message.values)["generated"])) >= seconds
        ),
        "progress",
        30.0,
    )


def made_again(finished: dict[str, object], preset: Path, tmp_path: Path) -> dict[str, object]:
    """Whether ``render`` makes the same samples; returns what the take's JSON file says."""
    wav, again = Path(str(finished["file"])), tmp_path / "again.wav"
    assert main(["render", str(wav.with_suffix(".json")), str(again), "--preset", str(preset)]) == 0
    first, second = (soundfile.read(path, dtype="float32")[0] for path in (wav, again))
    np.testing.assert_array_equal(first, second)
    assert np.abs(first).max() > 1e-3
    how: dict[str, object] = json.loads(wav.with_suffix(".json").read_text())
    return how


def test_a_take_follows_and_is_made_again_rerolled_and_exported(
    player: Player, folder: Path, narrow_piano: Path, tmp_path: Path
) -> None:
    player.send("note", 60, 90)
    player.wait_for("done", "note")
    player.send("generate", 1, "seconds", 3.0, "seed", 5, "follow", "free")
    wait_generated(player, 0.5, "generate", 1)
    for name, *values in (("pedal", 1), ("note", 64, 80), ("note", 64, 0), ("note", 60, 0)):
        player.send(name, *values)
    wait_generated(player, 1.5, "generate", 1)
    player.send("pedal", 0)
    finished = pairs(player.wait_for("finished", "generate", 1))
    how = made_again(finished, narrow_piano, tmp_path)
    notes = how["notes"]
    assert isinstance(notes, list)
    (held, pedalled) = notes
    assert held[2:] == [60, 90]
    assert pedalled[2:] == [64, 80]
    assert held[0] == 0.0 < pedalled[0] < held[1] == pedalled[1] < 3.0
    rerolled = player.run_job("take/reroll", 2, "seed", 6)
    assert made_again(rerolled, narrow_piano, tmp_path)["notes"] == notes
    player.send("take/export", finished["take"], "mine.wav")  # type: ignore[arg-type]
    player.wait_for("done", "take/export")
    exported = [(note.onset_s, note.end_s, note.pitch, note.velocity) for note in read_midi_notes(folder / "mine.mid")]
    assert exported == [pytest.approx(note, abs=1e-4) for note in notes]


def test_keys_that_are_held_are_held_for_a_new_player_too(player: Player, daemon: Daemon, narrow_piano: Path) -> None:
    """Which loads the same preset, also one that is given by its folder."""
    player.send("subscribe")
    player.wait_for("done", "subscribe")
    player.send("note", 60, 90)
    player.send("note", 64, 90)
    player.send("note", 64, 0)
    player.send("sync", 1)
    player.wait_for("synced", 1)
    os.kill(process_id(daemon, "player"), signal.SIGKILL)
    player.wait_until(lambda message: message.values[:2] == ["player", "died"], "death", 20.0)
    wait_ready(player)
    finished = player.run_job("generate", 50, "seconds", 1.0, "follow", "rest")
    how = json.loads(Path(str(finished["file"])).with_suffix(".json").read_text())
    assert how["preset_digest"] == load_preset(narrow_piano).digest
    assert [note[2] for note in how["notes"]] == [60]


def test_a_played_phrase_is_what_is_continued(player: Player, narrow_piano: Path, tmp_path: Path) -> None:
    player.send("continue", 1, "seconds", 0.5)
    assert player.wait_for("fail", "continue", 1)[2] == "refused"  # nothing was heard
    player.send("notes/prompt/start")
    player.wait_for("done", "notes/prompt/start")
    for key in (60, 64, 67):
        player.send("note", key, 80)
    wait_for_time(player)
    player.send("note", 60, 0)
    finished = player.run_job("continue", 2, "seconds", 0.5, "seed", 3, "lead", 60.0)
    phrase_seconds = float(str(finished["seconds"])) - 0.5
    assert 0.0 < phrase_seconds == pytest.approx(float(str(player.ask("status")["heard"])), abs=1e-3)
    how = made_again(finished, narrow_piano, tmp_path)
    assert how["notes"] is None
    before = player.ask("status")["heard"]
    player.send("notes/prompt/start")
    player.send("note", 62, 80)
    rerolled = player.run_job("take/reroll", 3, "take", finished["take"])  # type: ignore[arg-type]
    made_again(rerolled, narrow_piano, tmp_path)
    assert (rerolled["seconds"], rerolled["seed"]) == (finished["seconds"], 4)
    wait_for_time(player)
    player.send("notes/prompt/stop", "seed", 4)
    phrase = pairs(player.wait_for("done", "notes/prompt/stop"))
    assert phrase["notes"] == 1
    heard = float(str(player.ask("status")["heard"])) - float(str(before))
    assert heard == pytest.approx(float(str(phrase["seconds"])), abs=1e-3)


def wait_for_time(player: Player) -> None:
    """Let the clock go on: a job runs meanwhile."""
    player.run_job("generate", 99, "seconds", 1.0, "seed", 9)


def test_a_phrase_without_notes_is_refused(player: Player) -> None:
    player.send("notes/prompt/stop")
    assert player.wait_for("fail", "notes/prompt/stop")[2] == "refused"
    player.send("notes/prompt/start")
    player.wait_for("done", "notes/prompt/start")
    player.send("continue", 1, "seconds", 0.5)
    failed = player.wait_for("fail", "continue", 1)
    assert failed[2] == "refused"
    assert "no note was played" in str(failed[3])
    assert player.run_job("generate", 2, "seconds", 0.5)["seconds"] == 0.5


@pytest.mark.parametrize("how", [("cancel", 1), ("panic",)])
def test_a_job_whose_phrase_is_being_voiced_can_be_dropped(tmp_path: Path, how: tuple[str | int, ...]) -> None:
    with live_daemon(tmp_path, preset="rtf=0.02 block=0.05") as daemon, client(daemon) as player:
        wait_ready(player)
        player.send("notes/prompt/start")
        player.send("note", 60, 80)
        player.send("continue", 1, "seconds", 0.5)
        player.wait_for("done", "continue", 1)
        player.send(str(how[0]), *how[1:])
        assert player.wait_for("fail", "continue", 1)[2] == "cancelled"
        player.wait_for("done", how[0])
        assert player.ask("status")["jobs"] == 0
