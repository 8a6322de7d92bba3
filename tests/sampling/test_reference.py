from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.numpy import load, save
from tiny_models import MEL_BINS, tiny_config, tiny_model
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from melnet_music.model.cells import CELLS
from melnet_music.model.conditioning import NOTHING_KNOWN, Conditioning
from melnet_music.model.config import VALUE_LIMIT, CellName, ModelConfig, SamplingConfig
from melnet_music.model.tier_state import TierState
from melnet_music.model.tiers import decompose, tier_grids
from melnet_music.sampling.engine import (
    Chunk,
    Engine,
    Forced,
    Noise,
    SamplerState,
    Sharpness,
    generate,
    state_arrays,
    state_from_arrays,
    take_noise,
)
from melnet_music.sampling.reference import ReferenceEngine

Grid = NDArray[np.float64]

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


def random(*shape: int, seed: int = 0) -> Grid:
    return np.random.default_rng(seed).standard_normal(shape)


def some_conditioning(batch: int, frames: int) -> Conditioning[Grid]:
    """Notes throughout, and the second half of every four frames a known future."""
    mask = np.tile((np.arange(frames) % 4 >= 2).astype(np.float64), (batch, 1))
    notes = np.abs(random(batch, frames, MEL_BINS, 2, seed=8))
    return Conditioning(random(batch, frames, MEL_BINS, seed=7), mask, notes)


def noise(seed: int, frames: int, start_frame: int = 0) -> Noise:
    return Noise(*(part.astype(np.float64) for part in take_noise(seed, start_frame, frames, MEL_BINS)))


def chunks_of(
    seed: int, lengths: Sequence[int], known: Conditioning[Grid] = NOTHING_KNOWN, forced: Forced | None = None
) -> Iterator[Chunk]:
    """Chunks of a take, one after the other; ``forced`` holds for every one."""
    at = 0
    for length in lengths:
        yield Chunk(noise(seed, length, at), SHARPNESS, known.frames(at, at + length), forced)
        at += length


def play(
    engine: Engine,
    state: SamplerState,
    seed: int,
    lengths: Sequence[int],
    known: Conditioning[Grid] = NOTHING_KNOWN,
    forced: Forced | None = None,
) -> tuple[Grid, SamplerState]:
    """Generate chunk after chunk, each on its own."""
    frames = []
    for chunk in chunks_of(seed, lengths, known, forced):
        drawn, state = generate(engine, state, chunk)
        frames.append(drawn)
    return np.concatenate(frames, 1), state


def as_arrays(*tiers: TierState[Tensor]) -> SamplerState:
    return tuple(tier.map(lambda tensor: tensor.detach().numpy()) for tier in tiers)


def assert_same_state(actual: SamplerState, expected: SamplerState, *, exactly: bool = False) -> None:
    first, second = state_arrays(actual), state_arrays(expected)
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_allclose(first[name], second[name], **({"rtol": 0, "atol": 0} if exactly else CLOSE))


# ---- teacher-forced forward ----


@chunked_configs
@pytest.mark.parametrize("chunks", [[16], [4] * 4, [2] * 8, [8, 8], [4, 8, 4], [2, 12, 2]], ids=str)
def test_forward_in_chunks_equals_forward_at_once(config: ModelConfig, chunks: list[int]) -> None:
    """With look-ahead to the end of every 2, 4 or 8 frames, wherever the clip is cut between them."""
    model, known = tiny_model(config), some_conditioning(2, 16)
    lookahead = next(frames for frames in (16, 8, 4, 2) if all(chunk % frames == 0 for chunk in chunks))
    own = decompose(torch.from_numpy(random(2, 16, MEL_BINS)), config)
    for g, channels in enumerate(model.channels(own[:-1], known.map(torch.from_numpy), 2, 16)):
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
        assert_same_state(as_arrays(state), as_arrays(after))


@chunked_configs
@pytest.mark.parametrize("primed_frames", [4, 12])
@torch.inference_mode()
def test_forward_after_priming_is_the_end_of_forward(config: ModelConfig, primed_frames: int) -> None:
    model, frames, lookahead = tiny_model(config), 16, 4
    known, x = some_conditioning(2, frames), random(2, frames, MEL_BINS)
    engine = ReferenceEngine(model)
    state = engine.prime(engine.init_state(2), x[:, :primed_frames], lookahead, known.frames(0, primed_frames))
    own = decompose(torch.from_numpy(x), config)
    for g, channels in enumerate(model.channels(own[:-1], known.map(torch.from_numpy), 2, frames)):
        tier, chunk = model.tier(g), model.tier_chunk(g, lookahead)
        start = primed_frames // model.grids[g].stride_frames
        whole, after = tier(own[g], channels, chunk=chunk)
        primed = state[g].map(torch.from_numpy)
        rest, state_after = tier(own[g][:, start:], channels[:, start:], primed, chunk)
        for part, expected in zip(rest, whole, strict=True):
            torch.testing.assert_close(part, expected[:, start:], **CLOSE)
        assert_same_state(as_arrays(state_after), as_arrays(after))


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


# ---- what was not expected ----


@chunked_configs
@torch.inference_mode()
def test_nats_are_those_of_the_density(config: ModelConfig) -> None:
    model, heard = tiny_model(config), random(1, 16, MEL_BINS)
    engine = ReferenceEngine(model)
    logs = model.log_prob(torch.from_numpy(heard), chunk_frames=8)
    state = engine.prime(engine.init_state(), heard[:, :8], 8)
    for tiers in range(1, len(logs) + 1):
        late = [-float(log[:, log.shape[1] // 2 :].mean()) for log in logs[:tiers]]
        np.testing.assert_allclose(engine.nats(state, heard[:, 8:], tiers), late, **CLOSE)


def test_what_cannot_be_judged_is_refused() -> None:
    engine = ReferenceEngine(tiny_model(CONFIGS["frequency, time"]))
    for frames, tiers, message in ((3, 1, "multiple of 2"), (4, 4, "by 4 tiers, want 1 to 3"), (4, 0, "by 0 tiers")):
        with pytest.raises(ValueError, match=message):
            engine.nats(engine.init_state(), random(1, frames, MEL_BINS), tiers)


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
    assert drawn.dtype == np.float64  # as the model
    assert np.abs(drawn).max() < VALUE_LIMIT  # a clipped draw would say little
    own, uniform, normal = (decompose(torch.from_numpy(part), config) for part in (drawn, *noise(5, frames)))
    for g, channels in enumerate(model.channels(own[:-1], conditioning.map(torch.from_numpy), 1, frames)):
        stride, state, redrawn = model.grids[g].stride_frames, model.tier(g).initial_state(1), []
        for at in range(0, frames, chunk):
            span = slice(at // stride, (at + chunk) // stride)
            mixed, state = model.tier(g)(own[g][:, span], channels[:, span], state)
            redrawn.append(mixed.draw(uniform[g][:, span], normal[g][:, span], *SHARPNESS.tier(g)))
        torch.testing.assert_close(torch.cat(redrawn, 1), own[g], **CLOSE)
        assert_same_state(as_arrays(state), (end[g],))


@configs
def test_the_state_after_generating_is_that_of_priming_with_the_frames(config: ModelConfig) -> None:
    engine = ReferenceEngine(tiny_model(config))
    drawn, state = play(engine, engine.init_state(), 3, [8])
    assert_same_state(state, engine.prime(engine.init_state(), drawn, 8))


@configs
def test_generating_leaves_the_state_it_starts_from_as_it_was(config: ModelConfig) -> None:
    engine = ReferenceEngine(tiny_model(config))
    state = engine.prime(engine.init_state(), random(1, 8, MEL_BINS), 8)
    before = {name: array.copy() for name, array in state_arrays(state).items()}
    first, _ = play(engine, state, 0, [8, 4])
    again, _ = play(engine, state, 0, [8, 4])
    assert np.array_equal(first, again)
    assert all(np.array_equal(array, before[name]) for name, array in state_arrays(state).items())


def test_a_take_is_its_seed() -> None:
    engine = ReferenceEngine(tiny_model(CONFIGS["frequency, time"]))
    state = engine.init_state()
    assert np.array_equal(play(engine, state, 1, [8])[0], play(engine, state, 1, [8])[0])
    assert (play(engine, state, 1, [8])[0] != play(engine, state, 2, [8])[0]).all()


@configs
def test_batch_rows_are_independent(config: ModelConfig) -> None:
    engine, past = ReferenceEngine(tiny_model(config)), random(3, 8, MEL_BINS)
    together = Noise(*map(np.concatenate, zip(*(noise(seed, 4) for seed in range(3)), strict=True)))
    primed = engine.prime(engine.init_state(3), past, 4)
    frames, end = generate(engine, primed, Chunk(together, SHARPNESS))
    for row in range(3):
        alone = engine.prime(engine.init_state(), past[row : row + 1], 4)
        own, own_end = generate(engine, alone, Chunk(noise(row, 4), SHARPNESS))
        np.testing.assert_allclose(own, frames[row : row + 1], **CLOSE)
        for name, array in state_arrays(own_end).items():
            row_axis = 0 if name.endswith("previous") else 1
            np.testing.assert_allclose(array, state_arrays(end)[name].take([row], row_axis), **CLOSE)


@configs
def test_forced_frames_are_kept_and_heeded(config: ModelConfig) -> None:
    engine, frames = ReferenceEngine(tiny_model(config)), 8
    mask = np.array([0, 0, 1, 1, 0, 1, 0, 0], bool)
    values = random(1, frames, MEL_BINS)
    drawn, state = play(engine, engine.init_state(), 0, [frames], forced=Forced(values, mask))
    assert np.array_equal(drawn[:, mask], values[:, mask])
    assert_same_state(state, engine.prime(engine.init_state(), drawn, frames))
    other, _ = play(engine, engine.init_state(), 0, [frames], forced=Forced(values + 1, mask))
    free, _ = play(engine, engine.init_state(), 0, [frames])
    for frame in (4, 6, 7):
        assert (drawn[:, frame] != other[:, frame]).all()
        assert (drawn[:, frame] != free[:, frame]).all()


@configs
def test_forcing_every_frame_is_priming(config: ModelConfig) -> None:
    engine, values = ReferenceEngine(tiny_model(config)), random(1, 8, MEL_BINS)
    drawn, state = play(engine, engine.init_state(), 0, [8], forced=Forced(values, np.ones(8, bool)))
    assert np.array_equal(drawn, values)
    assert_same_state(state, engine.prime(engine.init_state(), values, 8))


def test_unset_frames_of_forced_values_are_never_read() -> None:
    engine = ReferenceEngine(tiny_model(CONFIGS["frequency, time"]))
    mask = np.arange(8) >= 5
    values = random(1, 8, MEL_BINS)
    holes = np.where(mask[None, :, None], values, np.nan)
    first, _ = play(engine, engine.init_state(), 0, [8], forced=Forced(values, mask))
    second, _ = play(engine, engine.init_state(), 0, [8], forced=Forced(holes, mask))
    assert np.array_equal(first, second)


@configs
def test_chunks_together_are_chunks_one_after_the_other(config: ModelConfig) -> None:
    engine, lengths, known = ReferenceEngine(tiny_model(config)), [8, 4, 8], some_conditioning(1, 20)
    made = [m for m in engine.sampling(engine.init_state(), chunks_of(2, lengths, known)) if m is not None]
    assert [chunk.frames.shape[1] for chunk in made] == lengths
    for count in range(1, len(made) + 1):
        expected, state = play(engine, engine.init_state(), 2, lengths[:count], known)
        assert np.array_equal(np.concatenate([chunk.frames for chunk in made[:count]], 1), expected)
        assert_same_state(made[count - 1].state, state, exactly=True)


@configs
def test_every_frame_of_a_tier_is_a_place_to_stop(config: ModelConfig) -> None:
    engine = ReferenceEngine(tiny_model(config))
    steps = sum(8 // grid.stride_frames for grid in tier_grids(config, MEL_BINS))
    made = list(engine.sampling(engine.init_state(), chunks_of(0, [8, 8])))
    assert [step is None for step in made] == [*[True] * steps, False] * 2


def test_lengths_that_do_not_fit_are_refused() -> None:
    engine = ReferenceEngine(tiny_model(CONFIGS["frequency, time"]))
    with pytest.raises(ValueError, match="primed with 6 frames, want a multiple of 4"):
        engine.prime(engine.init_state(), random(1, 6, MEL_BINS), 4)
    with pytest.raises(ValueError, match="asked for 3 frames, want a multiple of 2"):
        generate(engine, engine.init_state(), Chunk(noise(0, 3), SHARPNESS))


def test_sharpness_comes_from_the_preset_unless_the_take_has_its_own() -> None:
    config = SamplingConfig(temperature=0.8, bias=0.5, upper_temperature=0.5, upper_bias=1.0, tilt=0.1)
    assert Sharpness.of(config).tier(0) == (0.8, 0.5, 0.1)
    assert Sharpness.of(config).tier(2) == (0.4, 1.5, 0.0)
    assert Sharpness.of(config, temperature=1.0, bias=0.0).tier(1) == (0.5, 1.0, 0.0)
    assert Sharpness.of(config, noted=True) == Sharpness.of(config)
    config = config.model_copy(update={"notes_temperature": 0.6, "notes_bias": 0.2})
    assert Sharpness.of(config).tier(0) == (0.8, 0.5, 0.1)
    assert Sharpness.of(config, noted=True).tier(0) == (0.6, 0.2, 0.1)
    assert Sharpness.of(config, temperature=1.0, noted=True).tier(0) == (1.0, 0.2, 0.1)


# ---- saved states ----


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("splits", [("time",), ("frequency", "time")], ids=str)
@pytest.mark.parametrize("primed_frames", [0, 8])
def test_a_saved_state_goes_on_bit_for_bit(cell: CellName, splits: tuple[str, ...], primed_frames: int) -> None:
    config = tiny_config(cell=cell, splits=splits, centralized_hidden=3, layers=2)
    engine = ReferenceEngine(tiny_model(config, dtype=torch.float32))
    state = engine.init_state()
    if primed_frames:
        state = engine.prime(state, random(1, primed_frames, MEL_BINS).astype(np.float32), 4)
    restored = state_from_arrays(load(save(state_arrays(state))), engine.init_state())
    assert_same_state(restored, state, exactly=True)
    chunk = Chunk(take_noise(0, 0, 4, MEL_BINS), SHARPNESS)
    expected, _ = generate(engine, state, chunk)
    actual, _ = generate(engine, restored, chunk)
    assert actual.dtype == np.float32
    assert np.array_equal(actual, expected)


def test_a_state_saved_with_another_preset_is_refused() -> None:
    config = tiny_config(splits=("time",))
    like = ReferenceEngine(tiny_model(config)).init_state()
    wider = ReferenceEngine(tiny_model(tiny_config(splits=("time",), hidden=6))).init_state()
    single = ReferenceEngine(tiny_model(tiny_config())).init_state()
    with pytest.raises(ValueError, match=r"0\.extractor has shape .*6.*wants .*4.*another preset"):
        state_from_arrays(state_arrays(wider), like)
    with pytest.raises(ValueError, match=r"1\.previous has nothing, the model wants \(1, 8\)"):
        state_from_arrays(state_arrays(single), like)


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
        assert np.array_equal(part, whole[:, lead : lead + frames])


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
        np.roll(normal, 1, 2),
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
            generate(engine, state, Chunk(noise(0, 8), SHARPNESS))
        work.append((counted.operations, counted.elements))
    assert work[0] == work[1]
    assert work[0][0] > 8 * MEL_BINS  # it did count
