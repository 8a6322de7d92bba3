"""Bars of the tape, looped, repainted and undone, with a real device that is played into."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from bars import RATE_HZ, TEMPO, bar_of, record_bars, start_loop, wait_for_bar
from jack_rig import Capture
from live_daemon import Player, pairs, process_id, wait_ready
from numpy.typing import NDArray
from scripted_instrument import COUNT_STEP, SEED_DIES, counted

from bridge.audio.loop_player import FADE_SAMPLES
from bridge.stage.daemon import Daemon
from bridge.tape.edit_history import FADE_SECONDS

METER = "2/4"
BAR_SAMPLES = RATE_HZ // 2
FADE = round(FADE_SECONDS * RATE_HZ)


@pytest.fixture
def short_bars(player: Player) -> None:
    """They are so from the next line on, before the first bar that is recorded."""
    player.send("set", "meter", METER)
    player.wait_for("done", "set")


@pytest.fixture
def repainted(player: Player, short_bars: None) -> int:
    """A tape with its second bar repainted; returns the first."""
    first = record_bars(player, 2)
    player.send("inpaint", 1, "from_bar", first + 1, "to_bar", first + 1, "seed", 5)
    player.wait_for("finished", "inpaint", 1)
    return first


def passes(captured: NDArray[np.float32], length: int) -> list[NDArray[np.float32]]:
    """Whole passes of a loop that begins in the capture, but for the first, which is faded in."""
    begin = int(np.flatnonzero(captured)[0]) - 1
    return [captured[turn : turn + length] for turn in range(begin + length, len(captured) - length, length)]


@pytest.mark.usefixtures("short_bars")
def test_bars_are_looped_repainted_undone_and_made_anew(player: Player, tmp_path: Path) -> None:
    first = record_bars(player, 4)
    capture = Capture(tmp_path)
    capture.wait_until_ready()
    start_loop(player, first, first + 3)
    wait_for_bar(player, bar_of(player) + 5)

    player.send("inpaint", 1, "from_bar", first + 1, "to_bar", first + 2, "seed", 5)
    done = pairs(player.wait_for("done", "inpaint", 1))
    finished = pairs(player.wait_for("finished", "inpaint", 1))
    assert (finished["bar"], finished["beat"]) == (done["bar"], done["beat"])
    wait_for_bar(player, int(str(finished["bar"])) + 5)

    player.send("take/undo")
    undone = pairs(player.wait_for("done", "take/undo"))
    assert undone["edits"] == 0
    wait_for_bar(player, int(str(undone["bar"])) + 5)
    player.send("take/redo")
    redone = pairs(player.wait_for("done", "take/redo"))
    assert redone["edits"] == 1
    wait_for_bar(player, int(str(redone["bar"])) + 5)
    assert player.ask("status")["underruns"] == 0
    captured = capture.stop()

    length = 4 * BAR_SAMPLES
    found = passes(captured, length)
    own = next(each for each in found if np.allclose(np.diff(each[:-FADE]), COUNT_STEP, atol=1e-9))
    changed = [each for each in found if not np.array_equal(each, own)]
    assert len(changed) >= 2
    for each in changed:
        np.testing.assert_array_equal(each, changed[0])
        np.testing.assert_array_equal(each[:BAR_SAMPLES], own[:BAR_SAMPLES])
        np.testing.assert_array_equal(each[3 * BAR_SAMPLES :], own[3 * BAR_SAMPLES :])
        new = each[BAR_SAMPLES + FADE : 3 * BAR_SAMPLES - FADE]
        np.testing.assert_allclose(new, counted(FADE, len(new)), atol=2e-6)


def test_a_loop_outlives_the_player_and_is_changed_by_the_next_one(
    player: Player, repainted: int, daemon: Daemon, tmp_path: Path
) -> None:
    capture = Capture(tmp_path)
    capture.wait_until_ready()
    start_loop(player, repainted, repainted + 1)
    before = process_id(daemon, "player")
    player.send("generate", 9, "seconds", 1.0, "seed", SEED_DIES)
    player.wait_for("fail", "generate", 9)
    wait_ready(player)
    assert process_id(daemon, "player") != before
    wait_for_bar(player, bar_of(player) + 3)
    player.send("inpaint", 3, "from_bar", repainted, "to_bar", repainted, "seed", 7)
    finished = pairs(player.wait_for("finished", "inpaint", 3))
    wait_for_bar(player, int(str(finished["bar"])) + 5)
    captured = capture.stop()
    found = passes(captured, 2 * BAR_SAMPLES)
    faded = [each[FADE_SAMPLES:] for each in found]  # the first pass that is changed fades in
    kinds = [next(n for n, other in enumerate(faded) if np.array_equal(each, other)) for each in faded]
    changed = kinds[-1]
    assert changed > 0
    assert kinds == [0] * changed + [changed] * (len(found) - changed)
    np.testing.assert_array_equal(found[0][BAR_SAMPLES:-FADE], found[-1][BAR_SAMPLES:-FADE])


def test_what_was_undone_can_be_redone_after_the_player_died(player: Player, repainted: int, daemon: Daemon) -> None:
    def change(name: str) -> object:
        player.send(name)
        return pairs(player.wait_for("done", name))["edits"]

    player.run_job("inpaint", 2, "from_bar", repainted, "to_bar", repainted, "seed", 6)
    player.run_job("take/reroll", 3)
    assert [change("take/undo"), change("take/undo")] == [2, 1]
    before = process_id(daemon, "player")
    player.send("generate", 9, "seconds", 1.0, "seed", SEED_DIES)
    player.wait_for("fail", "generate", 9)
    wait_ready(player)
    assert process_id(daemon, "player") != before
    assert [change("take/redo"), change("take/redo"), change("take/undo")] == [2, 2, 2]
    assert [change("take/undo"), change("take/undo")] == [1, 0]
    player.send("take/undo")
    assert player.wait_for("fail", "take/undo")[2] == "refused"


def test_who_changes_the_tempo_under_a_loop_is_told_that_it_keeps_its_length(player: Player, repainted: int) -> None:
    def warnings() -> list[str]:
        player.send("ping")
        player.wait_for("pong")
        told = [str(message.values[2]) for message in player.heard if message.address == "/melnet/warning"]
        player.heard.clear()
        return told

    player.send("set", "tempo", TEMPO)
    assert warnings() == []
    start_loop(player, repainted, repainted + 1)
    player.send("set", "tempo", TEMPO)
    player.send("set", "level", 0.5)
    assert warnings() == []
    for name, values, bars in (
        ("set", ("tempo", 1.5 * TEMPO), "3"),
        ("set", ("meter", "3/4"), "2"),
        ("transport/locate", (1,), "2"),
    ):
        player.send(name, *values)
        (warning,) = warnings()
        assert warning.startswith(f"the loop keeps its length and its place: 1 s, now {bars} bars")
    player.send("loop/stop", "quantise", "beat")
    player.wait_for("done", "loop/stop")
    player.send("set", "tempo", TEMPO)
    assert warnings() == []
