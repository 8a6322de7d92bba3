"""Takes that lie on the tape, listed, made anew, continued and exported, with a real device that is played into."""

from __future__ import annotations

import json
import resource
from pathlib import Path

import numpy as np
import pytest
import soundfile
from bars import BAR_SAMPLES, RATE_HZ, TEMPO, bar_of, record_bars, wait_for_bar
from jack_rig import Capture, generator
from live_daemon import Player, pairs, process_id
from scripted_instrument import COUNT_STEP, ScriptedInstrument, counted

from bridge.stage.daemon import Daemon
from bridge.tape.edit_history import FADE_SECONDS
from melnet_music.notes.midi_file import read_midi_notes
from melnet_music.sound.mel import log_mel
from melnet_music.sound.resample import resample

FADE = round(FADE_SECONDS * RATE_HZ)


@pytest.fixture
def repainted(player: Player) -> int:
    """A tape with its second bar repainted; returns the first."""
    first = record_bars(player, 2)
    player.send("inpaint", 1, "from_bar", first + 1, "to_bar", first + 1, "seed", 5)
    player.wait_for("finished", "inpaint", 1)
    return first


def test_takes_are_listed_rerolled_recalled_and_exported(player: Player, repainted: int, exports: Path) -> None:
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
    latest = listed[-2:]
    assert [(take["take"], take["seed"], take["on_tape"]) for take in latest] == [
        (first_take["take"], 5, False),
        (second["take"], 6, True),
    ]
    assert {(take["from_bar"], take["to_bar"]) for take in latest} == {(repainted + 1, repainted + 1)}
    player.send("take/recall", int(str(first_take["take"])))
    assert pairs(player.wait_for("done", "take/recall"))["edits"] == 2
    before = set(exports.iterdir())
    player.send("take/export", int(str(second["take"])), "kept.wav")
    player.wait_for("done", "take/export")
    kept, original = (soundfile.read(path)[0] for path in (exports / "kept.wav", str(second["file"])))
    np.testing.assert_array_equal(kept, original)
    assert sorted(path.suffix for path in set(exports.iterdir()) - before) == [".json", ".safetensors", ".wav"]
    player.send("take/export", int(str(second["take"])), "kept.wav")
    assert player.wait_for("fail", "take/export")[2] == "bad_file"


def test_input_is_laid_as_much_later_as_is_asked_for(player: Player, daemon: Daemon) -> None:
    begin = daemon._tape.span[1]
    player.send("listen/start")
    player.wait_for("done", "listen/start")
    with generator():
        wait_for_bar(player, bar_of(player) + 2)
        player.send("set/input_offset", 400.0)
        player.wait_for("done", "set/input_offset")
        wait_for_bar(player, bar_of(player) + 2)
    player.send("listen/stop")
    player.wait_for("done", "listen/stop")
    player.send("set/input_offset", 0.0)
    player.wait_for("done", "set/input_offset")
    heard = daemon._tape.read(begin, daemon._tape.span[1], ("heard",))
    counts = heard[np.flatnonzero(heard)] / COUNT_STEP
    np.testing.assert_array_equal(np.diff(counts), 1.0)  # nothing that came in is lost
    silence = np.diff(np.flatnonzero(heard)).max()
    assert silence == pytest.approx(0.4 * RATE_HZ, abs=0.05 * RATE_HZ)  # both places are found but for jitter


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="limits another process's files, which only Linux can")
def test_bars_of_the_tape_are_exported_with_their_frames(
    player: Player, repainted: int, daemon: Daemon, exports: Path
) -> None:
    take = pairs(next(m.values for m in player.heard if m.address == "/melnet/finished"))
    player.send("tape/export", repainted, repainted + 1, "bars.wav")
    done = pairs(player.wait_for("done", "tape/export"))
    assert (done["seconds"], done["file"]) == (2.0, str(exports / "bars.wav"))
    assert sorted(path.name for path in exports.glob("bars.*")) == ["bars.json", "bars.npz", "bars.wav"]
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
