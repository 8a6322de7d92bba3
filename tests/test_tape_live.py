"""Bars of the tape, looped, repainted, undone and made anew, with a real device that is played into."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from bars import bar_of, record_bars, start_loop, wait_for_bar
from jack_rig import Capture, generator, jack_server
from live_daemon import Player, client, live_daemon, pairs, process_id, wait_ready
from numpy.typing import NDArray
from scripted_instrument import COUNT_STEP, SEED_DIES, counted

from bridge.daemon import Daemon
from bridge.edits import FADE_SECONDS

RATE_HZ = 48000
DEVICE = "system"
TEMPO = 240.0
BAR_SAMPLES = 4 * 60 * RATE_HZ // 240
FADE = round(FADE_SECONDS * RATE_HZ)


@pytest.fixture(scope="module")
def server() -> Iterator[None]:
    with jack_server():
        yield


@pytest.fixture
def takes(tmp_path: Path) -> Path:
    return tmp_path / "takes"


@pytest.fixture
def daemon(server: None, tmp_path: Path, takes: Path) -> Iterator[Daemon]:
    exports = tmp_path / "exports"
    exports.mkdir()
    with live_daemon(takes, output=DEVICE, audio_input=DEVICE, allowed=(exports,)) as daemon:
        yield daemon


@pytest.fixture
def player(daemon: Daemon) -> Iterator[Player]:
    with client(daemon) as player:
        wait_ready(player)
        player.send("set", "tempo", TEMPO)
        player.wait_for("done", "set")
        player.send("transport/locate", 1)
        player.wait_for("done", "transport/locate")
        yield player


def passes(captured: NDArray[np.float32], length: int) -> list[NDArray[np.float32]]:
    """Whole passes of a loop that begins in the capture, but for the first, which is faded in."""
    begin = int(np.flatnonzero(captured)[0]) - 1
    return [captured[turn : turn + length] for turn in range(begin + length, len(captured) - length, length)]


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


@pytest.fixture
def repainted(player: Player) -> int:
    """A tape with its second bar repainted; returns the first."""
    first = record_bars(player, 2)
    player.send("inpaint", 1, "from_bar", first + 1, "to_bar", first + 1, "seed", 5)
    player.wait_for("finished", "inpaint", 1)
    return first


def test_takes_are_listed_rerolled_recalled_and_exported(player: Player, repainted: int, tmp_path: Path) -> None:
    first_take = pairs(next(m.values for m in player.heard if m.address == "/melnet/finished"))
    player.send("take/reroll", 2)
    second = pairs(player.wait_for("finished", "take/reroll", 2))
    assert second["seed"] == 6
    one, other = (Path(str(take["file"])).with_suffix(".json") for take in (first_take, second))
    assert (
        one.read_text().split('"prompt": ')[1].split(",")[0] == other.read_text().split('"prompt": ')[1].split(",")[0]
    )
    player.send("take/list")
    player.wait_for("done", "take/list")
    listed = [
        dict(zip(map(str, m.values[::2]), m.values[1::2], strict=True))
        for m in player.heard
        if m.address == "/melnet/take/list.reply"
    ]
    assert [(take["take"], take["seed"], take["on_tape"]) for take in listed] == [
        (first_take["take"], 5, False),
        (second["take"], 6, True),
    ]
    assert {(take["from_bar"], take["to_bar"]) for take in listed} == {(repainted + 1, repainted + 1)}
    player.send("take/recall", int(str(first_take["take"])))
    assert pairs(player.wait_for("done", "take/recall"))["edits"] == 2
    player.send("take/export", int(str(second["take"])), "kept.wav")
    player.wait_for("done", "take/export")
    exports = tmp_path / "exports"
    kept, original = (soundfile.read(path)[0] for path in (exports / "kept.wav", str(second["file"])))
    np.testing.assert_array_equal(kept, original)
    assert sorted(path.suffix for path in exports.iterdir()) == [".json", ".safetensors", ".wav"]
    player.send("take/export", int(str(second["take"])), "kept.wav")
    assert player.wait_for("fail", "take/export")[2] == "bad_file"


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
    player.wait_for("finished", "inpaint", 3)
    wait_for_bar(player, bar_of(player) + 4)
    captured = capture.stop()
    found = passes(captured, 2 * BAR_SAMPLES)
    kinds = [next(n for n, other in enumerate(found) if np.array_equal(each, other)) for each in found]
    changed = kinds[-1]
    assert changed > 0
    assert kinds == [0] * changed + [changed] * (len(found) - changed)
    np.testing.assert_array_equal(found[0][BAR_SAMPLES:-FADE], found[-1][BAR_SAMPLES:-FADE])


def test_no_bar_is_promised_while_the_sound_device_is_gone(tmp_path: Path) -> None:
    with (
        jack_server(synchronous=False) as doomed,
        live_daemon(tmp_path, output=DEVICE, audio_input=DEVICE) as daemon,
        client(daemon) as player,
    ):
        wait_ready(player)
        player.send("set", "tempo", TEMPO)
        player.wait_for("done", "set")
        first = record_bars(player, 2)
        start_loop(player, first, first + 1)
        finished = player.run_job("inpaint", 1, "from_bar", first, "to_bar", first)
        assert "bar" in finished
        player.send("subscribe")
        player.wait_for("done", "subscribe")
        doomed.kill()
        player.wait_for("event", "sound", "gone")
        player.send("take/undo")
        assert pairs(player.wait_for("done", "take/undo")) == {"edits": 0}
        player.send("take/reroll", 2)
        assert "bar" not in pairs(player.wait_for("finished", "take/reroll", 2))


@pytest.mark.parametrize(
    ("name", "values", "code"),
    [
        ("inpaint", (1, "from_bar", 500, "to_bar", 501), "refused"),
        ("inpaint", (1, "from_bar", 3), "missing_argument"),
        ("inpaint", (1, "from_bar", 3, "to_bar", 2), "out_of_range"),
        ("inpaint", (1,), "missing_argument"),
        ("inpaint", (1, "from_bar", 1, "to_bar", 1, "start", 1.0), "missing_argument"),
        ("loop/start", (500, 501), "refused"),
        ("loop/stop", (), "refused"),
        ("take/undo", (), "refused"),
        ("take/redo", (), "refused"),
        ("take/recall", (77,), "unknown_take"),
        ("take/reroll", (1,), "unknown_take"),
        ("take/export", (77, "x.wav"), "unknown_take"),
        ("continue", (1, "bars", 2, "seconds", 3.0), "repeated_key"),
        ("generate", (1, "bars", 65), "out_of_range"),
    ],
)
def test_what_cannot_be_done_is_said(player: Player, name: str, values: tuple[object, ...], code: str) -> None:
    player.send(name, *values)  # type: ignore[arg-type]
    assert player.wait_for("fail", name)[2] == code


def test_bars_are_a_length(player: Player) -> None:
    player.send("generate", 1, "bars", 2)
    assert pairs(player.wait_for("done", "generate", 1))["seconds"] == pytest.approx(2 * BAR_SAMPLES / RATE_HZ)
    player.wait_for("finished", "generate", 1)


def test_what_sounded_is_on_the_tape(player: Player) -> None:
    player.send("generate", 1, "bars", 2, "quantise", "bar")
    bar = int(str(pairs(player.wait_for("done", "generate", 1))["bar"]))
    player.wait_for("finished", "generate", 1)
    player.send("inpaint", 2, "from_bar", bar, "to_bar", bar + 1)
    player.wait_for("finished", "inpaint", 2)
    player.send("inpaint", 3, "from_bar", bar, "to_bar", bar + 2)
    failed = player.wait_for("fail", "inpaint", 3)
    assert "are not on the tape: it holds bar" in str(failed[3])


def test_a_continuation_on_a_line_goes_on_from_the_latest_that_was_heard(player: Player, tmp_path: Path) -> None:
    capture = Capture(tmp_path)
    capture.wait_until_ready()
    player.send("listen/start")
    player.wait_for("done", "listen/start")
    with generator():
        wait_for_bar(player, bar_of(player) + 2)
        bar = bar_of(player) + 3
        player.send("continue", 1, "seconds", 1.0, "at_bar", bar)
        assert pairs(player.wait_for("done", "continue", 1))["bar"] == bar
        started = pairs(player.wait_for("started", "continue", 1))
        finished = pairs(player.wait_for("finished", "continue", 1))
    assert (started["bar"], started["beat"]) == (bar, pytest.approx(1.0, abs=1e-3))
    assert finished["seconds"] == 1.0
    skip_seconds = json.loads(Path(str(finished["file"])).with_suffix(".json").read_text())["skip_seconds"]
    assert 0.0 < skip_seconds < 2 * BAR_SAMPLES / RATE_HZ  # asked for three bars ahead
    captured = capture.stop()
    begin, skip = int(np.flatnonzero(captured)[0]), round(skip_seconds * RATE_HZ)
    np.testing.assert_array_equal(captured[begin + 480 : begin + RATE_HZ], counted(skip + 480, RATE_HZ - 480))


def test_a_take_that_waits_for_a_far_bar_holds_back_none_that_is_over_before(player: Player) -> None:
    bar = bar_of(player) + 8
    player.send("generate", 1, "seconds", 0.25, "at_bar", bar)
    assert pairs(player.wait_for("done", "generate", 1))["bar"] == bar
    player.send("generate", 2, "seconds", 0.25)
    assert float(str(pairs(player.wait_for("done", "generate", 2))["start_in"])) < 2.0
    player.wait_for("finished", "generate", 2)
    assert bar_of(player) < bar
    assert pairs(player.wait_for("started", "generate", 1))["bar"] == bar
    player.send("generate", 3, "seconds", 0.25, "at_bar", bar_of(player) + 4)
    player.send("generate", 4, "seconds", 30.0)
    player.wait_for("started", "generate", 3)
    assert not [m for m in player.heard if m.address == "/melnet/started" and m.values[1] == 4]
