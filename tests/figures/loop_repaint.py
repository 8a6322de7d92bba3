"""Two of eight bars, repainted in a loop that sounds: what of the others changes, and whether the edges can be told.

A piece of piano music is played to the daemon's input, eight bars of it are looped at 120 bpm, bars 3 and 4 repainted
and made anew, all recorded from the device. Every edge is measured as in `melnet_music.evaluation.gap_edges`, and
placed among the same measure at random places of the recording.
"""

from __future__ import annotations

import itertools
import logging
from pathlib import Path

import numpy as np
from bars import bar_of, record_bars, start_loop, wait_for_bar
from jack_rig import RATE_HZ, Capture, jack_server
from live_daemon import Player, client
from numpy.typing import NDArray

from tests.figures.support.heard import Samples
from tests.figures.support.music_file import composed_piece
from tests.figures.support.program import run
from tests.figures.support.served_daemon import DEVICE, PATIENCE_SECONDS, served

_LOG = logging.getLogger(__name__)

BAR_SAMPLES = 2 * RATE_HZ
BARS = 8
LOOP_SAMPLES = BARS * BAR_SAMPLES
FROM_BAR, TO_BAR = 3, 4
EDGES = {"entering": (FROM_BAR - 1) * BAR_SAMPLES, "leaving": TO_BAR * BAR_SAMPLES}
_NATURAL_PLACES = 500


def measure(folder: Path, *, takes: int) -> dict[str, object]:
    """Args:
    takes: how many the bars are repainted with.
    """
    piece = composed_piece(folder)
    with (
        jack_server(),
        served(folder / "takes", "--audio-out", DEVICE, "--audio-in", DEVICE) as daemon,
        client(daemon) as player,
    ):
        first = record_bars(player, BARS, piece)
        capture = Capture(folder, most_seconds=(takes + 2) * 3 * LOOP_SAMPLES / RATE_HZ)
        capture.wait_until_ready()
        start_loop(player, first, first + BARS - 1)
        wait_for_bar(player, bar_of(player) + 2 * BARS)
        _heard(player, "inpaint", 1, "from_bar", first + FROM_BAR - 1, "to_bar", first + TO_BAR - 1)
        for number in range(2, takes + 1):
            _heard(player, "take/reroll", number)
        wait_for_bar(player, bar_of(player) + 1)
        underruns = player.ask("status")["underruns"]
        captured = capture.stop()
    passes = _passes(captured)
    own = passes[0]
    repainted = [each for before, each in itertools.pairwise(passes) if not np.array_equal(each, before)]
    return {
        "underruns": underruns,
        "passes": len(passes),
        "repainted_passes_of_different_sound": len(repainted),
        "samples_of_other_bars_that_changed": sum(int((_others(each) != _others(own)).sum()) for each in repainted),
        "samples_of_repainted_bars_that_are_the_recordings": [
            int((_inside(each) == _inside(own)).sum()) for each in repainted
        ],
        "edges": _edges(own, repainted),
        **daemon.logged,
    }


def _heard(player: Player, name: str, number: int, *values: str | float) -> None:
    """Make a take and let the loop play it once."""
    finished = player.run_job(name, number, *values, seconds=PATIENCE_SECONDS)
    _LOG.info("%s %d: seed %s, heard from bar %s on", name, number, finished["seed"], finished["bar"])
    wait_for_bar(player, int(str(finished["bar"])) + BARS)


def _passes(captured: Samples) -> list[Samples]:
    """Whole passes, but for the first, which is faded in."""
    begin = int(np.flatnonzero(captured)[0]) - 1
    return [
        captured[place : place + LOOP_SAMPLES]
        for place in range(begin + LOOP_SAMPLES, len(captured) - LOOP_SAMPLES, LOOP_SAMPLES)
    ]


def _inside(each: Samples) -> Samples:
    return each[EDGES["entering"] : EDGES["leaving"]]


def _others(each: Samples) -> Samples:
    return np.concatenate([each[: EDGES["entering"]], each[EDGES["leaving"] :]])


def _edges(own: Samples, repainted: list[Samples]) -> dict[str, object]:
    from melnet_music.evaluation.gap_edges import MEASURES, ranks  # brings librosa along

    random = np.random.default_rng(1)
    natural = _measures(own, list(random.integers(RATE_HZ, LOOP_SAMPLES - RATE_HZ, _NATURAL_PLACES)))
    figures: dict[str, object] = {}
    for edge, place in EDGES.items():
        found = np.concatenate([_measures(each, [place]) for each in repainted])
        untouched = _measures(own, [place])[0]
        for n, (name, what) in enumerate(MEASURES.items()):
            ranked = ranks(found[:, n], natural[:, n])
            figures[f"{edge}: {name}"] = {
                "what": what,
                "least_median_most": [float(v) for v in np.percentile(found[:, n], [0, 50, 100])],
                "natural_5_50_95_99": [float(v) for v in np.percentile(natural[:, n], [5, 50, 95, 99])],
                "the_recording_there": float(untouched[n]),
                "ranks_5_25_50_75_95": ranked.percentiles,
                "share_above_natural_95": ranked.above_95,
            }
    return figures


def _measures(audio: Samples, places: list[int]) -> NDArray[np.float64]:
    """`edge_measures` of each place, float64[places, measures]."""
    from melnet_music.evaluation.gap_edges import edge_measures

    return np.array([edge_measures(audio, place, RATE_HZ) for place in places])


if __name__ == "__main__":
    run(measure, takes=10)
