"""Whether a take is what its files say, and stays so.

A continuation and a repainting are exported and rendered from the exported files in a fresh process: samples that
differ. Then bars of a loop that sounds are repainted, made anew, the changes undone and redone, each heard for a
whole pass: what the loop plays, recorded from the device, against the WAV files of the takes.
"""

from __future__ import annotations

import itertools
import json
import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import soundfile
from bars import bar_of, record_bars, start_loop, wait_for_bar
from jack_rig import RATE_HZ, Capture, jack_server
from live_daemon import Player, client, pairs

from bridge.tape.edit_history import FADE_SECONDS
from bridge.tape.session_tape import edit_of
from tests.figures.support.heard import Samples, places_of
from tests.figures.support.music_file import PHRASE, bars_of_phrase
from tests.figures.support.program import run
from tests.figures.support.served_daemon import DEVICE, PATIENCE_SECONDS, served

_LOG = logging.getLogger(__name__)

TEMPO = 240
BAR_SAMPLES = 4 * 60 * RATE_HZ // TEMPO
LOOP_BARS = 4
SPAN = 2 * BAR_SAMPLES
FADE = round(FADE_SECONDS * RATE_HZ)
_PASS_SECONDS = LOOP_BARS * BAR_SAMPLES / RATE_HZ


def measure(folder: Path, *, times: int) -> dict[str, object]:
    """Args:
    times: how often a take is made anew, undone and redone.
    """
    exports = folder / "exports"
    exports.mkdir()
    phrase, _ = bars_of_phrase(folder, BAR_SAMPLES)
    with (
        jack_server(),
        served(folder / "takes", "--audio-out", DEVICE, "--audio-in", DEVICE, "--allow-folder", str(exports),
               allowed=PHRASE.parent) as daemon,
        client(daemon) as player,
    ):  # fmt: skip
        player.send("set", "tempo", TEMPO)
        player.wait_for("done", "set")
        first = record_bars(player, LOOP_BARS, phrase)
        rendered = {
            "continue": _rendered(player, exports, "continue", 1, "seconds", 8.0),
            "inpaint": _rendered(player, exports, "inpaint", 2, "from_bar", first, "to_bar", first),
        }
        _undo(player)
        start_loop(player, first, first + LOOP_BARS - 1)
        capture = Capture(folder, most_seconds=(3 * times + 4) * 3 * _PASS_SECONDS)
        capture.wait_until_ready()
        takes = [_heard_take(player, "inpaint", 3, "from_bar", first + 1, "to_bar", first + 2)]
        takes += [_heard_take(player, "take/reroll", 4 + n) for n in range(times)]
        for step in ("undo", "redo"):
            for _ in range(times):
                player.send(f"take/{step}")
                _wait_for_pass(player, pairs(player.wait_for("done", f"take/{step}")))
        underruns = player.ask("status")["underruns"]
        captured = capture.stop()
    files = [json.loads(take.with_suffix(".json").read_text()) for take in takes]
    sounds = [_on_tape(take, file["lead_seconds"]) for take, file in zip(takes, files, strict=True)]
    wanted = [*range(times + 1), *reversed(range(times)), *range(1, times + 1)]
    return {
        "rendered": rendered,
        "changes": len(wanted),
        "underruns": underruns,
        "seeds": [file["seed"] for file in files],
        **_passes(captured, sounds, wanted),
        **daemon.logged,
    }


def _rendered(player: Player, exports: Path, name: str, number: int, *values: str | float) -> dict[str, object]:
    """A take, exported, and made again from what was exported."""
    finished = player.run_job(name, number, *values, seconds=PATIENCE_SECONDS)
    player.send("take/export", int(str(finished["take"])), f"{name}.wav")
    player.wait_for("done", "take/export")
    again = exports / f"{name}-again.wav"
    subprocess.run(
        [sys.executable, "-m", "bridge.cli", "render", str(exports / f"{name}.json"), str(again)],
        check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    (one, _), (other, _) = (soundfile.read(path, dtype="float32") for path in (Path(str(finished["file"])), again))
    _LOG.info("%s: rendered again", name)
    return {"samples": len(one), "samples_that_differ": int((one != other).sum()) if len(one) == len(other) else -1}


def _undo(player: Player) -> None:
    player.send("take/undo")
    player.wait_for("done", "take/undo")


def _heard_take(player: Player, name: str, number: int, *values: str | float) -> Path:
    """The file of a take on the tape that was heard for a whole pass."""
    finished = player.run_job(name, number, *values, seconds=PATIENCE_SECONDS)
    _LOG.info("%s %d: seed %s", name, number, finished["seed"])
    _wait_for_pass(player, finished)
    return Path(str(finished["file"]))


def _wait_for_pass(player: Player, told: dict[str, object]) -> None:
    wait_for_bar(player, max(int(str(told["bar"])), bar_of(player)) + LOOP_BARS)


def _on_tape(take: Path, margin_seconds: float) -> Samples:
    """What its file has of the bars, but for the fades at both ends."""
    audio, rate_hz = soundfile.read(take, dtype="float32")
    return edit_of(0, audio, rate_hz, margin_seconds, (0, SPAN), RATE_HZ).samples[FADE : SPAN - FADE]


def _passes(captured: Samples, sounds: list[Samples], wanted: list[int]) -> dict[str, object]:
    """Which takes were heard, one after the other, and whether what lies between them stayed as it was."""
    length = LOOP_BARS * BAR_SAMPLES
    heard = sorted((place, take) for take, sound in enumerate(sounds) for place in places_of(sound, captured))
    order = [take for take, _ in itertools.groupby(take for _, take in heard)]
    # Of every pass: what lies after the repainted bars, up to where they begin again.
    others = [captured[place + SPAN - FADE : place + length - FADE] for place, _ in heard]
    others = [each for each in others if len(each) == length - SPAN]
    return {
        "takes_heard_in_the_order_that_was_asked_for": order == wanted,
        "passes_that_are_a_takes_file_bit_for_bit": len(heard),
        "whole_passes_apart": sorted({(b - a) % length for (a, _), (b, _) in itertools.pairwise(heard)}),
        "passes_whose_other_bars_changed": sum(not np.array_equal(each, others[0]) for each in others),
    }


if __name__ == "__main__":
    run(measure, times=10)
