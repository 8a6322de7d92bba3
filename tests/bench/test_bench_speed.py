"""A whole measurement of a preset; its figures themselves are the machine's."""

from __future__ import annotations

import json
import math
import tomllib
from contextlib import closing
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from tiny_bench import COMMON, COMPILED_ONLY, PRESET, multiply_adds_of_chunk, numbers

from melnet_music.bench.against_reference import compare
from melnet_music.bench.fresh_start import measure_start
from melnet_music.bench.material import Material
from melnet_music.bench.products import STACKS
from melnet_music.bench.report import report
from melnet_music.bench.speed import STAGES, Speed, measure_speed, thread_counts
from melnet_music.bench.takes import ChunkStream
from melnet_music.model.config import ModelConfig, parse_preset_config
from melnet_music.model.preset import PHRASE_FILE, find_preset, load_preset
from melnet_music.sampling import ENGINES
from melnet_music.sampling.engine import generate
from melnet_music.sound.audio_file import read_audio
from melnet_music.sound.mel import LogMelStream

MAY_BE_ZERO = {"load_average", "share_of_bins_apart"}


@pytest.fixture(scope="module", params=["cpu", "cpu-bf16", "reference"])
def speed(request: pytest.FixtureRequest, folder: Path) -> Speed:
    begun: list[str] = []
    repeats = 1 if request.param == "reference" else 2  # it is slow
    measured = measure_speed(load_preset(folder), request.param, repeats=repeats, begin=begun.append)
    assert begun == list(STAGES)
    return measured


def test_every_figure_is_there_and_is_a_positive_number(speed: Speed) -> None:
    values = json.loads(json.dumps(speed.as_json()))
    wanted = COMMON if speed.engine == "reference" else COMMON | COMPILED_ONLY
    assert values.keys() - {"load_average"} == wanted
    for name, number in numbers(values):
        assert math.isfinite(number), name
        assert number > 0 or (name in MAY_BE_ZERO and number == 0), name


def test_figures_that_hang_on_threads_come_by_their_number(speed: Speed) -> None:
    values = speed.as_json()
    counts = ["1"] if speed.engine == "reference" else [str(count) for count in thread_counts(max(speed.threads, 2))]
    for name in ("real_time_factor", "real_time_factor_with_vocoder", "cpu_s_per_s_of_sound", "first_chunk_by_threads"):
        assert list(values[name]) == counts
    assert values["priming_factor"] == values["priming_factor_by_threads"][str(speed.threads)]
    assert values["first_chunk_ms"] == values["first_chunk_by_threads"][str(speed.threads)]["median_ms"]


def test_tiers_and_stacks_add_up(speed: Speed) -> None:
    values = speed.as_json()
    frames_per_second = 22050 / 512
    assert [tier["tier"] for tier in values["tiers"]] == [1, 2]
    assert sum(tier["bins_per_second_of_sound"] for tier in values["tiers"]) == pytest.approx(8 * frames_per_second)
    assert list(values["microseconds_per_bin"]) == ["112", "2000"]
    assert values["growth"] == values["microseconds_per_bin"]["2000"] / values["microseconds_per_bin"]["112"]
    for tier in values["tiers"]:
        seconds = tier["microseconds_per_bin"] * 1e-6 * tier["bins_per_second_of_sound"]
        assert tier["real_time_factor"] == pytest.approx(1 / seconds)
        if speed.engine != "reference":
            assert sum(tier["microseconds_per_bin_by_stack"].values()) == pytest.approx(tier["microseconds_per_bin"])
            assert list(tier["microseconds_per_bin_by_stack"]) == list(STACKS)


def test_the_floor_adds_up(speed: Speed) -> None:
    floor = speed.one_thread.floor
    if speed.engine == "reference":
        assert floor is None
        return
    assert floor
    config = load_preset_config()
    counted = [sum(multiply_adds_of_chunk(config, tier, 8, 16).values()) for tier in (0, 1)]
    assert floor.million_multiply_adds * 1e6 == pytest.approx(sum(counted))
    assert sum(floor.floor_ms_by_stack.values()) == pytest.approx(floor.floor_ms)
    assert sum(floor.kernels_ms_by_stack.values()) == pytest.approx(floor.kernels_ms)
    assert speed.as_json()["floor_fraction"] == floor.floor_ms / floor.sampling_ms
    assert floor.peak_fraction * floor.peak_billion_multiply_adds_per_second == pytest.approx(
        floor.billion_multiply_adds_per_second
    )


def load_preset_config() -> ModelConfig:
    return parse_preset_config(tomllib.loads(PRESET), "tiny").model


def test_the_difference_is_that_of_the_arithmetic(speed: Speed) -> None:
    against = speed.against_reference
    if speed.engine == "reference":
        assert against is None
        return
    assert against
    if speed.engine == "cpu":
        assert against.max_difference_of_frames <= 1e-5
        assert against.max_difference_of_primed_state <= 1e-5
        assert against.share_of_bins_apart == 0
    else:  # weights of 8 bits of mantissa
        assert 1e-5 < against.max_difference_of_primed_state < 0.1
        assert against.median_difference_of_frames < 0.1


def test_the_report_has_a_line_for_everything(speed: Speed) -> None:
    lines = report(speed).splitlines()
    assert all(len(line) <= 160 for line in lines)
    text = "\n".join(lines)
    for rate in speed.rates.values():
        assert f"{rate.sampling:.2f}" in text
    for tier in speed.one_thread.tiers:
        assert f"{tier.tier}: {tier.bins_per_second_of_sound:.0f} bins a second" in text
    assert ("floor / all" in text) == ("times slower" in text) == (speed.engine != "reference")


def test_the_reference_does_not_differ_from_itself(folder: Path) -> None:
    preset = load_preset(folder)
    engine, other = (ENGINES["reference"](preset, 1) for _ in range(2))
    against = compare(engine, other, Material(preset), chunks=1)
    assert against.max_difference_of_frames == against.max_difference_of_primed_state == 0


def test_a_stream_gives_the_chunks_of_the_take(folder: Path) -> None:
    """What is timed is the take, chunk after chunk."""
    material = Material(load_preset(folder))
    engine = ENGINES["cpu"](material.preset, 2)
    with closing(engine), closing(ChunkStream(engine, engine.init_state(), material.take())) as stream:
        state = engine.init_state()
        for chunk in islice(material.take(), 5):
            wanted = generate(engine, state, chunk)
            np.testing.assert_array_equal(stream.next().frames, wanted.frames)
            state = wanted.state


def test_what_was_heard_is_the_presets_phrase_again_and_again() -> None:
    material = Material(load_preset("piano"))
    rate = material.preset.config.sound.sample_rate_hz
    assert len(material.heard) == len(read_audio(find_preset("piano") / PHRASE_FILE).mono_at(rate))
    frames = material.heard_frames(500)
    assert frames.shape == (1, 500 * material.chunk_frames, material.preset.mel_bins)
    period = len(LogMelStream(material.preset.config.sound).push(material.heard))
    np.testing.assert_array_equal(frames[0, :100], frames[0, period : period + 100])


def test_a_fresh_process_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="no preset"):
        measure_start(str(tmp_path), "cpu", 1, {})


def test_a_fresh_process_gets_what_is_added_to_the_environment(folder: Path, tmp_path: Path) -> None:
    """A cold start is one that finds nothing where compiled code is kept."""
    unoptimised = {"NUMBA_OPT": "0"}  # compiled sooner
    start = measure_start(str(folder), "reference", None, {"NUMBA_CACHE_DIR": str(tmp_path)} | unoptimised)
    assert 0 < start.imported_s < start.loaded_s <= start.sounded_s
    assert list(tmp_path.rglob("*.nbi"))
