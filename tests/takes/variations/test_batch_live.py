"""Several takes from one trigger on an engine that draws them at once, by a whole daemon with a sound device."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import soundfile
from asked_takes import ASKED, PLANNED, Told, sound_of
from batching_card import CALLS, FACTORY, FATAL_TEMPERATURE, GO_ON, GOOD_CHUNKS, HALTED, HALTING_TEMPERATURE
from jack_rig import jack_server
from live_daemon import Player, client, live_daemon, pairs, wait_ready, wait_until
from numpy.typing import NDArray

from bridge.cli.main import main
from bridge.takes.take_files import read_take
from melnet_music.model.preset import PHRASE_FILE

SECONDS = 2.0
"""Nearly twice as long as the card lasts."""
BARS = 12
"""Of a second: time enough to make another take of them meanwhile."""
IDS = count(100)
"""Of jobs, each its own: what is told of another late is not taken for its."""


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A file in which the engine writes down its calls."""
    path = tmp_path_factory.mktemp("calls") / "calls.txt"
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv(CALLS, str(path))
        yield path


@pytest.fixture(scope="module")
def player(tmp_path_factory: pytest.TempPathFactory, narrow_piano: Path, calls: Path) -> Iterator[Player]:
    """Whose model has heard something, and hears nothing more."""
    takes = tmp_path_factory.mktemp("batches").resolve()
    with (
        jack_server(),
        live_daemon(
            takes, preset=str(narrow_piano), factory=FACTORY, allowed=(narrow_piano,), output="system"
        ) as daemon,
        client(daemon) as one,
    ):
        wait_ready(one)
        one.send("prime/file", PHRASE_FILE, "seconds", 3.0)
        one.wait_for("done", "prime/file")
        yield one


def described(told: Told) -> Told:
    saved: Told = json.loads(Path(str(told["file"])).with_suffix(".json").read_text(encoding="utf-8"))
    return saved


def rendered(told: Told, folder: Path, preset: Path) -> NDArray[np.float32]:
    """A take as `render` makes it again."""
    json_file, again = Path(str(told["file"])).with_suffix(".json"), folder / "again.wav"
    assert main(["render", str(json_file), str(again), "--preset", str(preset)]) == 0
    audio: NDArray[np.float32] = soundfile.read(again, dtype="float32")[0]
    return audio


def three_takes(player: Player, name: str, *values: str | float) -> list[Told]:
    """What is told of the first one's end, and of the others."""
    player.heard.clear()
    job_id = next(IDS)
    player.send(name, job_id, *values, "seed", 5, "variations", 3)
    return end_of_three(player, name, job_id)


def end_of_three(player: Player, name: str, job_id: int) -> list[Told]:
    def told(address: str) -> list[Told]:
        return [pairs(m.values) for m in player.heard if (m.address, m.values[:2]) == (address, [name, job_id])]

    def all_are_told(_: object) -> bool:
        return bool(told("/melnet/finished")) and len(told("/melnet/variation")) == 2

    player.wait_until(all_are_told, "three takes", 60.0)
    return [*told("/melnet/finished"), *told("/melnet/variation")]


def new_calls(calls: Path, before: int = 0) -> list[list[int]]:
    """Of each call after the first ones: takes, and chunks that were made."""
    lines = calls.read_text(encoding="utf-8").splitlines()[before:]
    return [[int(number) for number in line.split()] for line in lines]


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
def test_one_call_draws_all_and_each_is_what_its_seed_alone_makes(
    player: Player, calls: Path, asked: tuple[str | float, ...], tmp_path: Path, narrow_piano: Path
) -> None:
    name, *values = asked
    before = len(new_calls(calls))
    first, *others = made = three_takes(player, str(name), *values)
    assert (first["sounded"], first["gaps"]) == (True, 0)
    assert [each["ready"] for each in others] == [1, 1]
    assert [takes for takes, _ in new_calls(calls, before)] == [3]
    assert [described(each)["drawn_together"] for each in made] == [3, 3, 3]
    for seed, told in enumerate(made, 5):
        alone = player.run_job(str(name), 2, *values, "seed", seed)
        np.testing.assert_array_equal(sound_of(alone), sound_of(told))
        assert described(alone)["drawn_together"] == 1
        assert described(alone)["notes"] == described(told)["notes"]
    assert bool(described(made[1])["notes"]) == ("plan" in values)
    assert not np.array_equal(sound_of(made[1]), sound_of(made[2]))
    np.testing.assert_array_equal(rendered(made[2], tmp_path, narrow_piano), sound_of(made[2]))


def test_more_than_the_engine_draws_at_once_are_made_by_themselves(player: Player, calls: Path) -> None:
    before = len(new_calls(calls))
    job_id = next(IDS)
    player.send("continue", job_id, "seconds", 0.4, "seed", 5, "variations", 4, "plan", "off")
    made = [pairs(player.wait_for("variation", "continue", job_id)) for _ in range(3)]
    assert [described(each)["drawn_together"] for each in made] == [3, 3, 1]
    assert new_calls(calls, before)[0][0] == 3
    assert {takes for takes, _ in new_calls(calls, before)[1:]} == {1}
    alone = player.run_job("continue", 2, "seconds", 0.4, "seed", 8, "plan", "off")
    np.testing.assert_array_equal(sound_of(alone), sound_of(made[2]))


def test_one_of_them_is_played_on_the_bar_line_where_the_first_ends(player: Player) -> None:
    player.send("set", "tempo", 240.0)
    player.heard.clear()
    job = "continue", next(IDS)
    player.send(*job, "bars", BARS, "seed", 5, "variations", 3, "quantise", "bar")
    bar = int(str(pairs(player.wait_for("started", *job))["bar"]))
    player.wait_unless_heard(lambda m: m.address == "/melnet/variation" and m.values[:2] == [*job], "another")
    told = [pairs(m.values) for m in player.heard if m.address == "/melnet/variation" and m.values[:2] == [*job]]
    player.send("take/play", 2, "take", int(str(told[0]["take"])), "at_bar", bar + BARS)
    assert pairs(player.wait_for("started", "take/play", 2))["bar"] == bar + BARS
    played = pairs(player.wait_for("finished", "take/play", 2))
    assert (played["sounded"], played["gaps"], played["seed"]) == (True, 0, 6)


def test_their_notes_follow_the_tempo_with_their_takes(
    player: Player, calls: Path, tmp_path: Path, narrow_piano: Path
) -> None:
    player.send("set", "tempo", 120.0)
    player.heard.clear()
    values = ("seconds", 2.0, "temperature", HALTING_TEMPERATURE, *PLANNED)
    job_id = next(IDS)
    player.send("continue", job_id, *values, "seed", 5, "variations", 3)
    wait_until(calls.with_suffix(HALTED).exists)
    player.send("set", "tempo", 80.0)
    for _ in range(2):  # the player has answered after it was told of the first of these, so it knows the bars
        player.send("take/undo")
        player.wait_for("fail", "take/undo")
    calls.with_suffix(GO_ON).touch()
    for told in end_of_three(player, "continue", job_id):
        planning = read_take(Path(str(told["file"])).with_suffix(".json")).job.planning
        assert planning is not None
        assert planning.timeline.tempos[-1].bpm == pytest.approx(80.0)
        np.testing.assert_array_equal(rendered(told, tmp_path, narrow_piano), sound_of(told))


def test_when_the_card_fails_in_the_middle_no_take_is_lost(player: Player, calls: Path) -> None:
    before = len(new_calls(calls))
    asked = ("continue", "seconds", SECONDS, "temperature", FATAL_TEMPERATURE, *PLANNED)
    first, *others = made = three_takes(player, *asked)
    assert (first["sounded"], first["gaps"], first["missing_samples"]) == (True, 0, 0)
    assert [each["ready"] for each in others] == [1, 1]
    assert new_calls(calls, before) == [[3, GOOD_CHUNKS]]
    warnings = [message.values for message in player.heard if message.address == "/melnet/warning"]
    assert [words[0] for words in warnings] == ["continue"]
    assert warnings[0][2] == "engine cpu failed (the card failed: it is not there any more); cpu goes on"
    for seed, told in enumerate(made, 5):
        assert soundfile.info(str(told["file"])).duration == SECONDS
        alone = player.run_job(asked[0], 2, *asked[1:], "seed", seed)  # by the engine that went on
        np.testing.assert_array_equal(sound_of(alone), sound_of(told))
    assert len(three_takes(player, *asked)) == 3  # one after the other now
    assert new_calls(calls, before) == [[3, GOOD_CHUNKS]]
