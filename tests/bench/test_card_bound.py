"""What `bench` tells of a card that is not there."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bridge.cli.main import main
from melnet_music.bench.card_bound import TAKES, card_bound
from melnet_music.model.config import read_preset_config
from melnet_music.model.preset import CONFIG_FILE, Preset, find_preset
from melnet_music.sampling.cuda import available


@pytest.fixture(autouse=True)
def no_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    monkeypatch.setattr(available, "_DEVICE_FILES", tmp_path)


def test_without_a_card_bench_counts_launches_and_bytes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--engine", "cuda", "--preset", "paper-maestro"]) == 0  # which has no weights
    text = capsys.readouterr().out
    assert text.startswith(f"nothing measured: {available.why_not()}\npreset paper-maestro, engine cuda, chunks of 2 ")
    assert "tier 4: 2 frames of 128 bins" in text
    assert "at best on an H200-class card (assumed: " in text


def test_its_json_holds_what_was_assumed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--engine", "cuda-bf16", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["engine"], told["chunk_frames"]) == ("cuda-bf16", 8)
    assert told["card"]["launch_us"] > 0
    assert [tier["frames"] for tier in told["tiers"]] == [1, 1, 2, 4, 4]
    assert told["bound_first_chunk_ms"].keys() == {str(takes) for takes in TAKES}


def test_a_bound_is_what_its_card_allows() -> None:
    config = read_preset_config(find_preset("piano") / CONFIG_FILE)
    bound, rounded = (card_bound("piano", config, engine, "") for engine in ("cuda", "cuda-bf16"))
    for wide, narrow in zip(bound.tiers, rounded.tiers, strict=True):
        assert wide.bytes_a_bin >= narrow.bytes_a_bin > 0
        assert wide.seconds(bound.card, 1) >= narrow.seconds(bound.card, 1)
        assert wide.seconds(bound.card, 133) > wide.seconds(bound.card, 132)  # more than one round of takes
    assert bound.real_time_factor(1) < rounded.real_time_factor(1)
    idle = replace(bound.card, launch_us=0.0, step_us=0.0, draw_us=0.0, memory_gb_s=1e12)
    first = bound.tiers[0]
    assert first.seconds(idle, 1) == pytest.approx(160 * first.bytes_a_bin / 100e9)


def test_auto_says_what_it_chose_and_measures_that(
    narrow_piano: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def measure(preset: Preset, engine: str, threads: int, **rest: object) -> None:
        raise ValueError(f"{engine} would be measured")

    monkeypatch.setattr("melnet_music.bench.speed.measure_speed", measure)
    assert main(["bench", "--engine", "auto", "--preset", str(narrow_piano), "--threads", "1"]) == 2
    printed = capsys.readouterr()
    assert printed.out == f"auto chose cpu-bf16: {available.why_not()}\n"
    assert "cpu-bf16 would be measured" in printed.err
