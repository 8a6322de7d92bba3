"""Takes begin on the lines that were asked for: measured on the device, to the sample."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from jack_rig import RATE_HZ, Capture, jack_server
from live_daemon import Player, client, end_all, live_daemon, pairs, wait_ready
from scripted_instrument import COUNT_STEP, counted

from bridge.stage.daemon import Daemon

DEVICE = "system"
TEMPO = 240.0
BAR_SAMPLES = RATE_HZ  # four beats of a quarter of a second
TAKE_SECONDS = 0.25
LATER_LINE = re.compile(r"begins on bar (\d+), beat ([\d.]+)$")


PRESET = "rtf=20 hz=48000 block=0.05"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with jack_server(), live_daemon(tmp_path_factory.mktemp("takes"), preset=PRESET, output=DEVICE) as running:
        yield running


@pytest.fixture
def player(daemon: Daemon) -> Iterator[Player]:
    with client(daemon) as one:
        wait_ready(one)
        use_preset(one, PRESET)
        one.send("set", "tempo", TEMPO)
        one.send("set", "quantise", "none")
        one.wait_for("done", "set", -1, "quantise")
        one.heard.clear()
        yield one
        end_all(one)


def use_preset(player: Player, preset: str) -> None:
    player.send("load", preset)
    player.wait_for("done", "load")


def beginnings(capture: np.ndarray[tuple[int], np.dtype[np.float32]]) -> list[int]:
    """Where takes begin in what was captured: their first sample is the first count."""
    return [int(place) for place in np.flatnonzero(capture == counted(0, 1)[0])]


def place_of(answer: dict[str, object]) -> tuple[int, float]:
    return int(str(answer["bar"])), float(str(answer["beat"]))


def line_told(player: Player, job: int) -> tuple[int, float]:
    """Bar and beat that a job was told last before it sounded: a busy machine may have it begin later than promised."""
    line = (0, 0.0)
    for message in player.heard:
        if message.values[:2] != ["generate", job]:
            continue
        if message.address == "/melnet/done":
            line = place_of(pairs(message.values))
        elif message.address == "/melnet/warning" and (moved := LATER_LINE.search(str(message.values[2]))):
            line = int(moved[1]), float(moved[2])
    return line


def started_at(player: Player, job: int) -> tuple[int, float]:
    (values,) = [m.values for m in player.heard if m.address == "/melnet/started" and m.values[1] == job]
    return place_of(pairs(values))


def test_triggers_at_random_moments_sound_on_bar_lines(player: Player, tmp_path: Path) -> None:
    player.send("set", "quantise", "bar")
    player.wait_for("done", "set")
    capture = Capture(tmp_path)
    capture.wait_until_ready()
    moments = random.Random(3)
    bars = []
    for number in range(4):
        time.sleep(moments.uniform(0.0, 0.4))  # anywhere in a bar; nothing waits for this
        player.send("generate", number, "seconds", TAKE_SECONDS)
        finished = pairs(player.wait_for("finished", "generate", number))
        assert (finished["sounded"], finished["gaps"]) == (True, 0)
        bar, beat = started_at(player, number)
        assert beat == pytest.approx(1.0, abs=1e-3)
        assert bar == line_told(player, number)[0]
        bars.append(bar)
    places = beginnings(capture.stop())
    assert [(place - places[0]) / BAR_SAMPLES for place in places] == [bar - bars[0] for bar in bars]


@pytest.mark.parametrize("tempo", [150.0, 145.1])
def test_takes_of_whole_bars_follow_each_other_without_a_pause(player: Player, tmp_path: Path, tempo: float) -> None:
    player.send("set", "tempo", tempo)
    player.wait_for("done", "set", -1, "tempo")
    capture = Capture(tmp_path)
    capture.wait_until_ready()
    player.send("transport/locate", 1)  # a whole bar before the next line
    for number in range(3):
        player.send("generate", number, "bars", 1, "quantise", "bar")
    for number in range(3):
        finished = pairs(player.wait_for("finished", "generate", number))
        assert (finished["sounded"], finished["gaps"]) == (True, 0)
    started = [started_at(player, number) for number in range(3)]
    assert started == [line_told(player, number) for number in range(3)]
    first = started[0][0]
    assert started == [(first + number, pytest.approx(1.0, abs=1e-3)) for number in range(3)]
    heard = capture.stop()
    heard = heard[np.flatnonzero(heard)[0] :]
    bar_samples = 240.0 / tempo * RATE_HZ
    for number in range(3):
        line = number * bar_samples
        middle = round(line + bar_samples / 2)
        # the line that it counts from, wherever its bar's samples begin and end
        assert middle + 1 - round(float(heard[middle]) / COUNT_STEP) == pytest.approx(line, abs=1.0)
        assert heard[round(line) + 2 :][: round(bar_samples) - 4].all()


def test_a_bar_and_beat_asked_for_is_met(player: Player, tmp_path: Path) -> None:
    player.send("transport/locate", 1)
    player.wait_for("done", "transport/locate")
    capture = Capture(tmp_path)
    capture.wait_until_ready()
    bar = int(str(player.ask("transport")["bar"])) + 3
    for number, beat in ((1, 1.0), (2, 2.5)):
        player.send("generate", number, "seconds", 0.125, "at_bar", bar, "at_beat", beat)
        assert place_of(pairs(player.wait_for("done", "generate", number))) == (bar, pytest.approx(beat, abs=1e-3))
    for number in (1, 2):
        player.wait_for("finished", "generate", number)
    first, second = beginnings(capture.stop())
    assert second - first == 1.5 * BAR_SAMPLES / 4


def test_a_change_of_tempo_moves_what_waits(player: Player, tmp_path: Path) -> None:
    capture = Capture(tmp_path)
    capture.wait_until_ready()
    bar = int(str(player.ask("transport")["bar"])) + 2
    for number in (1, 2):
        player.send("generate", number, "seconds", 0.125, "at_bar", bar + number)
        player.wait_for("done", "generate", number)
    player.send("set", "tempo", TEMPO / 2)
    player.wait_for("done", "set")
    for number in (1, 2):
        started = pairs(player.wait_for("started", "generate", number))
        assert place_of(started) == (bar + number, pytest.approx(1.0, abs=1e-3))
        player.wait_for("finished", "generate", number)
    first, second = beginnings(capture.stop())
    assert second - first == 2 * BAR_SAMPLES


def test_a_line_that_is_past_is_met_on_the_next_one_at_once_or_not_at_all(player: Player) -> None:
    player.send("transport/locate", 100)
    player.wait_for("done", "transport/locate")
    player.send("generate", 1, "seconds", 0.125, "at_bar", 3, "late", "next")
    bar, beat = place_of(pairs(player.wait_for("done", "generate", 1)))
    assert bar > 100
    assert beat == pytest.approx(1.0, abs=1e-3)
    player.wait_for("finished", "generate", 1)
    player.send("generate", 2, "seconds", 0.125, "at_bar", 3, "late", "play")
    done = pairs(player.wait_for("done", "generate", 2))
    assert "bar" not in done
    player.wait_for("finished", "generate", 2)
    player.send("generate", 3, "seconds", 0.125, "at_bar", 3, "late", "drop")
    assert player.wait_for("fail", "generate", 3)[2] == "too_late"


@pytest.mark.parametrize("late", ["next", "play", "drop"])
def test_an_engine_slower_than_it_was_measured_is_told_and_breaks_nothing(
    player: Player, tmp_path: Path, late: str
) -> None:
    """At load it says 20 times real time, and so that a block takes 25 ms; a take is made at 1.5 times: 333 ms."""
    use_preset(player, "rtf=20 hz=48000 block=0.5 really=1.5")
    player.heard.clear()
    capture = Capture(tmp_path)
    capture.wait_until_ready()
    player.send("set", "tempo", 400)
    player.send("transport/locate", 1)  # a whole beat before the next line
    player.send("generate", 1, "seconds", 0.5, "quantise", "beat", "late", late)
    bar, beat = place_of(pairs(player.wait_for("done", "generate", 1)))
    if late == "drop":
        assert player.wait_for("fail", "generate", 1)[2] == "too_late"
        assert not beginnings(capture.stop())
        return
    player.wait_for("warning", "generate", 1)
    finished = pairs(player.wait_for("finished", "generate", 1))
    assert (finished["sounded"], finished["gaps"]) == (True, 0)
    if late == "next":
        later_bar, later_beat = started_at(player, 1)
        assert (later_bar, later_beat) > (bar, beat)
        assert later_beat == round(later_beat)
        assert (later_bar, later_beat) == line_told(player, 1)
    else:
        told = [str(message.values[2]) for message in player.heard if message.address == "/melnet/warning"]
        assert told == ["it was made slower than expected, and begins as soon as it can"]
    captured = capture.stop()
    (place,) = beginnings(captured)
    np.testing.assert_array_equal(captured[place : place + RATE_HZ // 2], counted(0, RATE_HZ // 2))


def test_where_the_music_is(player: Player) -> None:
    slow = 40.0  # so that little happens before the answer tells where it is
    player.send("set", "tempo", slow)
    player.send("set", "meter", "6/8")
    player.wait_for("done", "set", -1, "meter")
    bar = int(str(player.ask("transport")["bar"])) + 8  # beyond the line on which the meter changes
    player.send("transport/locate", bar, "beat", 2.0)
    located = pairs(player.wait_for("done", "transport/locate"))
    assert place_of(located) == (bar, pytest.approx(2.0, abs=0.2))
    now = player.ask("transport")
    assert now["tempo"] == slow
    assert now["meter"] == "6/8"
    for name, values, code in (
        ("set", ("meter", "4/5"), "out_of_range"),
        ("set", ("tempo", 0), "out_of_range"),
        ("set", ("quantise", "bars"), "out_of_range"),
        ("generate", (1, "at_beat", 2.0), "missing_argument"),
    ):
        player.send(name, *values)
        assert player.wait_for("fail", name)[2] == code


def test_without_a_sound_device_lines_are_let_be(tmp_path: Path) -> None:
    with live_daemon(tmp_path) as daemon, client(daemon) as player:
        wait_ready(player)
        player.send("generate", 1, "seconds", 0.25, "quantise", "bar")
        done = pairs(player.wait_for("done", "generate", 1))
        assert "bar" not in done
        assert pairs(player.wait_for("finished", "generate", 1))["sounded"] == 0
        assert player.ask("transport")["bar"]
