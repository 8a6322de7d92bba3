"""Several takes from one trigger, by a whole daemon with a real engine: each is what its seed alone would have made."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from asked_takes import ASKED, Told, sound_of
from hearing_piano import HEARING
from live_daemon import Player, client, live_daemon, pairs, wait_ready

from bridge.cli.main import main
from bridge.stage.daemon import Daemon
from melnet_music.model.preset import PHRASE_FILE


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory, narrow_piano: Path) -> Iterator[Daemon]:
    folder = tmp_path_factory.mktemp("variations").resolve()
    with live_daemon(folder, preset=str(narrow_piano), factory=HEARING, allowed=(narrow_piano,)) as running:
        yield running


@pytest.fixture
def player(daemon: Daemon) -> Iterator[Player]:
    """Whose model has heard something, and hears nothing more."""
    with client(daemon) as one:
        wait_ready(one)
        for name, *values in (("prime/clear",), ("prime/file", PHRASE_FILE, "seconds", 3.0)):
            one.send(name, *values)
            one.wait_for("done", name)
        one.heard.clear()
        yield one


def variations(player: Player, count: int, *job: object) -> list[Told]:
    """The next ones that are told of."""
    return [pairs(player.wait_for("variation", *job)) for _ in range(count)]


def listed(player: Player) -> dict[int, Told]:
    player.heard.clear()
    player.send("take/list")
    player.wait_for("done", "take/list")
    replies = [m.values for m in player.heard if m.address == "/melnet/take/list.reply"]
    takes = [dict(zip(map(str, each[::2]), each[1::2], strict=True)) for each in replies]
    return {int(str(take["take"])): take for take in takes}


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
def test_each_is_what_its_seed_would_have_made_and_is_made_again_by_render(
    player: Player, asked: tuple[str | float, ...], tmp_path: Path, narrow_piano: Path
) -> None:
    name, *values = asked
    player.send(str(name), 1, *values, "seed", 5, "variations", 3)
    done = pairs(player.wait_for("done", name, 1))
    assert done["variations"] == 3
    assert float(str(done["variations_in"])) > 0.0
    first = pairs(player.wait_for("finished", name, 1, seconds=60.0))
    made = variations(player, 2, name, 1)
    assert [(each["seed"], each["left"], each["ready"]) for each in made] == [(6, 1, 1), (7, 0, 1)]
    assert {each["variation_of"] for each in made} == {first["take"]}
    takes = listed(player)
    for each in made:
        about = takes[int(str(each["take"]))]
        assert (about["variation_of"], about["ready"], about["seed"]) == (first["take"], 1, each["seed"])
        assert (about["kind"], about["file"]) == (name, each["file"])

    for told in made:
        alone = player.run_job(str(name), 2, *values, "seed", int(str(told["seed"])))
        np.testing.assert_array_equal(sound_of(alone), sound_of(told))
    assert not np.array_equal(sound_of(made[0]), sound_of(made[1]))
    assert not np.array_equal(sound_of(made[0]), sound_of(first))
    described, again = Path(str(made[1]["file"])).with_suffix(".json"), tmp_path / "again.wav"
    assert main(["render", str(described), str(again), "--preset", str(narrow_piano)]) == 0
    np.testing.assert_array_equal(soundfile.read(again, dtype="float32")[0], sound_of(made[1]))


def test_they_are_takes_like_others(player: Player) -> None:
    player.send("set", "seed", 20)
    player.send("continue", 1, "seconds", 0.4, "variations", 3)
    first = pairs(player.wait_for("finished", "continue", 1))
    made = variations(player, 2, "continue", 1)
    assert [first["seed"], *(each["seed"] for each in made)] == [20, 21, 22]
    assert player.ask("get", "seed")["seed"] == 23
    assert player.run_job("take/reroll", 2)["seed"] == 21  # the last take is none of them
    again = player.run_job("take/reroll", 3, "take", int(str(made[0]["take"])), "seed", 22)
    np.testing.assert_array_equal(sound_of(again), sound_of(made[1]))
    played = player.run_job("take/play", 4, "take", int(str(made[0]["take"])))
    assert (played["seed"], played["seconds"], played["file"]) == (21, made[0]["seconds"], made[0]["file"])
    assert listed(player)[int(str(played["take"]))]["plays"] == made[0]["take"]
    assert player.run_job("take/play", 5)["file"] == played["file"]  # the last one, which is that


def test_one_is_no_variations(player: Player) -> None:
    player.send("continue", 1, "seconds", 0.4, "variations", 1)
    assert "variations" not in pairs(player.wait_for("done", "continue", 1))
    player.wait_for("finished", "continue", 1)
    for wrong in (0, 33):
        player.send("continue", 2, "variations", wrong)
        assert player.wait_for("fail", "continue", 2)[2] == "out_of_range"
    player.send("generate", 3, "variations", 2)
    assert player.wait_for("fail", "generate", 3)[2] == "unknown_key"
