"""Bars of the tape, looped, repainted, undone and made anew, with a real device that is played into."""

from __future__ import annotations

import json
import resource
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from bars import bar_of, record_bars, start_loop, wait_for_bar
from jack_rig import Capture, generator, jack_server
from live_daemon import Player, client, live_daemon, pairs, process_id, wait_ready
from numpy.typing import NDArray
from scripted_instrument import COUNT_STEP, SEED_DIES, ScriptedInstrument, counted

from bridge.audio.loop_player import FADE_SAMPLES
from bridge.stage.daemon import Daemon
from bridge.tape.edit_history import FADE_SECONDS
from melnet_music.notes.midi_file import read_midi_notes
from melnet_music.sound.mel import log_mel
from melnet_music.sound.resample import resample

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


def test_input_is_laid_as_much_later_as_is_asked_for(player: Player, daemon: Daemon) -> None:
    player.send("listen/start")
    player.wait_for("done", "listen/start")
    with generator():
        wait_for_bar(player, bar_of(player) + 2)
        player.send("set/input_offset", 400.0)
        player.wait_for("done", "set/input_offset")
        wait_for_bar(player, bar_of(player) + 2)
    player.send("listen/stop")
    player.wait_for("done", "listen/stop")
    heard = daemon._tape.read(*daemon._tape.span, ("heard",))
    counts = heard[np.flatnonzero(heard)] / COUNT_STEP
    np.testing.assert_array_equal(np.diff(counts), 1.0)  # nothing that came in is lost
    silence = np.diff(np.flatnonzero(heard)).max()
    assert silence == pytest.approx(0.4 * RATE_HZ, abs=0.05 * RATE_HZ)  # both places are found but for jitter


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
        ("set", ("meter", "3/4"), "4"),
        ("transport/locate", (1,), "4"),
    ):
        player.send(name, *values)
        (warning,) = warnings()
        assert warning.startswith(f"the loop keeps its length and its place: 2 s, now {bars} bars")
    player.send("loop/stop", "quantise", "beat")
    player.wait_for("done", "loop/stop")
    player.send("set", "tempo", TEMPO)
    assert warnings() == []


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="limits another process's files, which only Linux can")
def test_bars_of_the_tape_are_exported_with_their_frames(
    player: Player, repainted: int, daemon: Daemon, tmp_path: Path
) -> None:
    take = pairs(next(m.values for m in player.heard if m.address == "/melnet/finished"))
    exports = tmp_path / "exports"
    player.send("tape/export", repainted, repainted + 1, "bars.wav")
    done = pairs(player.wait_for("done", "tape/export"))
    assert (done["seconds"], done["file"]) == (2.0, str(exports / "bars.wav"))
    assert sorted(path.name for path in exports.iterdir()) == ["bars.json", "bars.npz", "bars.wav"]
    sound, rate_hz = soundfile.read(exports / "bars.wav", dtype="float32")
    assert (len(sound), rate_hz) == (2 * BAR_SAMPLES, RATE_HZ)
    np.testing.assert_allclose(np.diff(sound[:BAR_SAMPLES]), COUNT_STEP, atol=1e-9)  # what came in
    new = sound[BAR_SAMPLES + FADE : -FADE]
    np.testing.assert_allclose(new, counted(FADE, len(new)), atol=2e-6)
    about = json.loads((exports / "bars.json").read_text())
    assert about["bars"] == [
        {"bar": repainted + n, "first_sample": n * BAR_SAMPLES, "tempo_bpm": TEMPO, "meter": "4/4"} for n in (0, 1)
    ]
    assert about["takes"] == [
        {
            "take": take["take"],
            "first_sample": BAR_SAMPLES,
            "stop_sample": 2 * BAR_SAMPLES,
            "repainted": True,
            "file": take["file"],
        }
    ]
    frames = np.load(exports / "bars.npz")
    front_end = ScriptedInstrument("hz=48000").sound
    slow = resample(sound, RATE_HZ, front_end.sample_rate_hz)
    np.testing.assert_array_equal(frames["log_mel"], log_mel(slow, front_end))
    assert (frames["sample_rate_hz"], frames["hop_samples"]) == (front_end.sample_rate_hz, front_end.hop_samples)

    player.send("generate", 5, "bars", 2, "quantise", "bar")
    bar = int(str(pairs(player.wait_for("started", "generate", 5))["bar"]))
    player.wait_until(
        lambda message: message.address == "/melnet/progress" and float(str(pairs(message.values)["played"])) > 0.1,
        "progress with sound",
        20.0,
    )
    for velocity in (90, 0):
        player.send("note", 60, velocity)
    generated = pairs(player.wait_for("finished", "generate", 5))
    player.send("tape/export", bar, bar + 1, "played.wav")
    player.wait_for("done", "tape/export")
    assert [(note.pitch, note.velocity) for note in read_midi_notes(exports / "played.mid")] == [(60, 90)]
    (sounded,) = json.loads((exports / "played.json").read_text())["takes"]
    assert (sounded["take"], sounded["first_sample"], sounded["repainted"]) == (generated["take"], 0, False)
    np.testing.assert_array_equal(soundfile.read(exports / "played.wav", dtype="float32")[0], counted(0, 2 * RATE_HZ))

    player.send("tape/export", repainted, repainted, "bars.wav")
    assert player.wait_for("fail", "tape/export")[2] == "bad_file"
    writer = process_id(daemon, "player")
    before = resource.prlimit(writer, resource.RLIMIT_FSIZE)
    resource.prlimit(writer, resource.RLIMIT_FSIZE, (50_000, before[1]))  # as if the disk were full
    player.send("tape/export", repainted, repainted, "more.wav")
    failed = player.wait_for("fail", "tape/export")
    assert failed[2] == "bad_file"
    assert str(failed[3]).endswith("nothing is written")
    assert not list(exports.glob("*more*"))
    resource.prlimit(writer, resource.RLIMIT_FSIZE, before)
    player.send("tape/export", repainted, repainted, "more.wav")
    player.wait_for("done", "tape/export")


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
        ("tape/export", (500, 501, "x.wav"), "refused"),
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
