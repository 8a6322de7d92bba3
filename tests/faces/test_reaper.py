"""The REAPER script in a real Lua, with a made-up REAPER around it, and its helper against a daemon."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from live_daemon import Player

from bridge.protocol.parse import parse
from bridge.stage.daemon import Daemon

FACE = Path(__file__).parent.parent.parent / "faces" / "reaper"


def lua(script: str, *arguments: str) -> str:
    program = next((name for name in ("lua5.4", "lua") if shutil.which(name)), None)
    if program is None:
        pytest.skip("Lua is missing: apt-get install lua5.4 (or `make setup`)")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(FACE.parent / "python"), *sys.path])}
    ran = subprocess.run(
        [program, "-", *arguments],
        input=script,
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


def pure(expression: str) -> str:
    return lua(f"local pure = dofile('{FACE / 'melnet_pure.lua'}')\nprint({expression})")


@pytest.mark.parametrize(
    ("ends", "bars"),
    [
        ("0, 0, 4, 1, 0", "1\t1"),  # the first bar exactly
        ("4, 0, 4, 8, 0", "5\t8"),
        ("4, 1.5, 4, 5, 0.5", "5\t6"),  # parts of bars: the whole bars
        ("4, 3.9999, 4, 6, 0.0001", "6\t6"),  # a hair's breadth off the lines
        ("4, 1, 4, 4, 2", "5\t5"),
        ("2, 2.9999, 3, 3, 0", "nil\tselect at least a part of a bar"),
        ("-1, 0, 4, 2, 0", "nil\tthe selection begins before bar 1"),
    ],
)
def test_a_time_selection_is_bars(ends: str, bars: str) -> None:
    assert pure(f"pure.bars_of({ends})") == bars


@pytest.mark.parametrize("text", ["plain", "it's", "two words", '$HOME `x` \\ "y"', "ü"])
def test_arguments_reach_a_program_as_they_are(text: str) -> None:
    line = lua(f"local pure = dofile('{FACE / 'melnet_pure.lua'}')\nprint(pure.quoted(arg[1]))", text)
    assert subprocess.run(["sh", "-c", f"printf %s {line}"], capture_output=True, text=True, check=True).stdout == text


def test_answers_are_read_once_they_are_over() -> None:
    assert pure("pure.answers_of('begun\\nfinished\\tfile\\t/a b.wav\\n')") == "nil"
    over = "pure.answers_of('begun\\nfinished\\tfile\\t/a b.wav\\nfinished\\ttake\\t3\\nfinished\\tseed\\t7\\nover\\n')"
    assert pure(f"pure.outcome({over})") == "/a b.wav\tMelNet take 3, seed 7"
    failed = "pure.answers_of('fail\\tcode\\trefused\\nfail\\tmessage\\tnothing was heard\\nover\\n')"
    assert pure(f"pure.outcome({failed})") == "nil\tnothing was heard (refused)"


REAPER = """
local log, deferred, states = {}, nil, {python = arg[1], port = arg[2]}
local function said(...)
  log[#log + 1] = table.concat({...}, " ")
end
local fake = {
  GetOS = function() return "Other" end,
  GetExtState = function(_, name) return states[name] or "" end,
  ShowMessageBox = function(text) said("box", text) end,
  GetSet_LoopTimeRange = function() return 2, 6 end, -- at 120 bpm in 4/4: bars 2 and 3
  TimeMap2_timeToBeats = function(_, seconds) return (seconds * 2) % 4, math.floor(seconds / 2), 4 end,
  TimeMap2_beatsToTime = function(_, beats, bar) return bar * 2 + beats / 2 end,
  time_precise = os.clock,
  CountTracks = function() return 3 end,
  GetTrack = function(_, index) return "track " .. index end,
  GetSetMediaTrackInfo_String = function(track, key, name) said(track, key, name) end,
  AddMediaItemToTrack = function() return "item" end,
  AddTakeToMediaItem = function() return "take" end,
  PCM_Source_CreateFromFile = function(file) said("file", file) return "source" end,
  GetMediaSourceLength = function() return 4.0, false end,
  SetMediaItemInfo_Value = function(_, key, value) said(key, value) end,
  defer = function(look) deferred = look end,
}
local execute = os.execute
os.execute = function(line) -- of the script; ours waits
  said("sent", line:match("'inpaint'[^>&]*"))
  return execute((line:gsub("'inpaint'[^>&]*", "INSTEAD ")))
end
reaper = setmetatable(fake, {__index = function(_, name) return function() end end})
dofile(arg[3])
while deferred do
  local look = deferred
  deferred = nil
  execute("sleep 0.05")
  look()
end
for _, line in ipairs(log) do
  print(line)
end
"""


def run_script(port: int, *, instead: str = "%0") -> list[str]:
    """What the script did. ``instead``: the command that is sent in place of its own."""
    script = REAPER.replace("INSTEAD", instead)
    return lua(script, sys.executable, str(port), str(FACE / "melnet_repaint.lua")).splitlines()


def test_a_take_is_imported_on_a_new_track_at_its_bars(daemon: Daemon, player: Player) -> None:
    """Another job's take, for a tape needs a sound device."""
    sent, track, file, place, length = run_script(daemon.address[1], instead="'generate' 'seconds' 0.25 'seed' 7")
    assert sent == "sent 'inpaint' 'from_bar' '2' 'to_bar' '3' "
    assert re.fullmatch(r"track 3 P_NAME MelNet take \d+, seed 7", track)
    assert Path(file.removeprefix("file ")).is_file()
    assert (place, length) == ("D_POSITION 2.0", "D_LENGTH 4.0")  # bar 2 at 120 bpm


def test_what_the_daemon_refuses_is_told_in_a_box(daemon: Daemon, player: Player) -> None:
    _, told = run_script(daemon.address[1])
    assert told == "box there is no sound device, and so no tape (refused)"


def test_no_daemon_is_told_in_a_box() -> None:
    _, told = run_script(9)
    assert told.startswith("box nothing listens at 127.0.0.1:9: start the daemon")


def job(tmp_path: Path, port: int, *words: str) -> dict[str, dict[str, str]]:
    answers = tmp_path / "answers"
    subprocess.run(
        [sys.executable, str(FACE / "melnet_job.py"), "127.0.0.1", str(port), str(answers), *words],
        env={**os.environ, "PYTHONPATH": str(FACE.parent / "python")},
        timeout=60,
        check=False,
    )
    *lines, over = answers.read_text().splitlines()
    assert over == "over"
    told: dict[str, dict[str, str]] = {}
    for answer, name, value in (line.split("\t") for line in lines[1:]):
        told.setdefault(answer, {})[name] = value
    return told


def test_the_helper_makes_takes_and_passes_on_refusals(daemon: Daemon, player: Player, tmp_path: Path) -> None:
    port = daemon.address[1]
    told = job(tmp_path, port, "generate", "seconds", "0.25", "seed", "7")
    assert (told["done"]["seconds"], told["finished"]["seed"]) == ("0.25", "7")
    assert Path(told["finished"]["file"]).is_file()
    assert job(tmp_path, port, "set", "tempo", "97") == {"done": {"tempo": "97.0"}}
    assert job(tmp_path, port, "set", "tempo", "120") == {"done": {"tempo": "120.0"}}
    assert job(tmp_path, port, "generate", "secnds", "1")["fail"]["code"] == "unknown_key"


def test_the_pattern_file_sends_properties() -> None:
    """Each pattern is of a type that the property takes: ``n`` is 0 to 1, ``f`` the value itself."""
    lines = (FACE / "MelNet.ReaperOSC").read_text(encoding="utf-8").splitlines()
    patterns = [line.split(maxsplit=1) for line in lines if line and not line.startswith("#")]
    counts = [value for name, value in patterns if name.startswith("DEVICE_")]
    assert set(counts) == {"0"}
    sent = {name: value for name, value in patterns if not name.startswith("DEVICE_")}
    assert set(sent) == {"TEMPO", "MASTER_VOLUME"}
    for pattern in sent.values():
        kind, address = pattern[0], pattern[1:]
        for value in {"n": (0.0, 1.0), "f": (40.0, 240.0)}[kind]:
            assert parse(address, [value]).command.sets
