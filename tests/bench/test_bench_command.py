"""`melnet-music bench`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tiny_bench import COMMON, COMPILED_ONLY

from bridge.cli import subcommand
from bridge.cli.main import main
from melnet_music.model.config import read_preset_config
from melnet_music.model.preset import CONFIG_FILE
from melnet_music.sampling import AUTO, CARD_ENGINES, DEFAULT_ENGINE


def test_bench_prints_one_object(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (subcommand.DEFAULT_ENGINE, subcommand.SAME_EVERYWHERE) == (AUTO, DEFAULT_ENGINE)
    assert main(["bench", "--preset", str(folder), "--threads", "1", "--repeats", "1", "--json"]) == 0
    printed = capsys.readouterr()
    speed = json.loads(printed.out)
    assert speed.keys() - {"load_average"} == COMMON | COMPILED_ONLY
    assert speed["engine"] in (DEFAULT_ENGINE, *CARD_ENGINES)
    assert list(speed["real_time_factor"]) == ["1"]
    assert list(speed["microseconds_per_bin"]) == ["112", "2000"]  # whole chunks of 16 frames
    sound = read_preset_config(folder / CONFIG_FILE).sound
    bins = sum(tier["bins_per_second_of_sound"] for tier in speed["tiers"])
    assert bins == pytest.approx(sound.mel_bins * sound.frames_per_second)
    assert printed.err == ""


def test_bench_prints_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    chosen = ["--cells", "gru", "--hidden", "16", "--mel-bins", "8", "--layers", "1-1-1-1-1", "--engines", "cpu"]
    assert main(["bench", "--table", *chosen]) == 0
    heads, _, row = capsys.readouterr().out.splitlines()
    assert "cpu, 2 threads" in heads
    assert row.startswith("| gru | 16 | 1-1-1-1-1 | 8 |")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--engine", "gpu"], "no engine 'gpu'; there are: cpu, cpu-bf16, reference"),
        (["--repeats", "0"], "repeats is 0, want 1 or more"),
        (["--threads", "0"], "threads is 0, want 1 or more"),
        (["--preset", "nowhere"], "no preset 'nowhere'"),
        (["--table", "--hidden", "0"], "hidden: input should be greater than 0, got 0"),
        (["--table", "--layers", "2-1"], "4 splits make 5 tiers, but 2 are given"),
        (["--table", "--mel-bins", "127"], "mel_bins 127 must be a multiple of 4"),
        (["--table", "--engines", "gpu"], "no engine 'gpu'"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", *arguments]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--layers", "two"], ["--layers", "2,1"], ["--cells", "rnn"], ["--hidden", "h"]])
def test_values_of_another_kind_are_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["bench", "--table", *arguments])
    assert exit_.value.code == 2
    assert f"argument {arguments[0]}: invalid" in capsys.readouterr().err
