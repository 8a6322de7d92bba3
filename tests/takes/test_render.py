"""A take that the daemon made is made again from its files, to the sample."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import soundfile
from live_daemon import client, live_daemon, pairs, wait_ready
from numpy.typing import NDArray

from bridge.cli.main import main
from bridge.player.settings import INSTRUMENT_FACTORY
from bridge.takes.take_files import read_prompt, read_take
from bridge.takes.take_request import blocks_of, request_of
from melnet_music.instrument.instrument import Instrument
from melnet_music.instrument.take_request import TakeRequest
from melnet_music.model.preset import PHRASE_FILE


@pytest.fixture(scope="module")
def takes(tmp_path_factory: pytest.TempPathFactory, narrow_piano: Path) -> list[Path]:
    """The JSON files of a continuation, its reroll, a repainting and a generation by a daemon."""
    folder = tmp_path_factory.mktemp("takes")
    files = []
    with (
        live_daemon(folder, preset=str(narrow_piano), factory=INSTRUMENT_FACTORY, allowed=(narrow_piano,)) as daemon,
        client(daemon) as player,
    ):
        wait_ready(player)
        player.send("prime/file", PHRASE_FILE, "seconds", 5.0)
        player.wait_for("done", "prime/file")
        for number, (name, values) in enumerate(
            [
                ("continue", ["seconds", 1.0, "seed", 3, "lead", 0.5]),
                ("continue", ["seconds", 1.0, "seed", 4, "lead", 0.5, "temperature", 0.8]),
                ("inpaint", ["start", 2.0, "stop", 2.75, "seed", 3, "lead", 0.5, "tail", 0.25]),
                ("generate", ["seconds", 0.5]),
            ]
        ):
            finished = player.run_job(name, number, *values)
            files.append(Path(str(finished["file"])).with_suffix(".json"))
    return files


def test_in_a_fresh_process_the_samples_are_the_same(takes: list[Path], tmp_path: Path, narrow_piano: Path) -> None:
    again = ["render", str(takes[0]), str(tmp_path / "again.wav"), "--preset", str(narrow_piano)]
    result = subprocess.run(
        [sys.executable, "-m", "bridge.cli", *again],
        cwd=Path(__file__).parent.parent.parent, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    same(takes[0], tmp_path / "again.wav")


@pytest.mark.parametrize("number", [1, 2, 3])
def test_every_kind_of_take_is_made_again(takes: list[Path], tmp_path: Path, narrow_piano: Path, number: int) -> None:
    again = ["render", str(takes[number]), str(tmp_path / "again.wav"), "--preset", str(narrow_piano)]
    assert main([*again, "--threads", "1"]) == 0
    same(takes[number], tmp_path / "again.wav")


def test_a_take_older_than_the_choice_of_transforms_is_made_with_numpys(takes: list[Path], tmp_path: Path) -> None:
    how = json.loads(takes[0].read_text(encoding="utf-8"))
    assert how.pop("fourier") == "vectors" == read_take(takes[0]).origin.fourier
    (tmp_path / "old.json").write_text(json.dumps(how), encoding="utf-8")
    assert read_take(tmp_path / "old.json").origin.fourier == "numpy"


def same(take: Path, again: Path) -> None:
    first, second = (soundfile.read(path, dtype="float32") for path in (take.with_suffix(".wav"), again))
    assert first[1] == second[1]
    np.testing.assert_array_equal(first[0], second[0])
    assert np.abs(first[0]).max() > 1e-3


def test_a_take_that_was_cut_short_is_made_again_the_same_and_goes_on(tmp_path: Path, narrow_piano: Path) -> None:
    with (
        live_daemon(tmp_path, preset=str(narrow_piano), factory=INSTRUMENT_FACTORY, allowed=(narrow_piano,)) as daemon,
        client(daemon) as player,
    ):
        wait_ready(player)
        player.send("prime/file", PHRASE_FILE, "seconds", 5.0)
        player.wait_for("done", "prime/file")
        player.send("continue", 1, "seconds", 300.0, "lead", 0.5)
        while float(str(pairs(player.wait_for("progress", "continue", 1))["generated"])) < 1.5:
            pass
    (file,) = tmp_path.glob("*.json")
    kept, rate_hz = soundfile.read(file.with_suffix(".wav"), dtype="float32")
    assert rate_hz < len(kept) < 300 * rate_hz
    saved = read_take(file)
    assert saved.prompt is not None
    instrument = Instrument.load(narrow_piano)
    instrument.remember(read_prompt(file, saved.prompt))
    again: list[NDArray[np.float32]] = []
    with closing(blocks_of(instrument, request_of(saved.job, TakeRequest), saved.job)) as blocks:  # as render does
        while sum(map(len, again)) <= len(kept):
            again += [block for block in [next(blocks)] if len(block)]
    np.testing.assert_array_equal(np.concatenate(again)[: len(kept)], kept)


def test_takes_of_one_prompt_share_its_file(takes: list[Path]) -> None:
    first, reroll, repainted, generated = (json.loads(take.read_text()) for take in takes)
    assert first["prompt"] == reroll["prompt"] == repainted["prompt"]  # all that was heard is in each
    assert generated["prompt"] is None
    assert len(list(takes[0].parent.glob("*.prompt.safetensors"))) == 1


def test_what_is_no_whole_take_is_refused(
    takes: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    how = json.loads(takes[0].read_text())
    prompt = (takes[0].parent / how["prompt"]).read_bytes()
    take = tmp_path / "take.json"

    def refusal(text: str) -> str:
        take.write_text(text)
        assert main(["render", str(take), str(tmp_path / "out.wav")]) == 2
        return capsys.readouterr().err

    assert "cannot read the take's prompt" in refusal(json.dumps(how))
    (tmp_path / how["prompt"]).write_bytes(prompt[:-4] + b"\0\0\0\1")
    assert "is not what it was when the take was made" in refusal(json.dumps(how))
    (tmp_path / how["prompt"]).write_bytes(prompt[:100])
    assert "cannot read the take's prompt" in refusal(json.dumps(how))
    (tmp_path / how["prompt"]).write_bytes(prompt)
    assert "the take was made with 0123" in refusal(json.dumps({**how, "preset_digest": "0123"}))
    for text in ("", "[]", "{}", json.dumps({**how, "seconds": None} | {"kind": 3})[:-1], "\0"):
        assert "is not the JSON file of a take" in refusal(text)
    assert main(["render", str(tmp_path / "none.json"), str(tmp_path / "out.wav")]) == 2
    assert "cannot read" in capsys.readouterr().err
