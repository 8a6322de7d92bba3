"""Variations with a real device: they are heard when they are recalled, delay nothing, and none is lost unsaid."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from bars import BAR_SAMPLES, RATE_HZ, bar_of, record_bars
from documented import check_documented
from jack_rig import Capture, jack_server
from live_daemon import Player, client, live_daemon, pairs, process_id, wait_ready
from scripted_instrument import SEED_DIES, SEED_NOT_FINITE, SEED_RAISES, counted, seed_gain

from bridge.stage.daemon import Daemon
from bridge.takes.take_files import read_take

DEVICE = "system"
PRESET, OTHER = "rtf=8 hz=48000 block=0.1 seeds=1", "rtf=8 hz=48000 block=0.1 seeds=1 digest=1111"
BARS = 4
"""Of a take during which there is time to ask for another."""
LONG_SECONDS = 3.0
"""Of takes 31 of which are made in twelve seconds."""

Told = dict[str, object]


@pytest.fixture(scope="module")
def daemon(exports: Path) -> Iterator[Daemon]:
    takes = exports.parent / "takes"
    with (
        jack_server(),
        live_daemon(takes, preset=PRESET, output=DEVICE, audio_input=DEVICE, allowed=(exports,)) as running,
    ):
        yield running


def variations(player: Player, count: int, *job: object) -> list[Told]:
    """All that were told of so far, and as many more as are missing; they are told as the reference says."""

    def told() -> list[Told]:
        mine = [m for m in player.heard if m.address == "/melnet/variation" and m.values[:2] == [*job]]
        return [pairs(message.values) for message in mine]

    while len(told()) < count:
        player.wait_for("variation", *job)
    for message in player.heard:
        check_documented(message)
    return told()


def number_of(told: Told) -> int:
    return int(str(told["take"]))


def edits(player: Player, name: str, *values: str | int) -> object:
    player.send(name, *values)
    return pairs(player.wait_for("done", name))["edits"]


def listed(player: Player) -> dict[int, Told]:
    player.heard.clear()
    player.send("take/list")
    player.wait_for("done", "take/list")
    for message in player.heard:
        check_documented(message)
    replies = [m.values for m in player.heard if m.address == "/melnet/take/list.reply"]
    takes = [dict(zip(map(str, each[::2]), each[1::2], strict=True)) for each in replies]
    return {int(str(take["take"])): take for take in takes}


def on_tape(player: Player) -> list[int]:
    return [number for number, take in listed(player).items() if take["on_tape"]]


def test_an_alternative_replaces_the_repainted_bar_when_it_is_recalled(player: Player, exports: Path) -> None:
    bar = record_bars(player, 2) + 1
    names = iter(range(100))

    def sound() -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        path = exports / f"bar{next(names)}.wav"
        player.send("tape/export", bar, bar, path.name)
        player.wait_for("done", "tape/export")
        return soundfile.read(path, dtype="float32")[0]

    player.send("inpaint", 1, "from_bar", bar, "to_bar", bar, "seed", 4, "variations", 3)
    assert pairs(player.wait_for("done", "inpaint", 1))["variations"] == 3
    first = number_of(pairs(player.wait_for("finished", "inpaint", 1)))
    second, third = (number_of(each) for each in variations(player, 2, "inpaint", 1))
    before = sound()
    middle = slice(BAR_SAMPLES // 4, BAR_SAMPLES // 2)
    np.testing.assert_allclose(before[middle], counted(0, BAR_SAMPLES)[middle], atol=2e-6)
    assert on_tape(player) == [first]

    assert edits(player, "take/recall", third) == 1
    np.testing.assert_allclose(sound()[middle], seed_gain(6) * before[middle], atol=1e-6)
    assert edits(player, "take/recall", second) == 1
    assert on_tape(player) == [second]
    recalled = sound()
    assert [edits(player, "take/undo"), edits(player, "take/undo")] == [1, 1]
    np.testing.assert_array_equal(sound(), before)
    assert [edits(player, "take/redo"), edits(player, "take/redo")] == [1, 1]
    np.testing.assert_array_equal(sound(), recalled)
    assert edits(player, "take/recall", first) == 1
    np.testing.assert_array_equal(sound(), before)

    while edits(player, "take/undo"):  # what the second's seed alone makes is the same, fades included
        pass
    player.send("inpaint", 2, "from_bar", bar, "to_bar", bar, "seed", 5)
    player.wait_for("finished", "inpaint", 2)
    np.testing.assert_array_equal(sound(), recalled)
    assert edits(player, "take/recall", third) == 2  # on top of another take


def test_an_alternative_is_played_on_the_bar_line_where_the_first_ends(player: Player, tmp_path: Path) -> None:
    record_bars(player, 1)
    capture = Capture(tmp_path)
    capture.wait_until_ready()
    player.send("continue", 1, "bars", BARS, "seed", 4, "variations", 2, "quantise", "bar")
    bar = int(str(pairs(player.wait_for("started", "continue", 1))["bar"]))
    alternative = variations(player, 1, "continue", 1)[0]
    player.send("take/play", 2, "take", number_of(alternative), "at_bar", bar + BARS)
    assert pairs(player.wait_for("done", "take/play", 2))["bar"] == bar + BARS
    assert pairs(player.wait_for("finished", "continue", 1))["gaps"] == 0
    assert pairs(player.wait_for("started", "take/play", 2))["bar"] == bar + BARS
    played = pairs(player.wait_for("finished", "take/play", 2))
    assert (played["sounded"], played["gaps"], played["seed"]) == (True, 0, 5)
    captured = capture.stop()
    begin = int(np.flatnonzero(captured)[0])
    one = counted(0, BARS * BAR_SAMPLES)
    np.testing.assert_array_equal(captured[begin:][: 2 * BARS * BAR_SAMPLES], np.concatenate([one, seed_gain(5) * one]))
    player.send("take/recall", number_of(alternative))
    assert player.wait_for("fail", "take/recall")[2] == "refused"


@pytest.fixture
def heard(player: Player, exports: Path) -> Player:
    """The player, when its model has heard something that can be continued."""
    return prime(player, exports)


def prime(player: Player, folder: Path) -> Player:
    soundfile.write(folder / "heard.wav", counted(0, 2 * RATE_HZ), RATE_HZ, subtype="FLOAT")
    player.send("prime/file", "heard.wav")
    player.wait_for("done", "prime/file")
    return player


def test_each_can_be_cancelled_and_what_is_not_made_cannot_be_used(heard: Player) -> None:
    heard.send("continue", 1, "seconds", LONG_SECONDS, "seed", 4, "variations", 4, "at_bar", bar_of(heard) + 200)
    heard.wait_for("done", "continue", 1)
    unmade = [number for number, take in listed(heard).items() if take.get("ready") == 0]
    assert len(unmade) == 3
    for name, *values in (("take/play", 9), ("take/reroll", 9), ("take/recall",), ("take/export",)):
        more = {"take/recall": (unmade[0],), "take/export": (unmade[0], "no.wav")}
        heard.send(name, *values, *more.get(name, ("take", unmade[0])))
        failed = heard.wait_for("fail", name)
        assert (failed[2], "is not made yet" in str(failed[3])) == ("refused", True)
    heard.send("cancel", 1, "take", unmade[1])
    heard.wait_for("done", "cancel")
    (lost,) = variations(heard, 1, "continue", 1)
    assert (lost["take"], lost["ready"], lost["code"], lost["left"]) == (unmade[1], 0, "cancelled", 2)
    heard.send("cancel", 1, "take", unmade[1])
    assert heard.wait_for("fail", "cancel")[2] == "unknown_id"

    heard.send("cancel", 1)
    assert heard.wait_for("fail", "continue", 1)[2] == "cancelled"
    assert [each["code"] for each in variations(heard, 3, "continue", 1)] == ["cancelled"] * 3
    assert not [take for take in listed(heard).values() if take.get("ready") == 0]

    heard.send("inpaint", 2, "start", 0.0, "stop", 0.1, "seed", 4, "variations", 5)
    heard.wait_for("finished", "inpaint", 2)
    assert len(variations(heard, 4, "inpaint", 2)) == 4
    heard.send("cancel", 2)
    assert heard.wait_for("fail", "cancel")[2] == "unknown_id"  # they are ready
    ready = [number for number, take in listed(heard).items() if take.get("ready") == 1]
    assert len(ready) >= 4


def test_a_newer_trigger_is_made_before_them_and_nothing_that_sounds_has_a_gap(heard: Player) -> None:
    heard.send("continue", 1, "seconds", LONG_SECONDS, "seed", 4, "variations", 32)
    variations(heard, 1, "continue", 1)
    heard.send("generate", 2, "seconds", 0.5, "seed", 5)
    for job in (("continue", 1), ("generate", 2)):
        finished = pairs(heard.wait_for("finished", *job))
        assert (finished["sounded"], finished["gaps"]) == (True, 0)
    heard.send("cancel", 1)
    heard.wait_for("done", "cancel")
    told = [each["ready"] for each in variations(heard, 31, "continue", 1)]
    assert told == sorted(told, reverse=True)
    assert (told[0], told[-1]) == (1, 0)
    assert heard.ask("status")["underruns"] == 0


def test_what_fails_is_told_and_what_is_made_outlives_the_player(heard: Player) -> None:
    assert SEED_RAISES + 1 == SEED_NOT_FINITE == SEED_DIES - 1
    heard.send("continue", 1, "seconds", 0.2, "seed", SEED_RAISES - 2, "variations", 6)
    told = variations(heard, 5, "continue", 1)
    assert [each["ready"] for each in told] == [1, 0, 0, 0, 0]
    assert [each.get("code") for each in told] == [None, "failed", "failed", "player_died", "player_died"]
    wait_ready(heard)
    ready = number_of(told[0])
    assert not [take for take in listed(heard).values() if take.get("ready") == 0]
    played = heard.run_job("take/play", 2, "take", ready)
    assert played["sounded"]


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="limits another process's files, which only Linux can")
def test_when_one_cannot_be_written_no_more_are_made(heard: Player, daemon: Daemon, exports: Path) -> None:
    heard.send("continue", 1, "seconds", LONG_SECONDS, "seed", 4, "variations", 32)
    variations(heard, 1, "continue", 1)
    writer = process_id(daemon, "player")
    before = resource.prlimit(writer, resource.RLIMIT_FSIZE)
    resource.prlimit(writer, resource.RLIMIT_FSIZE, (50_000, before[1]))  # as if the disk were full
    told = variations(heard, 31, "continue", 1)
    resource.prlimit(writer, resource.RLIMIT_FSIZE, before)
    made = [each["ready"] for each in told]
    assert made == sorted(made, reverse=True)
    assert {each["code"] for each in told if not each["ready"]} == {"bad_file"}
    assert "make room" in str(told[-1]["why"])
    assert not list((exports.parent / "takes").glob("*.part"))


def test_those_that_are_not_made_when_the_preset_changes_are_told(heard: Player) -> None:
    heard.send("continue", 1, "seconds", LONG_SECONDS, "seed", 4, "variations", 32)
    variations(heard, 1, "continue", 1)
    heard.wait_for("finished", "continue", 1)
    heard.send("load", OTHER)
    heard.wait_for("done", "load")
    told = variations(heard, 31, "continue", 1)
    assert (told[0]["ready"], told[-1]["ready"]) == (1, 0)
    assert {each["code"] for each in told if not each["ready"]} == {"refused"}
    assert "plays now" in str(told[-1]["why"])

    heard.send("take/play", 2, "take", number_of(told[0]))
    heard.wait_for("started", "take/play", 2)
    heard.send("load", PRESET)  # which goes on from what is played, and leaves its file alone
    heard.wait_for("handed", "take/play", 2)
    assert heard.wait_for("finished", "take/play", 2)
    assert soundfile.info(str(told[0]["file"])).duration == LONG_SECONDS


def test_takes_that_are_made_anew_by_another_preset_have_alternatives_by_it(heard: Player) -> None:
    """Unlike the one that sounds, whose rest is another take's."""
    heard.send("continue", 1, "seconds", 2 * LONG_SECONDS, "seed", 4, "variations", 20)
    variations(heard, 1, "continue", 1)
    heard.send("continue", 2, "seconds", 0.5, "seed", 4, "variations", 3)
    heard.send("sync", 1)
    heard.wait_for("synced", 1)
    heard.send("load", OTHER)
    handed = pairs(heard.wait_for("handed", "continue", 1))
    last = variations(heard, 19, "continue", 1)[-1]
    assert (last["ready"], last["code"], last["variation_of"]) == (0, "refused", handed["take"])
    behind = pairs(heard.wait_for("finished", "continue", 2))
    for each in variations(heard, 2, "continue", 2):
        assert (each["ready"], each["variation_of"]) == (1, behind["take"])
        assert read_take(Path(str(each["file"])).with_suffix(".json")).origin.preset == OTHER
    heard.send("load", PRESET)
    heard.wait_for("done", "load")


def test_too_many_are_refused_and_panic_drops_all(heard: Player) -> None:
    far = "at_bar", bar_of(heard) + 200
    for number in range(4):
        heard.send("continue", number, "seconds", 1.0, "variations", 32, *far)
        heard.wait_for("done", "continue", number)
    heard.send("continue", 5, "variations", 32, *far)
    failed = heard.wait_for("fail", "continue", 5)
    assert (failed[2], "cancel some" in str(failed[3])) == ("busy", True)
    heard.send("panic")
    heard.wait_for("done", "panic")
    for number in range(4):
        assert {each["code"] for each in variations(heard, 31, "continue", number)} == {"cancelled"}


def test_a_daemon_that_stops_says_so_of_each_that_is_not_made(tmp_path: Path) -> None:
    with live_daemon(tmp_path, preset=PRESET, allowed=(tmp_path,)) as daemon, client(daemon) as player:
        wait_ready(player)
        prime(player, tmp_path).send("continue", 1, "seconds", LONG_SECONDS, "seed", 4, "variations", 32)
        variations(player, 1, "continue", 1)
        daemon.stop()
        told = variations(player, 31, "continue", 1)
        made = [soundfile.info(str(each["file"])).duration for each in told if each["ready"]]
        assert made == [LONG_SECONDS] * len(made)
        assert {(each["code"], each["why"]) for each in told if not each["ready"]} == {
            ("cancelled", "the daemon is stopping")
        }
