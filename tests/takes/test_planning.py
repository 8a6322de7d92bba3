"""Plans of takes: the transport's bars around a take, what cannot be planned, and planned takes of a whole daemon."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from live_daemon import Player, client, live_daemon, pairs, wait_ready
from narrow_piano import write_narrow_piano
from tiny_score import tiny_score_model

from bridge.cli.main import main
from bridge.clock.transport import Meter, Timeline
from bridge.player.settings import INSTRUMENT_FACTORY
from bridge.processes.job import Job, Planning
from bridge.stage.daemon import Daemon
from bridge.takes.planning import TakePlanner, as_the_preset_plans, grid_of, placed
from melnet_music.notes.midi_file import read_midi_notes
from melnet_music.notes.note_map import Note

TIMELINE = Timeline.steady(120.0, Meter(4, 4), seconds=10.0)
PLANNING = Planning(1.0, 1.0, "free", 0.0, TIMELINE, 48000, begins_at=100.0)


class Hearing:
    """An instrument, as far as a planner looks at it."""

    preset_name, follows_notes, has_ear, plans_notes = "tiny", True, True, False
    heard_seconds = 8.0

    def __init__(self, heard: int = 20) -> None:
        self._heard = heard

    def heard_notes(self) -> tuple[Note, ...]:
        return tuple(Note(0.4 * n, 0.4 * n + 0.3, 60 + n % 12, 80) for n in range(self._heard))


@pytest.fixture(scope="module")
def planner() -> TakePlanner:
    planner = TakePlanner(model=tiny_score_model())
    planner.prepare()
    deadline_s = time.monotonic() + 600.0
    while planner.prepares:
        assert time.monotonic() < deadline_s
        time.sleep(0.01)  # leaves the processor to what is waited for
    return planner


# --- the grid -----------------------------------------------------------------------------------------------


def test_bars_of_the_grid_are_those_of_the_transport() -> None:
    grid = grid_of(TIMELINE, 100.25)  # beat 180.5: half a beat after the third of bar 45
    at = float(grid.times.beats_at(0.0))
    bar = grid.bars.bar_at(int(at * 12))
    assert at - int(grid.bars.starts[bar]) / 12 == pytest.approx(0.5)
    assert grid.start == pytest.approx(at * 12)
    assert float(grid.times.seconds_at(0.0)) < -60.0


def test_a_grid_follows_changes_of_tempo_and_meter() -> None:
    changed = TIMELINE.with_tempo(60.0, 20.0).with_meter(Meter(3, 4), 28.0)
    grid = grid_of(changed, 30.0)  # ten beats after the change of tempo, so two in the first bar of three
    at = float(grid.times.beats_at(0.0))
    bar = grid.bars.bar_at(round(at * 12))
    start, end = (int(step) for step in grid.bars.starts[bar : bar + 2])
    assert (at - start / 12, end - start) == (pytest.approx(2.0), 36)
    assert np.diff(grid.times.seconds_at([at - 12, at - 11, at - 2, at - 1])) == pytest.approx([0.5, 5.5, 1.0], abs=3.5)
    assert float(grid.times.seconds_at(at - 1)) == pytest.approx(-1.0)
    assert float(grid.times.seconds_at(at - 12)) == pytest.approx(-11.0)


def test_without_a_place_a_bar_line_is_where_the_take_begins() -> None:
    planning = placed(replace(PLANNING, timeline=Timeline.steady(90.0, Meter(7, 8), seconds=1.3)), None)
    assert planning.begins_at is not None
    grid = grid_of(planning.timeline, planning.begins_at)
    assert grid.bars.start(grid.bars.bar_at(grid.start)) == grid.start
    assert np.diff(grid.times.seconds_at([0.0, 1.0])) == pytest.approx(60 / 90)
    with pytest.raises(ValueError, match="meter 4/32"):
        grid_of(Timeline.steady(90.0, Meter(4, 32)), 0.0)


def test_a_plan_keeps_the_bars_around_it_and_no_others() -> None:
    changed = replace(PLANNING, timeline=TIMELINE.with_tempo(60.0, 20.0).with_tempo(90.0, 100.0))
    kept = placed(changed, 130.0)
    assert [tempo.bpm for tempo in kept.timeline.tempos] == [60.0, 90.0]
    assert kept.begins_at == 130.0
    first, second = (grid_of(each.timeline, 130.0) for each in (changed, kept))
    assert first.start == second.start
    np.testing.assert_allclose(*(grid.times.seconds_at([20.0, 60.0, 100.0]) for grid in (first, second)))


# --- plans --------------------------------------------------------------------------------------------------


def job(**changes: object) -> Job:
    return replace(Job(1, "continue", 5, 4.0, planning=PLANNING), **changes)  # type: ignore[arg-type]


def given(planner: TakePlanner, asked: Job, heard: int = 20) -> tuple[Note, ...]:
    plan = planner.plan(Hearing(heard), asked)  # type: ignore[arg-type]
    plan.until_now(0.0, 200, 0.02)
    return plan.given


def test_the_same_seed_makes_the_same_plan(planner: TakePlanner) -> None:
    first = given(planner, job())
    assert first
    assert given(planner, job()) == first
    assert given(planner, job(seed=6)) != first
    low = replace(PLANNING, register=-24.0, scale="c major")
    assert {note.pitch % 12 for note in given(planner, job(planning=low))} <= {0, 2, 4, 5, 7, 9, 11}


def test_what_cannot_be_planned_is_told_once(planner: TakePlanner) -> None:
    with pytest.raises(ValueError, match="3 notes were heard") as caught:
        given(planner, job(), heard=3)
    assert planner.is_news(str(caught.value))
    assert not planner.is_news(str(caught.value))
    given(planner, job())
    assert planner.is_news(str(caught.value))
    assert given(planner, job(kind="generate"), heard=0)
    played = Hearing().heard_notes()
    assert planner.plan(Hearing(0), job(), played)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="not ready"):
        given(TakePlanner(), job())
    mute = Hearing()
    mute.follows_notes = False
    with pytest.raises(ValueError, match="plays no notes"):
        planner.plan(mute, job())  # type: ignore[arg-type]


def test_of_what_only_a_preset_wants_planned_the_first_problem_is_told(planner: TakePlanner) -> None:
    fresh = TakePlanner()
    assert fresh.is_news("3 notes", by_preset=True)
    assert not fresh.is_news("2 notes", by_preset=True)
    assert fresh.is_news("2 notes")
    assert not fresh.is_news("no meter", by_preset=True)


def test_the_preset_that_plays_a_take_says_whether_it_is_planned() -> None:
    plain, planning = Hearing(), Hearing()
    planning.plans_notes = True
    left = job(planning=replace(PLANNING, begins_at=None, by_preset=True))
    assert as_the_preset_plans(left, planning) is left  # type: ignore[arg-type]
    assert as_the_preset_plans(left, plain).planning is None  # type: ignore[arg-type]
    for settled in (job(), job(planning=replace(PLANNING, by_preset=True)), job(planning=None)):
        assert as_the_preset_plans(settled, plain) is settled  # type: ignore[arg-type]


def test_what_is_played_or_given_goes_before_a_plan() -> None:
    assert job().is_planned
    assert not job(follow="rest").is_planned
    assert not job(notes=()).is_planned
    assert not job(planning=None).is_planned


# --- the daemon ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("planning").resolve()


@pytest.fixture(scope="module")
def planning_piano(folder: Path) -> str:
    """A preset that plans by itself."""
    return str(write_narrow_piano(folder, plans=True))


@pytest.fixture(scope="module")
def daemon(folder: Path, planning_piano: str) -> Iterator[Daemon]:
    with live_daemon(folder / "takes", preset=planning_piano, factory=INSTRUMENT_FACTORY, allowed=(folder,)) as running:
        yield running


@pytest.fixture
def player(daemon: Daemon) -> Iterator[Player]:
    with client(daemon) as one:
        wait_ready(one)
        yield one
        one.send("set", "plan", "preset")
        one.wait_for("done", "set", -1, "plan")


def notes_of(finished: dict[str, object]) -> list[list[float]] | None:
    notes: list[list[float]] | None = json.loads(Path(str(finished["file"])).with_suffix(".json").read_text())["notes"]
    return notes


def test_a_planned_take_is_made_again_rerolled_and_exported(
    player: Player, folder: Path, planning_piano: str, tmp_path: Path
) -> None:
    player.send("set", "scale", "c major")
    player.wait_for("done", "set")
    finished = player.run_job("generate", 1, "seconds", 2.0, "seed", 5, "plan", "on")
    notes = notes_of(finished)
    assert notes
    assert {int(pitch) % 12 for _, _, pitch, _ in notes} <= {0, 2, 4, 5, 7, 9, 11}
    assert notes_of(player.run_job("generate", 2, "seconds", 2.0, "seed", 5, "plan", "on")) == notes
    wav, again = Path(str(finished["file"])), tmp_path / "again.wav"
    assert main(["render", str(wav.with_suffix(".json")), str(again), "--preset", planning_piano]) == 0
    np.testing.assert_array_equal(*(soundfile.read(path, dtype="float32")[0] for path in (wav, again)))
    assert notes_of(player.run_job("take/reroll", 3, "take", int(str(finished["take"])), "seed", 6)) == notes
    player.send("take/export", int(str(finished["take"])), "planned.wav")
    player.wait_for("done", "take/export")
    assert len(read_midi_notes(folder / "planned.mid")) == len(notes)


def test_a_preset_plans_by_itself_until_somebody_says_otherwise(
    player: Player, narrow_piano: Path, planning_piano: str
) -> None:
    def plans(*values: str) -> bool:
        return bool(notes_of(player.run_job("generate", 1, "seconds", 1.0, "seed", 5, *values)))

    def load(preset: str) -> None:
        player.send("load", preset)
        player.wait_for("done", "load")

    before = player.ask("status")
    assert (before["plans"], before["player"]) == (1, "ready")
    assert plans()
    assert not plans("plan", "off")
    load(str(narrow_piano))
    assert player.ask("status")["plans"] == 0
    assert not plans()
    assert plans("plan", "on")
    player.send("set", "plan", "off")
    load(planning_piano)
    assert not plans()
    assert plans("plan", "preset")


def test_settings_of_plans_are_checked(player: Player) -> None:
    for name, value in (("scale", "h major"), ("plan", "maybe"), ("density", 0.0), ("register", 40.0)):
        player.send("generate", 4, name, value)
        assert player.wait_for("fail", "generate", 4)[2] == "out_of_range"
    player.send("set", "scale", "h major")
    assert player.wait_for("fail", "set")[2] == "out_of_range"


def test_without_notes_it_warns_and_goes_on_unplanned(player: Player, folder: Path) -> None:
    soundfile.write(folder / "hiss.wav", 0.01 * np.random.default_rng(0).standard_normal(22050), 22050)
    player.send("prime/file", "hiss.wav")
    player.wait_for("done", "prime/file")
    finished = player.run_job("continue", 5, "seconds", 0.5, "plan", "on")
    assert notes_of(finished) is None
    (warning,) = (message for message in player.heard if message.address == "/melnet/warning")
    assert "not planned" in str(warning.values[2])
    player.heard.clear()
    assert pairs(["", 0, *sum(player.run_job("continue", 6, "seconds", 0.5, "plan", "on").items(), ())])["seconds"]
    assert not [message for message in player.heard if message.address == "/melnet/warning"]


def test_a_preset_that_cannot_plan_what_it_heard_says_so_once(player: Player, folder: Path) -> None:
    def warned(job_id: int) -> list[str]:
        player.heard.clear()
        assert notes_of(player.run_job("continue", job_id, "seconds", 0.5)) is None
        return [str(message.values[2]) for message in player.heard if message.address == "/melnet/warning"]

    soundfile.write(folder / "hum.wav", 0.01 * np.random.default_rng(1).standard_normal(22050), 22050)
    player.send("prime/clear")
    player.send("prime/file", "hum.wav")
    player.wait_for("done", "prime/file")
    (warning,) = warned(7)
    assert "not planned" in warning
    assert "said once" in warning
    assert warned(8) == []
    player.send("take/reroll", 9, "renew", "notes")
    assert player.wait_for("fail", "take/reroll", 9)[2] == "refused"
