"""A card that fails while a take sounds: the take goes on, whole and without a gap, and who asked is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from failing_card import FACTORY, FATAL_TEMPERATURE, GOOD_CHUNKS
from jack_rig import jack_server
from live_daemon import Player, client, live_daemon, wait_ready

from melnet_music.instrument.instrument import Instrument
from melnet_music.instrument.take_request import TakeRequest

SECONDS = 4.0
AHEAD_BARS = 2
"""Of two seconds each."""


@pytest.fixture
def player(tmp_path: Path, narrow_piano: Path) -> Iterator[Player]:
    with (
        jack_server(),
        live_daemon(
            tmp_path / "takes", preset=str(narrow_piano), factory=FACTORY, allowed=(tmp_path,), output="system"
        ) as daemon,
        client(daemon) as one,
    ):
        wait_ready(one)
        yield one


def test_a_take_whose_card_fails_goes_on_without_a_gap(player: Player, narrow_piano: Path) -> None:
    instrument = Instrument.load(narrow_piano, engine="cpu")
    assert 2 * GOOD_CHUNKS * instrument.chunk_seconds < SECONDS
    asked = ("seconds", SECONDS, "seed", 3, "temperature", FATAL_TEMPERATURE)
    # from a line on, so that a busy machine can be ahead of the sound
    bar = int(str(player.ask("transport")["bar"])) + AHEAD_BARS
    finished = player.run_job("generate", 1, *asked, "at_bar", bar, "late", "next")
    assert (finished["sounded"], finished["gaps"], finished["missing_samples"]) == (True, 0, 0)
    warnings = [message.values for message in player.heard if message.address == "/melnet/warning"]
    assert warnings == [["generate", 1, "engine cpu failed (the card failed: it is not there any more); cpu goes on"]]
    assert player.ask("status")["engine_why"] == warnings[0][2]
    whole = np.concatenate(
        list(instrument.generation(TakeRequest(seconds=SECONDS, seed=3, temperature=FATAL_TEMPERATURE)))
    )
    np.testing.assert_array_equal(soundfile.read(str(finished["file"]), dtype="float32")[0], whole)
    again = player.run_job("generate", 2, *asked)
    assert again["sounded"] == 1
    assert len([message for message in player.heard if message.address == "/melnet/warning"]) == 1
