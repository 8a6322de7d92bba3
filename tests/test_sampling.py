from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load, save
from tiny_models import MEL_BINS, tiny_config, tiny_model
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from melnet_music.cells import CELLS
from melnet_music.config import CellName, ModelConfig, SamplingConfig
from melnet_music.mixture import VALUE_LIMIT
from melnet_music.model import NOTHING_KNOWN, Conditioning
from melnet_music.sampling.engine import (
    Forced,
    Noise,
    SamplerState,
    Sharpness,
    generate,
    state_from_tensors,
    state_tensors,
    take_noise,
)
from melnet_music.sampling.reference import ReferenceEngine
from melnet_music.tiers import decompose

# float64: the same sums in another order, and draws that do not fall between two components
CLOSE: dict[str, Any] = {"rtol": 1e-9, "atol": 1e-9}
SHARPNESS = Sharpness(temperature=0.9, bias=0.2, upper_temperature=0.8, upper_bias=0.1)
CONFIGS = {
    "one tier": tiny_config(layers=2, centralized_hidden=3),
    "frequency, time": tiny_config(splits=("frequency", "time"), centralized_hidden=4),
    "time, frequency, kept first": tiny_config(splits=("time", "frequency"), layers=2, split_keeps="first"),
    "gru": tiny_config(cell="gru", splits=("time",), centralized_hidden=3),
    "lstm": tiny_config(cell="lstm", splits=("time",), centralized_hidden=3),
    "the paper's": tiny_config(
        cell="lstm",
        splits=("frequency", "time", "frequency"),
        layers=2,
        centralized_hidden=4,
        split_keeps="first",
        sigma="exp",
        bin_embedding=False,
        future_conditioning=False,
        note_conditioning=False,
        chunked_lookahead=False,
    ),
}
configs = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
chunked_configs = pytest.mark.parametrize(
    "config",
    [c for c in CONFIGS.values() if c.chunked_lookahead],
    ids=[n for n, c in CONFIGS.items() if c.chunked_lookahead],
)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def some_conditioning(batch: int, frames: int) -> Conditioning:
    """Notes throughout, and the second half of every four frames a known future."""
    mask = (torch.arange(frames) % 4 >= 2).double().expand(batch, -1)
    return Conditioning(random(batch, frames, MEL_BINS, seed=7), mask, random(batch, frames, MEL_BINS, 2, seed=8).abs())


def noise(seed: int, frames: int, start_frame: int = 0) -> Noise:
    return Noise(*(part.double() for part in take_noise(seed, start_frame, frames, MEL_BINS)))


def play(
    engine: ReferenceEngine,
    state: SamplerState,
    seed: int,
    chunks: Sequence[int],
    known: Conditioning = NOTHING_KNOWN,
    forced: Forced | None = None,
) -> tuple[Tensor, SamplerState]:
    """Generate chunk after chunk; ``forced`` holds for every chunk."""
    frames, at = [], 0
    for chunk in chunks:
        given_noise = noise(seed, chunk, at)
        drawn, state = generate(engine.generating(state, given_noise, SHARPNESS, known.frames(at, at + chunk), forced))
        frames.append(drawn)
        at += chunk
    return torch.cat(frames, 1), state


def assert_same_state(actual: SamplerState, expected: SamplerState, *, exactly: bool = False) -> None:
    first, second = state_tensors(actual), state_tensors(expected)
    assert first.keys() == second.keys()
    for name in first:
        torch.testing.assert_close(first[name], second[name], **({"rtol": 0, "atol": 0} if exactly else CLOSE))


# ---- teacher-forced forward ----


@chunked_configs
@pytest.mark.parametrize("chunks", [[16], [4] * 4, [2] * 8, [8, 8], [4, 8, 4], [2, 12, 2]], ids=str)
def test_forward_in_chunks_equals_forward_at_once(config: ModelConfig, chunks: list[int]) -> None:
    """With look-ahead to the end of every 2, 4 or 8 frames, wherever the clip is cut between them."""
    model, known = tiny_model(config), some_conditioning(2, 16)
    lookahead = next(frames for frames in (16, 8, 4, 2) if all(chunk % frames == 0 for chunk in chunks))
    x = random(2, 16, MEL_BINS)
    own = decompose(x, config)
    for g, channels in enumerate(model.channels(own[:-1], known, 2, 16)):
        tier, stride = model.tier(g), model.grids[g].stride_frames
        chunk = model.tier_chunk(g, lookahead)
        whole, after = tier(own[g], channels, chunk=chunk)
        state, parts, at = tier.initial_state(2), [], 0
        for frames in chunks:
            span = slice(at // stride, (at + frames) // stride)
            mixed, state = tier(own[g][:, span], channels[:, span], state, chunk)
            parts.append(mixed)
            at += frames
        for joined, expected in zip(map(torch.cat, zip(*parts, strict=True), [1] * 3), whole, strict=True):
            torch.testing.assert_close(joined, expected, **CLOSE)
        assert_same_state((state,), (after,))


@chunked_configs
@pytest.mark.parametrize("primed_frames", [4, 12])
@torch.inference_mode()
def test_forward_after_priming_is_the_end_of_forward(config: ModelConfig, primed_frames: int) -> None:
    model, frames, lookahead = tiny_model(config), 16, 4
    known, x = some_conditioning(2, frames), random(2, frames, MEL_BINS)
    engine = ReferenceEngine(model)
    state = engine.prime(engine.init_state(2), x[:, :primed_frames], lookahead, known.frames(0, primed_frames))
    own = decompose(x, config)
    for g, channels in enumerate(model.channels(own[:-1], known, 2, frames)):
        tier, chunk = model.tier(g), model.tier_chunk(g, lookahead)
        start = primed_frames // model.grids[g].stride_frames
        whole, after = tier(own[g], channels, chunk=chunk)
        rest, state_after = tier(own[g][:, start:], channels[:, start:], state[g], chunk)
        for part, expected in zip(rest, whole, strict=True):
            torch.testing.assert_close(part, expected[:, start:], **CLOSE)
        assert_same_state((state_after,), (after,))


@chunked_configs
@pytest.mark.parametrize("pieces", [[4] * 4, [4, 12], [8, 4, 4]], ids=str)
def test_priming_in_pieces_equals_priming_at_once(config: ModelConfig, pieces: list[int]) -> None:
    engine, known, x = ReferenceEngine(tiny_model(config)), some_conditioning(2, 16), random(2, 16, MEL_BINS)
    at_once = engine.prime(engine.init_state(2), x, 4, known)
    state, at = engine.init_state(2), 0
    for frames in pieces:
        state = engine.prime(state, x[:, at : at + frames], 4, known.frames(at, at + frames))
        at += frames
    assert_same_state(state, at_once)


# ---- generation ----


@configs
@pytest.mark.parametrize("known", [False, True], ids=["free", "conditioned"])
def test_what_is_generated_is_what_the_model_gives_when_fed_it(config: ModelConfig, known: bool) -> None:
    """Draw with the same noise from the mixtures of the teacher-forced forward: the same frames, every tier."""
    model, chunk, frames = tiny_model(config), 8, 24
    engine = ReferenceEngine(model)
    conditioning = some_conditioning(1, frames) if known else NOTHING_KNOWN
    drawn, end = play(engine, engine.init_state(), 5, [chunk] * 3, conditioning)
    assert drawn.shape == (1, frames, MEL_BINS)
    assert drawn.abs().max() < VALUE_LIMIT  # a clipped draw would say little
    own = decompose(drawn, config)
    uniform, normal = (decompose(part, config) for part in noise(5, frames))
    for g, channels in enumerate(model.channels(own[:-1], conditioning, 1, frames)):
        stride, state, redrawn = model.grids[g].stride_frames, model.tier(g).initial_state(1), []
        for at in range(0, frames, chunk):
            span = slice(at // stride, (at + chunk) // stride)
            mixed, state = model.tier(g)(own[g][:, span], channels[:, span], state)
            redrawn.append(mixed.draw(uniform[g][:, span], normal[g][:, span], *SHARPNESS.tier(g)))
        torch.testing.assert_close(torch.cat(redrawn, 1), own[g], **CLOSE)
        assert_same_state((state,), (end[g],))


@configs
def test_the_state_after_generating_is_that_of_priming_with_the_frames(config: ModelConfig) -> None:
    engine = ReferenceEngine(tiny_model(config))
    drawn, state = play(engine, engine.init_state(), 3, [8])
    assert_same_state(state, engine.prime(engine.init_state(), drawn, 8))


@configs
def test_generating_leaves_the_state_it_starts_from_as_it_was(config: ModelConfig) -> None:
    engine = ReferenceEngine(tiny_model(config))
    state = engine.prime(engine.init_state(), random(1, 8, MEL_BINS), 8)
    before = {name: tensor.clone() for name, tensor in state_tensors(state).items()}
    first, _ = play(engine, state, 0, [8, 4])
    again, _ = play(engine, state, 0, [8, 4])
    assert torch.equal(first, again)
    assert all(torch.equal(tensor, before[name]) for name, tensor in state_tensors(state).items())


def test_a_take_is_its_seed() -> None:
    engine = ReferenceEngine(tiny_model(CONFIGS["frequency, time"]))
    state = engine.init_state()
    assert torch.equal(play(engine, state, 1, [8])[0], play(engine, state, 1, [8])[0])
    assert (play(engine, state, 1, [8])[0] != play(engine, state, 2, [8])[0]).all()


@configs
def test_batch_rows_are_independent(config: ModelConfig) -> None:
    engine, past = ReferenceEngine(tiny_model(config)), random(3, 8, MEL_BINS)
    together = Noise(*map(torch.cat, zip(*(noise(seed, 4) for seed in range(3)), strict=True)))
    primed = engine.prime(engine.init_state(3), past, 4)
    frames, end = generate(engine.generating(primed, together, SHARPNESS))
    for row in range(3):
        alone = engine.prime(engine.init_state(), past[row : row + 1], 4)
        own, own_end = generate(engine.generating(alone, noise(row, 4), SHARPNESS))
        torch.testing.assert_close(own, frames[row : row + 1], **CLOSE)
        for name, tensor in state_tensors(own_end).items():
            row_axis = 0 if name.endswith("previous") else 1
            torch.testing.assert_close(tensor, state_tensors(end)[name].narrow(row_axis, row, 1), **CLOSE)


@configs
def test_forced_frames_are_kept_and_heeded(config: ModelConfig) -> None:
    engine, frames = ReferenceEngine(tiny_model(config)), 8
    mask = torch.tensor([0, 0, 1, 1, 0, 1, 0, 0], dtype=torch.bool)
    values = random(1, frames, MEL_BINS)
    drawn, state = play(engine, engine.init_state(), 0, [frames], forced=Forced(values, mask))
    assert torch.equal(drawn[:, mask], values[:, mask])
    assert_same_state(state, engine.prime(engine.init_state(), drawn, frames))
    other, _ = play(engine, engine.init_state(), 0, [frames], forced=Forced(values + 1, mask))
    free, _ = play(engine, engine.init_state(), 0, [frames])
    for frame in (4, 6, 7):
        assert (drawn[:, frame] != other[:, frame]).all()
        assert (drawn[:, frame] != free[:, frame]).all()


@configs
def test_forcing_every_frame_is_priming(config: ModelConfig) -> None:
    engine, values = ReferenceEngine(tiny_model(config)), random(1, 8, MEL_BINS)
    drawn, state = play(engine, engine.init_state(), 0, [8], forced=Forced(values, torch.ones(8, dtype=torch.bool)))
    assert torch.equal(drawn, values)
    assert_same_state(state, engine.prime(engine.init_state(), values, 8))


def test_unset_frames_of_forced_values_are_never_read() -> None:
    engine = ReferenceEngine(tiny_model(CONFIGS["frequency, time"]))
    mask = torch.arange(8) >= 5
    values = random(1, 8, MEL_BINS)
    holes = torch.where(mask.view(1, -1, 1), values, torch.nan)
    first, _ = play(engine, engine.init_state(), 0, [8], forced=Forced(values, mask))
    second, _ = play(engine, engine.init_state(), 0, [8], forced=Forced(holes, mask))
    assert torch.equal(first, second)


def test_progress_rises_to_one() -> None:
    engine = ReferenceEngine(tiny_model(CONFIGS["frequency, time"]))
    done = list(engine.generating(engine.init_state(), noise(0, 8), SHARPNESS))
    assert done == sorted(done)
    assert done[0] > 0
    assert done[-1] == pytest.approx(1)
    assert max(after - before for before, after in zip([0, *done], done, strict=False)) <= 1 / 8


def test_lengths_that_do_not_fit_are_refused() -> None:
    engine = ReferenceEngine(tiny_model(CONFIGS["frequency, time"]))
    with pytest.raises(ValueError, match="primed with 6 frames, want a multiple of 4"):
        engine.prime(engine.init_state(), random(1, 6, MEL_BINS), 4)
    with pytest.raises(ValueError, match="asked for 3 frames, want a multiple of 2"):
        generate(engine.generating(engine.init_state(), noise(0, 3), SHARPNESS))


def test_sharpness_comes_from_the_preset_unless_the_take_has_its_own() -> None:
    config = SamplingConfig(temperature=0.8, bias=0.5, upper_temperature=0.5, upper_bias=1.0)
    assert Sharpness.of(config).tier(0) == (0.8, 0.5)
    assert Sharpness.of(config).tier(2) == (0.4, 1.5)
    assert Sharpness.of(config, temperature=1.0, bias=0.0).tier(1) == (0.5, 1.0)


# ---- saved states ----


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("splits", [("time",), ("frequency", "time")], ids=str)
@pytest.mark.parametrize("primed_frames", [0, 8])
def test_a_saved_state_goes_on_bit_for_bit(cell: CellName, splits: tuple[str, ...], primed_frames: int) -> None:
    config = tiny_config(cell=cell, splits=splits, centralized_hidden=3, layers=2)
    engine = ReferenceEngine(tiny_model(config, dtype=torch.float32))
    state = engine.init_state()
    if primed_frames:
        state = engine.prime(state, random(1, primed_frames, MEL_BINS).float(), 4)
    restored = state_from_tensors(load(save(state_tensors(state))), engine.init_state())
    assert_same_state(restored, state, exactly=True)
    given_noise = take_noise(0, 0, 4, MEL_BINS)
    expected, _ = generate(engine.generating(state, given_noise, SHARPNESS))
    actual, _ = generate(engine.generating(restored, given_noise, SHARPNESS))
    assert torch.equal(actual, expected)


def test_a_state_saved_with_another_preset_is_refused() -> None:
    config = tiny_config(splits=("time",))
    like = ReferenceEngine(tiny_model(config)).init_state()
    wider = ReferenceEngine(tiny_model(tiny_config(splits=("time",), hidden=6))).init_state()
    single = ReferenceEngine(tiny_model(tiny_config())).init_state()
    with pytest.raises(ValueError, match=r"0\.extractor has shape .*6.*wants .*4.*another preset"):
        state_from_tensors(state_tensors(wider), like)
    with pytest.raises(ValueError, match=r"1\.previous has nothing, the model wants \(1, 8\)"):
        state_from_tensors(state_tensors(single), like)


# ---- noise ----


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**63 - 1),
    start=st.integers(0, 2**40),
    lead=st.integers(0, 9),
    frames=st.integers(1, 9),
    tail=st.integers(0, 9),
)
def test_the_noise_of_a_span_is_a_slice_of_a_longer_span(
    seed: int, start: int, lead: int, frames: int, tail: int
) -> None:
    longer = take_noise(seed, start, lead + frames + tail, 6)
    for part, whole in zip(take_noise(seed, start + lead, frames, 6), longer, strict=True):
        assert torch.equal(part, whole[:, lead : lead + frames])


def test_the_noise_is_uniform_and_normal_and_white() -> None:
    frames, bins = 400, 64
    uniform, normal = take_noise(11, 0, frames, bins)
    count = frames * bins
    assert uniform.min() >= 0
    assert uniform.max() < 1
    assert abs(uniform.mean() - 0.5) < 4 * (1 / 12 / count) ** 0.5
    assert abs(normal.mean()) < 4 / count**0.5
    assert abs(normal.std() - 1) < 4 / (2 * count) ** 0.5
    for other in (
        take_noise(12, 0, frames, bins).normal,
        take_noise(11, 1, frames, bins).normal,
        normal.roll(1, 2),
    ):
        assert abs((normal * other).mean()) < 4 / count**0.5


# ---- cost ----


class CountedWork(TorchDispatchMode):
    """Counts torch operations and the elements of what they return."""

    def __init__(self) -> None:
        super().__init__()
        self.operations = self.elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        self.operations += 1
        self.elements += sum(
            part.numel() for part in (out if isinstance(out, tuple | list) else [out]) if isinstance(part, Tensor)
        )
        return out


@configs
def test_the_cost_of_a_chunk_does_not_grow_with_what_was_played(config: ModelConfig) -> None:
    engine = ReferenceEngine(tiny_model(config))
    work = []
    for frames in (16, 400):
        state = engine.prime(engine.init_state(), random(1, frames, MEL_BINS), 8)
        with CountedWork() as counted:
            generate(engine.generating(state, noise(0, 8), SHARPNESS))
        work.append((counted.operations, counted.elements))
    assert work[0] == work[1]
    assert work[0][0] > 8 * MEL_BINS  # it did count
