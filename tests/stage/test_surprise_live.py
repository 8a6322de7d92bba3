"""The meter of surprise in a whole daemon: told to subscribers, and a trigger of takes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from live_daemon import Player, client, live_daemon, wait_ready

from bridge.player.settings import INSTRUMENT_FACTORY
from melnet_music.model.preset import PHRASE_FILE

QUIET_SECONDS, LOUD_SECONDS = 3.0, 1.0
CHUNK_SECONDS = 8 * 768 / 44100


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("surprise").resolve()
    rng, rate_hz = np.random.default_rng(0), 44100
    loud = np.append(np.zeros(round(QUIET_SECONDS * rate_hz)), 0.3 * rng.standard_normal(round(LOUD_SECONDS * rate_hz)))
    soundfile.write(folder / "burst.wav", loud, rate_hz)
    return folder


@pytest.fixture
def player(folder: Path, narrow_piano: Path) -> Iterator[Player]:
    preset, allowed = str(narrow_piano), (narrow_piano, folder)
    with (
        live_daemon(folder / "takes", preset=preset, factory=INSTRUMENT_FACTORY, allowed=allowed) as daemon,
        client(daemon) as one,
    ):
        wait_ready(one)
        one.send("subscribe")
        one.wait_for("done", "subscribe")
        yield one


def surprises(player: Player) -> list[float]:
    """Over the usual, as subscribers were told."""
    events = [message.values for message in player.heard if message.address == "/melnet/event"]
    return [float(str(values[4])) for values in events if values[0] == "surprise"]


def set_to(player: Player, name: str, value: str | float) -> None:
    player.send("set", name, value)
    player.wait_for("done", "set", -1, name)


def test_what_is_heard_is_judged_and_a_rise_triggers_a_take(player: Player) -> None:
    player.send("prime/file", PHRASE_FILE, "seconds", 2.0)
    player.wait_for("done", "prime/file")
    assert not surprises(player)  # it is off
    for name, value in (("surprise", "on"), ("on_surprise", "rise"), ("seconds", 0.5)):
        set_to(player, name, value)
    set_to(player, "surprise_threshold", 0.2)
    player.send("prime/file", "burst.wav")
    player.wait_for("done", "prime/file")
    finished = player.wait_for("event", "finished", "surprise:0", "continue", 1)
    assert finished
    told = surprises(player)
    assert max(told) > 0.2
    levels = [
        float(str(message.values[2]))
        for message in player.heard
        if message.address == "/melnet/event" and message.values[:2] == ["property", "surprise_level"]
    ]
    assert max(levels) == pytest.approx(min(max(told), 2.0))
    player.send("set", "surprise_level", 1.0)
    assert player.wait_for("fail", "set")[2] == "refused"
    heard = len(told)
    assert heard == int((QUIET_SECONDS + LOUD_SECONDS) / CHUNK_SECONDS)
    set_to(player, "surprise", "off")
    player.send("prime/file", "burst.wav")
    player.wait_for("done", "prime/file")
    assert len(surprises(player)) == heard
