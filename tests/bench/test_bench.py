"""What bench counts, and how it measures; the figures themselves are the machine's."""

from __future__ import annotations

import json
import math
import tomllib
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file
from tiny_models import tiny_config

from bridge.cli.main import main
from bridge.cli.subcommand import DEFAULT_ENGINE as ENGINE_OF_THE_COMMAND_LINE
from melnet_music.bench import table, turns
from melnet_music.bench.against_reference import compare
from melnet_music.bench.floor import floor_jobs, floor_seconds
from melnet_music.bench.fresh_start import measure_start
from melnet_music.bench.material import Material
from melnet_music.bench.memory import peak_memory_mib
from melnet_music.bench.products import STACKS, Product, Products, multiply_adds, products_of_chunk
from melnet_music.bench.report import report
from melnet_music.bench.speed import STAGES, Speed, measure_speed, thread_counts
from melnet_music.bench.takes import ChunkStream
from melnet_music.bench.turns import Spent, in_turn, median, timed_beyond, timed_often
from melnet_music.model.conditioning import channel_count
from melnet_music.model.config import VALUE_LIMIT, CellName, ModelConfig, parse_preset_config, read_preset_config
from melnet_music.model.parameters import parameter_shapes
from melnet_music.model.preset import CONFIG_FILE, PHRASE_FILE, WEIGHTS_FILE, find_preset, load_preset
from melnet_music.model.tiers import tier_grids
from melnet_music.sampling import DEFAULT_ENGINE, ENGINES
from melnet_music.sampling.cpu import recurrence, tier_kernels, workspace
from melnet_music.sampling.cpu.packed_tier import PackedTier, pack_tier
from melnet_music.sampling.cpu.workspace import Workspace
from melnet_music.sampling.engine import TierSharpness, generate
from melnet_music.sound.audio_file import read_audio
from melnet_music.sound.mel import LogMelStream

# ---- the list of products ----

MODELS = {
    "one tier": tiny_config(hidden=9),
    "nothing extracted": tiny_config(hidden=9, layers=2, future_conditioning=False, note_conditioning=False),
    "two layers": tiny_config(cell="gru", hidden=20, layers=2, centralized_hidden=20, splits=("time", "frequency")),
    "three layers": tiny_config(cell="lstm", hidden=16, layers=3, centralized_hidden=40, splits=("frequency",)),
    "minGRU": tiny_config(cell="mingru", hidden=18, layers=3, centralized_hidden=9, splits=("frequency", "time")),
    "many components": tiny_config(cell="gru", hidden=4, components=11),
}
models = pytest.mark.parametrize("config", MODELS.values(), ids=MODELS.keys())


def random_weights(config: ModelConfig, mel_bins: int) -> dict[str, Any]:
    random = np.random.default_rng(0)
    shapes = parameter_shapes(config, mel_bins).items()
    weights = {name: (0.2 * random.standard_normal(shape)).astype(np.float32) for name, shape in shapes}
    return {**weights, "mean": np.zeros(mel_bins, np.float32), "deviation": np.ones(mel_bins, np.float32)}


def packed_tiers(config: ModelConfig, mel_bins: int) -> list[PackedTier]:
    weights = random_weights(config, mel_bins)
    grids = tier_grids(config, mel_bins)
    return [pack_tier(weights, config, g, grid.bins, bfloat16=False) for g, grid in enumerate(grids)]


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Products:
    """The tier's kernels, run by the interpreter, with products that only count."""
    found = Products()

    def product(weights: Any, at: int, panels: int, k: int, arena: Any, x: int, ldx: int, start: int, lds: int,
                y: int, ldy: int, rows: int) -> None:  # fmt: skip
        found[Product(rows, k, panels, fine=weights is counting["fine"])] += 1

    def short_product(weights: Any, at: int, panels: int, k: int, arena: Any, x: int, start: int, y: int) -> None:
        found[Product(1, k, panels, fine=weights is counting["fine"], chained=True)] += 1

    def nothing(*arguments: Any) -> float:
        return 0.0

    counting: dict[str, Any] = {}

    def run_tier(p: Any, rnns: Any, fine: Any, *rest: Any) -> None:
        counting["fine"] = fine
        tier_kernels.run_tier(p, rnns, fine, *rest)

    for module in (tier_kernels, recurrence):
        for name, value in list(vars(module).items()):
            if hasattr(value, "py_func"):
                monkeypatch.setattr(module, name, value.py_func)
        for name, stand_in in {"product": product, "short_product": short_product}.items():
            monkeypatch.setattr(module, name, stand_in, raising=False)
        for name in ("apart", "meet", "apply_gates", "_draw_value"):
            monkeypatch.setattr(module, name, nothing, raising=False)
    monkeypatch.setattr(workspace, "run_tier", run_tier)
    return found


@models
@pytest.mark.parametrize(("mel_bins", "frames"), [(8, 4), (104, 4), (4, 200)])
def test_the_products_listed_are_those_that_the_kernels_do(
    config: ModelConfig, mel_bins: int, frames: int, counted: Products
) -> None:
    for packed, grid in zip(packed_tiers(config, mel_bins), tier_grids(config, mel_bins), strict=True):
        length = frames // grid.stride_frames
        listed = products_of_chunk(packed, length)
        here = Workspace(packed, length, priming=False, threads=1)
        here.give(np.zeros((length, grid.bins, packed.channels), np.float32))
        counted.clear()
        here.extract(length)
        assert counted == listed["extractor"]
        counted.clear()
        here.draw(0, length, TierSharpness(), 0.0, True)
        assert counted == listed["past"] + listed["frequency_delayed"]
        counted.clear()
        here.give(
            np.zeros((length, grid.bins, packed.channels), np.float32),
            (np.zeros((length, grid.bins), np.float32), np.True_),
        )
        here.draw(0, length, TierSharpness(), 0.0, True)
        assert counted == listed["past"]


def up(size: int, step: int = 16) -> int:
    return -(-size // step) * step


def multiply_adds_of_chunk(config: ModelConfig, tier: int, mel_bins: int, frames: int) -> dict[str, int]:
    """From the model's own sizes: a bin goes through so many matrices in each stack."""
    shape, grid = config.tiers[tier], tier_grids(config, mel_bins)[tier]
    gates, state = {"mingru": (2, 0), "gru": (3, 1), "lstm": (4, 1)}[config.cell]
    hidden, width, layers = up(shape.hidden), up(shape.centralized_hidden), shape.layers
    channels, mixture = channel_count(config, tier), up(3 * config.components)
    length = frames // grid.stride_frames
    recurrent = state * hidden * gates * hidden
    extractor = 4 * (channels * gates * hidden + recurrent) + 4 * hidden * hidden if channels else 0
    past = hidden + layers * (3 * (hidden * gates * hidden + recurrent) + 3 * hidden * hidden)
    own_projection = width * hidden * (shape.centralized_hidden != shape.hidden)
    central = grid.bins * width + layers * ((1 + state) * gates * width * width + own_projection)
    read = up(1 + (1 if layers == 1 else 2) * hidden, 4)
    later = (layers - 1) * (hidden * gates * hidden + (layers > 2) * hidden * hidden)
    frequency_delayed = layers * hidden * gates * hidden + hidden * mixture
    frequency_delayed += layers * gates * hidden + later + layers * recurrent + read * mixture
    return {
        "extractor": length * grid.bins * extractor,
        "past": length * (grid.bins * past + (central if width else 0)),
        "frequency_delayed": length * grid.bins * frequency_delayed,
    }


@models
@pytest.mark.parametrize(("mel_bins", "frames"), [(8, 4), (200, 8), (64, 400)])
def test_their_multiply_adds_are_those_of_the_model(config: ModelConfig, mel_bins: int, frames: int) -> None:
    for tier, packed in enumerate(packed_tiers(config, mel_bins)):
        listed = products_of_chunk(packed, frames // tier_grids(config, mel_bins)[tier].stride_frames)
        found = {stack: multiply_adds(products) for stack, products in listed.items()}
        assert found == multiply_adds_of_chunk(config, tier, mel_bins, frames)


def test_the_floor_is_the_sum_of_the_products_times() -> None:
    sizes = [Product(6, 20, 2, fine=False), Product(1, 1, 4, fine=True), Product(1, 36, 2, fine=True, chained=True)]
    spent = {size: Spent(cpu_s=seconds, wall_s=0.0) for size, seconds in zip(sizes, (1.0, 10.0, 100.0), strict=True)}
    assert floor_seconds(Counter({sizes[0]: 3, sizes[2]: 2}), spent) == 203.0
    assert floor_seconds(Counter(), spent) == 0


@pytest.mark.parametrize("bfloat16", [False, True])
def test_the_time_of_a_product_is_that_of_one(bfloat16: bool) -> None:
    """However often it is done to be measured: a thousand times the work takes longer."""
    small, large = Product(1, 4, 1, fine=False), Product(48, 400, 8, fine=False)
    chained = Product(1, 64, 2, fine=True, chained=True)
    jobs = floor_jobs({small, large, chained}, bfloat16=bfloat16)
    assert jobs.keys() == {small, large, chained}
    spent = in_turn(jobs, rounds=3)
    assert 0 < spent[small].cpu_s < spent[large].cpu_s
    assert 0 < spent[chained].cpu_s < spent[large].cpu_s


# ---- measuring ----


def test_jobs_take_turns_and_the_first_round_does_not_count() -> None:
    order: list[str] = []
    walls = {"a": iter([100.0, 3.0, 1.0, 2.0]), "b": iter([0.0, 6.0, 4.0, 5.0])}

    def job(name: str) -> Spent:
        order.append(name)
        wall = next(walls[name])
        return Spent(10 - wall, wall)

    spent = in_turn({"a": lambda: job("a"), "b": lambda: job("b")}, rounds=3)
    assert order == ["a", "b"] * 4
    assert spent == {"a": Spent(8.0, 2.0), "b": Spent(5.0, 5.0)}


def test_all_rounds_count_if_none_is_to_warm_up() -> None:
    walls = iter([1.0, 5.0, 2.0])
    assert in_turn({0: lambda: Spent(0.0, next(walls))}, rounds=3, warm_up=False) == {0: Spent(0.0, 2.0)}


def test_the_median_is_of_each_clock_on_its_own() -> None:
    assert median([Spent(1.0, 30.0), Spent(2.0, 10.0), Spent(3.0, 20.0)]) == Spent(2.0, 20.0)
    assert Spent(6.0, 9.0).each(3) == Spent(2.0, 3.0)


class Clock:
    """Both clocks of `turns`; time passes when work says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now

    def process_time(self) -> float:
        return self.now / 2

    def work(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(turns, "time", clock)
    return clock


def test_short_work_is_done_often_and_its_time_is_that_of_one(clock: Clock) -> None:
    seconds = iter([0.25, 0.5, 0.75, 1.0])
    assert timed_often(lambda: clock.work(next(seconds)), at_least_s=1.0) == Spent(0.25, 0.5)
    assert timed_often(lambda: clock.work(next(seconds)), at_least_s=0.0) == Spent(0.5, 1.0)


def test_work_beyond_a_part_of_it_is_their_difference(clock: Clock) -> None:
    whole, part = iter([3.0, 5.0]), iter([1.0, 2.0])
    spent = timed_beyond(lambda: clock.work(next(whole)), lambda: clock.work(next(part)), at_least_s=6.0)
    assert spent == Spent(1.25, 2.5)


@pytest.mark.parametrize(("most", "counts"), [(1, [1]), (2, [1, 2]), (3, [1, 2, 3]), (8, [1, 2, 4, 8])])
def test_threads_are_doubled_up_to_the_most(most: int, counts: list[int]) -> None:
    assert thread_counts(most) == counts


def test_the_most_memory_held_is_at_least_what_is_held() -> None:
    before = peak_memory_mib()
    held = np.ones((64, 2**20 // 8))
    assert peak_memory_mib() >= before
    assert peak_memory_mib() > held.nbytes / 2**20


# ---- a whole measurement ----

PRESET = """
title = "Tiny"
licence = "CC0-1.0"
sound = { mel_bins = 8 }
sampling = { chunk_frames = 16, bias = 0.5 }

[model]
cell = "gru"
components = 3
splits = ["time"]
tiers = [{ hidden = 20, layers = 2, centralized_hidden = 8 }, { hidden = 8, layers = 1 }]
"""
COMMON = {
    "preset", "digest", "engine", "threads", "processors", "chunk_frames", "chunk_ms", "real_time_factor",
    "real_time_factor_with_vocoder", "cpu_s_per_s_of_sound", "cores_at_hand", "priming_factor",
    "priming_factor_by_threads", "first_chunk_ms", "first_chunk_worst_ms", "first_chunk_by_threads",
    "microseconds_per_bin", "growth", "tiers", "peak_memory_mib", "warm_start_s", "warm_start",
}  # fmt: skip
COMPILED_ONLY = {
    "floor_fraction", "floor", "speedup_over_reference", "max_difference_from_reference", "against_reference",
}  # fmt: skip
MAY_BE_ZERO = {"load_average", "share_of_bins_apart"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("presets") / "tiny"
    folder.mkdir()
    (folder / CONFIG_FILE).write_text(PRESET)
    config = read_preset_config(folder / CONFIG_FILE)
    save_file(random_weights(config.model, config.sound.mel_bins), folder / WEIGHTS_FILE)
    return folder


@pytest.fixture(scope="module", params=["cpu", "cpu-bf16", "reference"])
def speed(request: pytest.FixtureRequest, folder: Path) -> Speed:
    begun: list[str] = []
    measured = measure_speed(load_preset(folder), request.param, repeats=3, begin=begun.append)
    assert begun == list(STAGES)
    return measured


def numbers(value: Any, name: str = "") -> Iterator[tuple[str, float]]:
    """All numbers in plain values, by the innermost name."""
    if isinstance(value, dict):
        for key, inside in value.items():
            yield from numbers(inside, key)
    elif isinstance(value, list):
        for inside in value:
            yield from numbers(inside, name)
    elif isinstance(value, int | float):
        yield name, value


def test_the_command_tells_cost_by_tier_and_by_time_played(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--preset", str(folder), "--repeats", "1", "--json"]) == 0
    speed = json.loads(capsys.readouterr().out)
    assert set(speed["microseconds_per_bin"]) == {"112", "2000"}  # whole chunks of 16 frames
    sound = read_preset_config(folder / CONFIG_FILE).sound
    bins = sum(tier["bins_per_second_of_sound"] for tier in speed["tiers"])
    assert bins == pytest.approx(sound.mel_bins * sound.frames_per_second)


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
    start = measure_start(str(folder), "reference", None, {"NUMBA_CACHE_DIR": str(tmp_path)})
    assert 0 < start.imported_s < start.loaded_s <= start.sounded_s
    assert list(tmp_path.rglob("*.nbi"))


# ---- the table ----

SMALL = table.Size("mingru", 16, (2, 1, 1, 1, 1), 8)


def test_the_table_is_all_combinations() -> None:
    assert len(table.sizes()) == len(set(table.sizes())) == 2 * 4 * 2 * 2
    assert table.sizes(["gru"], [16, 32], [(1, 1, 1, 1, 1)], [8]) == [
        table.Size("gru", 16, (1, 1, 1, 1, 1), 8),
        table.Size("gru", 32, (1, 1, 1, 1, 1), 8),
    ]


@pytest.mark.parametrize("cell", ["gru", "mingru", "lstm"])
def test_a_random_preset_is_whole_and_what_it_draws_stays_small(cell: CellName) -> None:
    preset = table.random_preset(table.Size(cell, 48, (3, 2, 2, 1, 1), 32))
    wanted = parameter_shapes(preset.config.model, 32)
    assert {name: array.shape for name, array in preset.weights.items()} == wanted
    assert all(array.dtype == np.float32 for array in preset.weights.values())
    first, *others = preset.config.model.tiers
    assert first.centralized_hidden == 48
    assert all(tier.hidden == 48 and not tier.centralized_hidden for tier in others)
    engine = ENGINES["cpu"](preset, 1)
    material = Material(preset)
    with closing(engine), closing(ChunkStream(engine, engine.init_state(), material.take())) as stream:
        frames = np.concatenate([stream.next().frames for _ in range(20)], axis=1)
    assert 0 < np.abs(frames).max() < VALUE_LIMIT / 2
    assert not np.array_equal(frames[:, -8:], frames[:, -16:-8])


def test_a_row_has_a_figure_for_every_engine_and_number_of_threads() -> None:
    row = table.measure_row(SMALL)
    assert row.parameters == sum(math.prod(shape) for shape in parameter_shapes(small_config(), 8).values())
    assert {name: list(factors) for name, factors in row.real_time_factor.items()} == {
        "cpu": ["1", "2"],
        "cpu-bf16": ["1", "2"],
    }
    assert all(math.isfinite(number) and number > 0 for _, number in numbers(asdict(row)["real_time_factor"]))
    lines = table.markdown([row, row]).splitlines()
    assert len(lines) == 4
    assert len({line.count("|") for line in lines}) == 1
    assert lines[2].startswith("| mingru | 16 | 2-1-1-1-1 | 8 | ")


def small_config() -> ModelConfig:
    return table.random_preset(SMALL).config.model


# ---- the command ----


def test_bench_prints_one_object(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--preset", str(folder), "--threads", "1", "--repeats", "1", "--json"]) == 0
    printed = capsys.readouterr()
    speed = json.loads(printed.out)
    assert speed.keys() - {"load_average"} == COMMON | COMPILED_ONLY
    assert speed["engine"] == DEFAULT_ENGINE == ENGINE_OF_THE_COMMAND_LINE
    assert list(speed["real_time_factor"]) == ["1"]
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
