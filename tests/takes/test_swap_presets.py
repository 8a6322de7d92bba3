"""A take of one real model goes on with another one's: what is heard is both files, joined in phase on the line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from jack_rig import RATE_HZ, Capture, jack_server
from live_daemon import Player, client, end_all, live_daemon, pairs, wait_ready
from numpy.typing import NDArray
from tiny_models import tiny_config, tiny_model

from bridge.cli.main import main
from bridge.player.settings import INSTRUMENT_FACTORY
from bridge.stage.daemon import Daemon
from bridge.takes.take_files import read_take
from melnet_music.instrument.joins import CROSSFADE_SECONDS
from melnet_music.model.preset import CONFIG_FILE, WEIGHTS_FILE, write_weights
from melnet_music.sound.resample import resample

HZ = 22050
MEL_BINS = 32
TAKE_SECONDS = 20.0
"""So long, for a busy machine: while a take is made, the load that it waits for has little time."""
BAR_SAMPLES = RATE_HZ
QUIET = -5.0
"""Mean of the log-mel frames: the sound stays far from full scale, and is not bent."""


def write_preset(folder: Path, hidden: int) -> str:
    folder.mkdir()
    (folder / CONFIG_FILE).write_text(f"""
title = "Tiny"
licence = "CC0-1.0"
[sound]
mel_bins = {MEL_BINS}
[model]
components = 3
splits = ["frequency"]
tiers = [{{ hidden = {hidden}, layers = 1 }}, {{ hidden = {hidden}, layers = 1 }}]
""")
    config = tiny_config(hidden=hidden, splits=("frequency",))
    model = tiny_model(config, mel_bins=MEL_BINS, dtype=torch.float32)
    model.mean = torch.full((MEL_BINS,), QUIET)
    write_weights(folder / WEIGHTS_FILE, model.state_dict())
    return str(folder)


@pytest.fixture(scope="module")
def presets(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    folder = tmp_path_factory.mktemp("presets")
    return write_preset(folder / "tiny8", 8), write_preset(folder / "tiny12", 12)


@pytest.fixture(scope="module")
def daemon(presets: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    takes = tmp_path_factory.mktemp("takes")
    with (
        jack_server(),
        live_daemon(takes, preset=presets[0], factory=INSTRUMENT_FACTORY, output="system") as running,
    ):
        yield running


@pytest.fixture
def player(daemon: Daemon, presets: tuple[str, str]) -> Iterator[Player]:
    """Of a daemon that plays the first preset, and has loaded both, in bars of a second."""
    with client(daemon) as one:
        wait_ready(one)
        for preset in reversed(presets):  # what a first load brings into memory is there from then on
            one.send("load", preset)
            one.wait_for("done", "load", seconds=60.0)
        one.send("set", "tempo", 240.0)
        one.wait_for("done", "set")
        one.heard.clear()
        yield one
        end_all(one)


def read(told: dict[str, object]) -> NDArray[np.float32]:
    samples, rate_hz = soundfile.read(str(told["file"]), dtype="float32")
    assert rate_hz == HZ
    return samples


def assert_rendered_again(told: dict[str, object], preset: str) -> None:
    take = Path(str(told["file"])).with_suffix(".json")
    assert main(["render", str(take), str(take.with_suffix(".again.wav")), "--preset", preset]) == 0
    again, _ = soundfile.read(take.with_suffix(".again.wav"), dtype="float32")
    np.testing.assert_array_equal(again[: len(read(told))], read(told))


def test_what_is_heard_is_both_takes_joined_in_phase_on_the_line(
    player: Player, presets: tuple[str, str], tmp_path: Path
) -> None:
    old_preset, new_preset = presets
    capture = Capture(tmp_path)
    capture.wait_until_ready()
    player.send("generate", 1, "seconds", TAKE_SECONDS, "seed", 3, "quantise", "bar")
    begun = pairs(player.wait_for("started", "generate", 1, seconds=60.0))
    player.send("load", new_preset, "quantise", "bar")
    player.wait_for("done", "load", seconds=60.0)
    handed = pairs(player.wait_for("handed", "generate", 1, seconds=60.0))
    finished = pairs(player.wait_for("finished", "generate", 1, seconds=60.0))
    captured = capture.stop()
    assert (handed["gaps"], finished["gaps"], finished["follows"]) == (0, 0, handed["take"])
    old, new = read(handed), read(finished)
    line = (int(str(handed["bar"])) - int(str(begun["bar"]))) * BAR_SAMPLES
    assert len(old) == line * HZ // RATE_HZ
    lead = round(read_take(Path(str(finished["file"])).with_suffix(".json")).job.lead_seconds * HZ)
    assert len(old) + len(new) - lead == round(TAKE_SECONDS * HZ)

    heard_old, heard_new = resample(old, HZ, RATE_HZ), resample(new, HZ, RATE_HZ)
    begin = int(np.flatnonzero(captured)[0]) - int(np.flatnonzero(heard_old)[0])
    heard = captured[begin:]
    fade = round(CROSSFADE_SECONDS * RATE_HZ)
    np.testing.assert_array_equal(heard[: line - 2 * fade], heard_old[: line - 2 * fade])
    join = (len(old) - lead) * RATE_HZ // HZ
    np.testing.assert_allclose(heard[line - fade : join + len(heard_new)], heard_new[line - fade - join :], atol=1e-6)
    np.testing.assert_allclose(
        heard[: line - fade], heard_old[: line - fade], atol=1e-4
    )  # resampled, both ring at their ends
    steps = np.abs(np.diff(heard[: join + len(heard_new)]))
    assert steps[line - 2 * fade : line + fade].max() <= np.delete(steps, slice(line - 2 * fade, line + fade)).max()

    assert_rendered_again(handed, old_preset)
    assert_rendered_again(finished, new_preset)
    assert np.abs(old).max() > 1e-3
    assert np.abs(new[lead:]).max() > 1e-3


def test_a_take_that_follows_keys_goes_on_following_them(player: Player, presets: tuple[str, str]) -> None:
    old_preset, new_preset = presets
    player.send("note", 60, 90)
    player.send("generate", 1, "seconds", TAKE_SECONDS, "follow", "rest", "quantise", "bar")
    player.wait_for("started", "generate", 1, seconds=60.0)
    player.send("load", new_preset, "quantise", "bar")
    handed = pairs(player.wait_for("handed", "generate", 1, seconds=60.0))
    player.wait_for("started", "load", seconds=60.0)
    player.send("note", 60, 0)
    player.send("note", 67, 90)
    finished = pairs(player.wait_for("finished", "generate", 1, seconds=60.0))
    assert finished["follows"] == handed["take"]
    keys = [[note[2] for note in read_take(Path(str(told["file"])).with_suffix(".json")).job.notes or ()]
            for told in (handed, finished)]  # fmt: skip
    assert keys == [[60], [60, 67]]
    assert_rendered_again(handed, old_preset)
    assert_rendered_again(finished, new_preset)
