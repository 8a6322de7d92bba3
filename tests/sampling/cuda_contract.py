"""The cuda engine in Triton's interpreter: `test_cuda_engine.py` runs this in a process of its own.

Triton reads TRITON_INTERPRET when its kernels are declared, for good: in the process of other tests it would leave them
no compiled ones. The interpreter takes a tenth of a second a bin, so that everything here is as small as it can be.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from sampled_takes import largest_difference, random, take
from test_cpu_engine import SHARPNESS, assert_same_bits, chunks_of
from tiny_models import tiny_config, tiny_preset
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from melnet_music.model.cells import CELLS
from melnet_music.model.conditioning import Conditioning
from melnet_music.model.config import CellName, ModelConfig, SamplingConfig
from melnet_music.model.scan import scan
from melnet_music.sampling import ENGINES
from melnet_music.sampling.cpu.engine import CpuEngine
from melnet_music.sampling.cuda import draw_kernel, scan_kernel
from melnet_music.sampling.cuda import tier as tier_at_work
from melnet_music.sampling.cuda.cost import chunk_cost, read_anew_bytes
from melnet_music.sampling.cuda.draw_kernel import FramesToDraw
from melnet_music.sampling.cuda.engine import CudaEngine
from melnet_music.sampling.cuda.scan_kernel import Direction, scan_lines
from melnet_music.sampling.cuda.take import upload_state
from melnet_music.sampling.engine import (
    Chunk,
    EngineFailedError,
    Forced,
    Noise,
    SamplerState,
    generate,
    state_arrays,
    state_from_arrays,
    take_noise,
)
from melnet_music.sampling.failover import FailoverEngine
from melnet_music.sampling.reference import ReferenceEngine

MOST_DIFFERENCE = 1e-6
"""Of a frame or a state from the reference's, both in float32; 3e-7 was the largest seen."""
REMEDY = "see that nvidia-smi works, or take --engine cpu-bf16"
FAILURE = "CUDA error: unspecified launch failure"
MOST_BFLOAT16_DIFFERENCE = 0.05
"""Of a frame, with the weights of the frequency-delayed stack rounded; 0.004 was the largest seen."""


def both(config: ModelConfig, mel_bins: int, **options: Any) -> tuple[CudaEngine, ReferenceEngine]:
    preset = tiny_preset(config, mel_bins)
    return CudaEngine(preset, **options), ReferenceEngine(preset.model())


def small() -> CudaEngine:
    return both(tiny_config(hidden=4, layers=1, splits=("time",)), 2)[0]


def test_it_is_interpreted() -> None:
    assert os.environ["TRITON_INTERPRET"] == "1"
    assert ENGINES["cuda"](tiny_preset(tiny_config(), 3), None).name == "cuda"


ONE: dict[str, Any] = {"hidden": 5, "layers": 1, "components": 1}
TWO: dict[str, Any] = {"hidden": 9, "layers": 2, "centralized_hidden": 6, "splits": ("time",)}
THREE: dict[str, Any] = {"hidden": 4, "layers": 3, "centralized_hidden": 4}
SHAPES: list[tuple[CellName, dict[str, Any], int]] = [
    ("mingru", ONE, 3), ("mingru", TWO, 2), ("mingru", THREE, 4), ("gru", ONE, 2), ("gru", TWO, 2), ("lstm", ONE, 2),
]  # fmt: skip
THE_PAPERS = {
    "hidden": 5, "layers": 2, "centralized_hidden": 5, "splits": ("frequency", "time"), "split_keeps": "first",
    "sigma": "exp", "bin_embedding": False, "future_conditioning": False, "note_conditioning": False,
    "chunked_lookahead": False,
}  # fmt: skip
cells = pytest.mark.parametrize("cell", CELLS)


def assert_the_references(ours: CudaEngine, reference: ReferenceEngine, mel_bins: int, lengths: list[int]) -> None:
    past = random(1, 4, mel_bins)
    primed, expected_primed = ours.prime(ours.init_state(), past, 2), reference.prime(reference.init_state(), past, 2)
    assert largest_difference(primed, expected_primed) <= MOST_DIFFERENCE
    frames, state = take(ours, primed, chunks_of(lengths, mel_bins))
    expected, expected_state = take(reference, expected_primed, chunks_of(lengths, mel_bins))
    assert np.abs(frames - expected).max() <= MOST_DIFFERENCE
    assert largest_difference(state, expected_state) <= MOST_DIFFERENCE


@pytest.mark.parametrize(("cell", "options", "mel_bins"), SHAPES)
def test_frames_and_states_are_the_references(cell: CellName, options: dict[str, Any], mel_bins: int) -> None:
    assert_the_references(*both(tiny_config(cell=cell, **options), mel_bins), mel_bins, [2])


def test_the_papers_configuration_is_the_references() -> None:
    assert_the_references(*both(tiny_config(cell="lstm", **THE_PAPERS), 4), 4, [2])


def test_sizes_beyond_a_tile_are_the_references(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draw_kernel, "_MOST_UNITS", 4)
    monkeypatch.setattr(draw_kernel, "_TILE", 16)
    assert_the_references(*both(tiny_config(cell="lstm", hidden=5, layers=3), 2), 2, [1])


def test_the_scan_is_the_recurrence_along_every_axis() -> None:
    directions: tuple[Direction, ...] = ("later", "earlier", "higher", "lower")
    for (B, T, F, H), chunk in (((2, 3, 2, 5), None), ((1, 5, 2, 65), 2)):
        generator = torch.Generator().manual_seed(1)
        raw = torch.randn(B, T, F, 8 * H, generator=generator)
        starts, state = torch.randn(4, H, generator=generator), torch.randn(B, F, H, generator=generator)
        states, after = scan_lines(raw, directions, starts, state, chunk)
        z, new = raw.view(B, T, F, 4, 2, H).unbind(4)
        z = torch.sigmoid(z)
        begins = [state, starts[1].expand(B, F, H), starts[2].expand(B, T, H), starts[3].expand(B, T, H)]
        cut = chunk or T
        expected = [
            scan(z[..., 0, :], new[..., 0, :], begins[0], 1),
            torch.cat(
                [
                    scan(z[:, at : at + cut, :, 1], new[:, at : at + cut, :, 1], begins[1], 1, True)
                    for at in range(0, T, cut)
                ],
                1,
            ),
            scan(z[..., 2, :], new[..., 2, :], begins[2], 2),
            scan(z[..., 3, :], new[..., 3, :], begins[3], 2, True),
        ]
        torch.testing.assert_close(states, torch.cat(expected, -1), rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(after, expected[0][:, -1], rtol=1e-5, atol=1e-6)


def test_with_the_scan_of_the_card_too() -> None:
    config = tiny_config(hidden=4, layers=1, centralized_hidden=3, splits=("time",))
    assert_the_references(*both(config, 2, kernels=True), 2, [2])


@cells
def test_with_notes_a_known_future_and_forced_frames_too(cell: CellName) -> None:
    config = tiny_config(cell=cell, hidden=4, layers=1, splits=("frequency", "time"))
    ours, reference = both(config, 4)
    mask = np.array([[0, 0, 0, 1]], np.float32)
    known = Conditioning(random(1, 4, 4, seed=7), mask, np.abs(random(1, 4, 4, 2, seed=8)))
    values = random(1, 4, 4, seed=9)
    forced = Forced(np.where(np.arange(4)[:, None] < 2, values, np.nan).astype(np.float32), np.arange(4) < 2)
    past, notes = random(1, 4, 4), Conditioning(None, None, known.notes)
    state, expected_state = (engine.prime(engine.init_state(), past, None, notes) for engine in (ours, reference))
    frames, state = take(ours, state, chunks_of([4], 4, known=known, forced=forced))
    expected, expected_state = take(
        reference, expected_state, chunks_of([4], 4, known=known, forced=Forced(values, forced.mask))
    )
    np.testing.assert_array_equal(frames[:, forced.mask], values[:, forced.mask])
    assert np.abs(frames - expected).max() <= MOST_DIFFERENCE
    assert largest_difference(state, expected_state) <= MOST_DIFFERENCE


def test_bfloat16_weights_stay_within_their_bound() -> None:
    ours, reference = both(tiny_config(hidden=9, layers=2, splits=("time",)), 3, bfloat16=True)
    assert ours.name == "cuda-bf16"
    past = random(1, 4, 3)
    state, expected_state = (engine.prime(engine.init_state(), past, 2) for engine in (ours, reference))
    assert largest_difference(state, expected_state) <= MOST_DIFFERENCE  # the stacks over the past keep their bits
    frames, expected = (take(engine, expected_state, chunks_of([2], 3))[0] for engine in (ours, reference))
    assert 0 < np.abs(frames - expected).max() <= MOST_BFLOAT16_DIFFERENCE


@cells
def test_what_it_did_not_expect_is_what_the_reference_did_not(cell: CellName) -> None:
    ours, reference = both(tiny_config(cell=cell, hidden=5, layers=2, splits=("time",)), 4)
    past, heard = random(1, 4, 4), random(1, 4, 4, seed=4)
    primed, expected = ours.prime(ours.init_state(), past, 4), reference.prime(reference.init_state(), past, 4)
    before = state_arrays(primed)
    for tiers in (1, 2):
        np.testing.assert_allclose(ours.nats(primed, heard, tiers), reference.nats(expected, heard, tiers), rtol=1e-5)
    np.testing.assert_equal(state_arrays(primed), before)
    with pytest.raises(ValueError, match="judged by 3 tiers, want 1 to 2"):
        ours.nats(primed, heard, 3)


# ---- what it costs ----


class Launches(TorchDispatchMode):
    """Counts what torch computes; views and room for results are no launches."""

    count = 0
    _NONE = ("view", "t.", "expand", "unsqueeze", "squeeze", "slice", "select", "empty", "reshape")

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = str(func).removeprefix("aten.").removeprefix("_unsafe_")
        self.count += not name.startswith(self._NONE)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    "options",
    [
        {"layers": 2, "centralized_hidden": 6},
        {"layers": 3, "centralized_hidden": 5, "bin_embedding": False, "splits": ("time",)},
        {"layers": 1, "future_conditioning": False, "note_conditioning": False},
    ],
)
def test_the_launches_of_a_frame_are_counted_from_the_shapes(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_config(hidden=5, **options)
    engine, _ = both(config, 4, kernels=True)
    counting = Launches()

    def scanned(raw: Tensor, directions: tuple[Direction, ...], *given: Any) -> tuple[Tensor, Tensor]:
        hidden = raw.shape[-1] // (2 * len(directions))
        return raw[..., : hidden * len(directions)].clone(), raw[:, -1, :, :hidden].clone()

    monkeypatch.setattr(scan_kernel, "scan_lines", _uncounted(counting, scanned))
    monkeypatch.setattr(tier_at_work, "draw_frame", lambda *given, **named: None)
    costs = chunk_cost(config, 4, 4, bfloat16=False)
    for tier, cost, state in zip(engine.tiers, costs, engine.init_state(), strict=True):
        counts = []
        for frames in (2, 3):
            shape = 1, frames, tier.network.bins
            grid = torch.zeros(shape)
            given = FramesToDraw(grid, grid, torch.zeros(frames, dtype=torch.int32), grid, torch.ones(1, 3))
            counting.count = 0
            with torch.inference_mode(), counting:
                tier.draw(torch.zeros(*shape, tier.network.channels), given, upload_state(state, 1, engine.device))
            counts.append(counting.count)
        assert counts[1] - counts[0] + 1 == cost.launches_a_frame  # the frame itself is drawn by one more


def _uncounted(counting: Launches, work: Callable[..., Any]) -> Callable[..., Any]:
    def run(*given: Any) -> Any:
        before = counting.count
        result = work(*given)
        counting.count = before + 1
        return result

    return run


@cells
@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("bfloat16", [False, True])
def test_the_bytes_of_a_bin_are_those_of_the_packed_weights(cell: CellName, layers: int, bfloat16: bool) -> None:
    config = tiny_config(cell=cell, hidden=5, layers=layers)
    packed = both(config, 3, bfloat16=bfloat16)[0].tiers[0].packed
    read = [part for part in packed.read_anew if part.numel() > packed.gates]  # the others are there for their place
    expected = sum(part.numel() * part.element_size() for part in read)
    assert read_anew_bytes(config, config.tiers[0], bfloat16=bfloat16) == expected


# ---- many takes ----


def rows(state: SamplerState, row: int) -> SamplerState:
    """One take's of a state."""
    only = slice(row, row + 1)
    return tuple(replace(tier.map(lambda part: part[:, only]), previous=tier.previous[only]) for tier in state)


def three_takes(mel_bins: int, frames: int) -> Noise:
    parts = [take_noise(seed, 0, frames, mel_bins) for seed in (1, 2, 3)]
    return Noise(*(np.concatenate(each) for each in zip(*parts, strict=True)))


def test_three_takes_together_are_three_alone() -> None:
    engine, _ = both(tiny_config(hidden=4, layers=1, centralized_hidden=3, splits=("time",)), 2)
    past, noise = random(3, 4, 2), three_takes(2, 2)
    state = engine.prime(engine.init_state(3), past, 2)
    each = SHARPNESS, replace(SHARPNESS, temperature=0.7, bias=0.1), replace(SHARPNESS, tilt=0.5)
    chunk = Chunk(noise, each[0], others=each[1:])
    together = generate(engine, state, chunk)
    assert together.frames.shape == (3, 2, 2)
    for row in range(3):
        alone = engine.prime(engine.init_state(), past[row : row + 1], 2)
        assert largest_difference(rows(state, row), alone) <= MOST_DIFFERENCE
        made = generate(engine, alone, Chunk(Noise(*(part[row : row + 1] for part in noise)), each[row]))
        assert np.abs(made.frames - together.frames[row : row + 1]).max() <= MOST_DIFFERENCE
        assert largest_difference(rows(together.state, row), made.state) <= MOST_DIFFERENCE
    from_one = generate(engine, rows(state, 1), chunk)  # three takes of one past
    assert np.abs(from_one.frames[1] - together.frames[1]).max() <= MOST_DIFFERENCE
    assert largest_difference(rows(from_one.state, 1), rows(together.state, 1)) <= MOST_DIFFERENCE
    nats = [engine.nats(rows(state, row), past[row : row + 1], 2) for row in range(3)]
    np.testing.assert_allclose(engine.nats(state, past, 2), np.mean(nats, 0), rtol=1e-5)


# ---- states, and what does not fit ----


def test_chunks_together_are_chunks_after_one_another_from_saved_states() -> None:
    engine, lengths = small(), [2, 4]
    start = engine.init_state()
    frames, end = take(engine, start, chunks_of(lengths, 2))
    state, parts = start, []
    for chunk in chunks_of(lengths, 2):
        made = generate(engine, state, chunk)
        parts.append(made.frames)
        state = state_from_arrays({name: array.copy() for name, array in state_arrays(made.state).items()}, start)
    np.testing.assert_array_equal(np.concatenate(parts, 1), frames)
    assert_same_bits(state, end)
    primed = engine.prime(engine.prime(start, frames[:, :2], 2), frames[:, 2:], 4)
    assert largest_difference(primed, end) <= MOST_DIFFERENCE
    assert list(engine.sampling(start, iter(()))) == []


def test_what_does_not_fit_is_refused() -> None:
    engine = small()
    narrow = Chunk(Noise(*(part[..., :1] for part in take_noise(0, 0, 2, 2))), SHARPNESS)
    two = Chunk(Noise(*(np.repeat(part, 3, 0) for part in take_noise(0, 0, 2, 2))), SHARPNESS)
    with pytest.raises(ValueError, match=r"noise of shape \(1, 2, 1\) and .*want \(1, 2, 2\)"):
        generate(engine, engine.init_state(), narrow)
    with pytest.raises(ValueError, match="state of 2 takes and noise for 3"):
        generate(engine, engine.init_state(2), two)
    with pytest.raises(ValueError, match="primed with 6 frames, want a multiple of 4"):
        engine.prime(engine.init_state(), random(1, 6, 2), 4)
    with pytest.raises(ValueError, match="asked for 3 frames, want a multiple of 2"):
        take(engine, engine.init_state(), chunks_of([3], 2))


def test_where_a_card_fails_the_cpu_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = small()
    start, told = engine.init_state(), list[str]()
    expected, state = take(engine, start, chunks_of([2], 2))
    draw, calls = engine._lanes[1].draw, itertools.count()

    def failing(*given: Any) -> Any:
        if next(calls):
            raise RuntimeError(f"{FAILURE}\nmore")
        return draw(*given)

    monkeypatch.setattr(engine._lanes[1], "draw", failing)
    cpu = CpuEngine(tiny_preset(tiny_config(hidden=4, layers=1, splits=("time",)), 2), 1)
    both_engines = FailoverEngine(engine, cpu)
    both_engines.on_failure = told.append
    frames, end = take(both_engines, start, chunks_of([2, 4, 2], 2))
    rest, expected_end = take(cpu, state, itertools.islice(chunks_of([2, 4, 2], 2), 1, None))
    np.testing.assert_array_equal(frames, np.concatenate([expected, rest], 1))
    assert_same_bits(end, expected_end)
    assert told == [f"engine cuda failed (the card failed: {FAILURE}; {REMEDY}); cpu goes on"]
    assert both_engines.name == "cpu"


def test_what_cannot_be_captured_is_launched_kernel_by_kernel(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Uncapturable:
        def __init__(self, tier: object) -> None:
            pass

        def draw(self, *given: object) -> object:
            raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr("melnet_music.sampling.cuda.engine.CapturedTier", Uncapturable)
    config = tiny_config(hidden=4, layers=1)
    preset = tiny_preset(config, 1)
    sampling = SamplingConfig(chunk_frames=1)
    preset = replace(preset, config=preset.config.model_copy(update={"sampling": sampling}))
    engine = CudaEngine(preset, capture=True)
    assert not engine.captures
    assert "no CUDA graphs" in caplog.text
    assert "not permitted when stream is capturing" in caplog.text
    frames, expected = (take(each, each.init_state(), chunks_of([1], 1))[0] for each in (engine, both(config, 1)[1]))
    assert np.abs(frames - expected).max() <= MOST_DIFFERENCE


def test_memory_that_is_out_is_a_failure_and_a_mistake_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = small()
    for error, told in (
        (torch.OutOfMemoryError("none left"), "failed: none left"),
        (MemoryError(), "failed: MemoryError"),
    ):
        with monkeypatch.context() as patched:
            patched.setattr(engine.tiers[0], "prime", _raising(error))
            with pytest.raises(EngineFailedError, match=told):
                engine.prime(engine.init_state(), random(1, 2, 2), 2)
    monkeypatch.setattr(engine.tiers[0], "prime", _raising(TypeError("a mistake")))
    with pytest.raises(TypeError, match="a mistake"):
        engine.prime(engine.init_state(), random(1, 2, 2), 2)


def _raising(error: Exception) -> Callable[..., object]:
    def fail(*given: object) -> object:
        raise error

    return fail
