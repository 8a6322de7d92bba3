"""The cpu engine against the reference, number by number, and what it promises besides."""

from __future__ import annotations

import gc
import itertools
import threading
from collections.abc import Iterator
from contextlib import closing
from functools import cache
from typing import Any

import numpy as np
import pytest
from sampled_takes import Grid, largest_difference, random, take
from tiny_models import tiny_config, tiny_preset

from melnet_music.model.cells import CELLS
from melnet_music.model.conditioning import NOTHING_KNOWN, Conditioning
from melnet_music.model.config import CellName, ModelConfig
from melnet_music.model.preset import PHRASE_FILE, Preset, find_preset, load_preset
from melnet_music.sampling import ENGINES
from melnet_music.sampling.cpu.engine import CpuEngine
from melnet_music.sampling.engine import (
    Chunk,
    Engine,
    Forced,
    Generated,
    Noise,
    SamplerState,
    Sharpness,
    generate,
    state_arrays,
    take_noise,
)
from melnet_music.sampling.reference import ReferenceEngine
from melnet_music.sound.audio_file import read_audio
from melnet_music.sound.mel import log_mel

SHARPNESS = Sharpness(temperature=0.9, bias=0.2, upper_temperature=0.8, upper_bias=0.1, tilt=0.3)
MOST_DIFFERENCE = 1e-5
"""Of a frame or a state from the reference's, both in float32, which is itself as far from float64."""
MOST_BFLOAT16_DIFFERENCE = 0.03
"""Of a state after 16 known frames, with weights rounded to 8 bits of mantissa; 0.011 was the largest seen."""


def both(config: ModelConfig, mel_bins: int, **options: Any) -> tuple[CpuEngine, Engine]:
    preset = tiny_preset(config, mel_bins)
    return CpuEngine(preset, **options), ReferenceEngine(preset.model())


def chunks_of(lengths: list[int], mel_bins: int, *, seed: int = 3, known: Conditioning[Grid] = NOTHING_KNOWN,
              forced: Forced | None = None) -> Iterator[Chunk]:  # fmt: skip
    at = 0
    for length in lengths:
        span = slice(at, at + length)
        mine = Forced(forced.values[:, span], forced.mask[span]) if forced else None
        yield Chunk(take_noise(seed, at, length, mel_bins), SHARPNESS, known.frames(at, at + length), mine)
        at += length


def assert_same_bits(first: SamplerState, second: SamplerState) -> None:
    ours, theirs = state_arrays(first), state_arrays(second)
    assert ours.keys() == theirs.keys()
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)


# ---- the reference's numbers ----

SHAPES = {
    "one tier of one layer": ({"hidden": 5, "layers": 1}, 7),
    "a whole panel": ({"hidden": 16, "layers": 2, "centralized_hidden": 16, "splits": ("time",)}, 16),
    "three panels": ({"hidden": 33, "layers": 2, "centralized_hidden": 20, "splits": ("frequency", "time")}, 26),
    "three layers": ({"hidden": 17, "layers": 3, "centralized_hidden": 17, "splits": ("time", "frequency")}, 10),
    "sixteen layers": ({"hidden": 12, "layers": 16, "splits": ("frequency",)}, 6),
    "more bins than a block": ({"hidden": 8, "layers": 2, "splits": ("time",)}, 103),
    "many components": ({"hidden": 9, "layers": 1, "components": 37, "splits": ("time",)}, 9),
    "one component": ({"hidden": 9, "layers": 2, "components": 1}, 9),
    "the paper's": (
        {
            "hidden": 10, "layers": 2, "centralized_hidden": 12, "splits": ("frequency", "time", "frequency"),
            "split_keeps": "first", "sigma": "exp", "bin_embedding": False, "future_conditioning": False,
            "note_conditioning": False,
            "chunked_lookahead": False,
        },
        12,
    ),
}  # fmt: skip
shapes = pytest.mark.parametrize(("options", "mel_bins"), SHAPES.values(), ids=SHAPES.keys())
cells = pytest.mark.parametrize("cell", CELLS)


@cells
@shapes
def test_frames_and_states_are_the_references(cell: CellName, options: dict[str, Any], mel_bins: int) -> None:
    ours, reference = both(tiny_config(cell=cell, **options), mel_bins)
    past = random(1, 8, mel_bins)
    primed, expected_primed = ours.prime(ours.init_state(), past, 4), reference.prime(reference.init_state(), past, 4)
    assert largest_difference(primed, expected_primed) <= MOST_DIFFERENCE
    frames, state = take(ours, primed, chunks_of([8, 4], mel_bins))
    expected, expected_state = take(reference, expected_primed, chunks_of([8, 4], mel_bins))
    assert np.abs(frames - expected).max() <= MOST_DIFFERENCE
    assert largest_difference(state, expected_state) <= MOST_DIFFERENCE


@cells
@shapes
def test_what_it_did_not_expect_is_what_the_reference_did_not(
    cell: CellName, options: dict[str, Any], mel_bins: int
) -> None:
    ours, reference = both(tiny_config(cell=cell, **options), mel_bins)
    past, heard = random(1, 8, mel_bins), random(1, 8, mel_bins, seed=4)
    primed, expected = ours.prime(ours.init_state(), past, 8), reference.prime(reference.init_state(), past, 8)
    before, frames = state_arrays(primed), take(ours, primed, chunks_of([8], mel_bins))[0]
    for tiers in range(1, len(primed) + 1):
        np.testing.assert_allclose(
            ours.nats(primed, heard, tiers), reference.nats(expected, heard, tiers), atol=MOST_DIFFERENCE, rtol=1e-4
        )
    np.testing.assert_equal(state_arrays(primed), before)
    # its memory is as good as before
    np.testing.assert_array_equal(take(ours, primed, chunks_of([8], mel_bins))[0], frames)


@cells
def test_one_frame_is_the_references(cell: CellName) -> None:
    ours, reference = both(tiny_config(cell=cell, hidden=21, layers=2, centralized_hidden=8), 11)
    frames, state = take(ours, ours.init_state(), chunks_of([1], 11))
    expected, expected_state = take(reference, reference.init_state(), chunks_of([1], 11))
    assert np.abs(frames - expected).max() <= MOST_DIFFERENCE
    assert largest_difference(state, expected_state) <= MOST_DIFFERENCE


@cells
@pytest.mark.parametrize("keeps", ["first", "last"])
def test_with_notes_a_known_future_and_forced_frames_too(cell: CellName, keeps: str) -> None:
    config = tiny_config(
        cell=cell, hidden=18, layers=2, centralized_hidden=7, splits=("frequency", "time"), split_keeps=keeps
    )
    ours, reference = both(config, 14)
    mask = (np.arange(16) % 8 >= 5).astype(np.float32)[None]
    known = Conditioning(random(1, 16, 14, seed=7), mask, np.abs(random(1, 16, 14, 2, seed=8)))
    forced = Forced(random(1, 16, 14, seed=9), np.arange(16) % 8 < 3)
    past = random(1, 16, 14)
    state, expected_state = (
        engine.prime(engine.init_state(), past, 8, Conditioning(None, None, known.notes))
        for engine in (ours, reference)
    )
    frames, state = take(ours, state, chunks_of([8, 8], 14, known=known, forced=forced))
    expected, expected_state = take(reference, expected_state, chunks_of([8, 8], 14, known=known, forced=forced))
    np.testing.assert_array_equal(frames[:, forced.mask], forced.values[:, forced.mask])
    assert np.abs(frames - expected).max() <= MOST_DIFFERENCE
    assert largest_difference(state, expected_state) <= MOST_DIFFERENCE


@cells
def test_bfloat16_weights_stay_within_their_bound(cell: CellName) -> None:
    config = tiny_config(cell=cell, hidden=33, layers=2, centralized_hidden=20, splits=("frequency", "time"))
    ours, reference = both(config, 26, bfloat16=True)
    past = random(1, 16, 26)
    state, expected = (engine.prime(engine.init_state(), past, 8) for engine in (ours, reference))
    difference = largest_difference(state, expected)
    assert 0 < difference <= MOST_BFLOAT16_DIFFERENCE
    assert np.isfinite(take(ours, state, chunks_of([8, 8], 26))[0]).all()


@cache
def piano() -> Preset:
    return load_preset("piano")


def test_the_shipped_preset_is_the_references() -> None:
    ours, reference = CpuEngine(piano()), ENGINES["reference"](piano(), None)
    audio = read_audio(find_preset("piano") / PHRASE_FILE).mono_at(piano().config.sound.sample_rate_hz)
    heard, statistics = log_mel(audio, piano().config.sound)[:80], piano().weights
    past = ((heard - statistics["mean"]) / statistics["deviation"])[None]
    state, expected_state = (engine.prime(engine.init_state(), past, 8) for engine in (ours, reference))
    frames, state = take(ours, state, chunks_of([8], piano().mel_bins))
    expected, expected_state = take(reference, expected_state, chunks_of([8], piano().mel_bins))
    assert np.abs(frames - expected).max() <= MOST_DIFFERENCE
    largest = max(float(np.abs(array).max()) for array in state_arrays(expected_state).values())
    assert largest > 2  # its states are larger than those of the small nets above, and so are their last bits
    assert largest_difference(state, expected_state) <= MOST_DIFFERENCE * largest


# ---- the same bits, whatever the way ----


@pytest.mark.parametrize("name", ["cpu", "cpu-bf16"])
def test_a_take_is_its_seed_whatever_the_number_of_threads(name: str) -> None:
    results, bins = [], 40
    splits = ("time", "frequency", "time")
    preset = tiny_preset(tiny_config(hidden=33, layers=2, centralized_hidden=48, splits=splits), bins)
    for threads in (1, 2, 3, 4):
        engine = ENGINES[name](preset, threads)
        state = engine.prime(engine.init_state(), random(1, 16, bins), 8)
        results.append(take(engine, state, chunks_of([8] * 6, bins)))
        engine.close()
    for frames, state in results[1:]:
        np.testing.assert_array_equal(frames, results[0][0])
        assert_same_bits(state, results[0][1])


@cells
def test_chunks_together_are_chunks_one_after_the_other(cell: CellName) -> None:
    config = tiny_config(cell=cell, hidden=20, layers=2, centralized_hidden=8, splits=("frequency", "time"))
    engine, lengths = both(config, 12, threads=3)[0], [2, 8, 4, 2, 12, 4]
    frames, end = take(engine, engine.init_state(), chunks_of(lengths, 12))
    state, parts = engine.init_state(), []
    for chunk in chunks_of(lengths, 12):
        made = generate(engine, state, chunk)
        parts.append(made.frames)
        state = made.state
    np.testing.assert_array_equal(np.concatenate(parts, 1), frames)
    assert_same_bits(state, end)


@cells
@pytest.mark.parametrize("pieces", [[4] * 4, [4, 12], [8, 4, 4]], ids=str)
def test_priming_in_pieces_is_priming_at_once(cell: CellName, pieces: list[int]) -> None:
    config = tiny_config(cell=cell, hidden=20, layers=2, centralized_hidden=8, splits=("frequency", "time"))
    engine, past = both(config, 12)[0], random(1, 16, 12)
    state, at = engine.init_state(), 0
    for frames in pieces:
        state = engine.prime(state, past[:, at : at + frames], 4)
        at += frames
    assert_same_bits(state, engine.prime(engine.init_state(), past, 4))


@cells
def test_the_state_after_generating_is_that_of_priming_with_the_frames(cell: CellName) -> None:
    config = tiny_config(cell=cell, hidden=20, layers=2, centralized_hidden=8, splits=("frequency", "time"))
    engine = both(config, 12)[0]
    frames, state = take(engine, engine.init_state(), chunks_of([8], 12))
    assert_same_bits(state, engine.prime(engine.init_state(), frames, 8))


def test_states_of_one_engine_go_on_in_another() -> None:
    config = tiny_config(cell="lstm", hidden=20, layers=2, centralized_hidden=8, splits=("time",))
    ours, reference = both(config, 12)
    state = reference.prime(reference.init_state(), random(1, 8, 12), 4)
    expected, _ = take(reference, state, chunks_of([4], 12))
    frames, _ = take(ours, state, chunks_of([4], 12))
    assert np.abs(frames - expected).max() <= MOST_DIFFERENCE


def test_a_state_is_left_as_it_was() -> None:
    engine = both(tiny_config(hidden=20, layers=2, splits=("time",)), 12)[0]
    state = engine.prime(engine.init_state(), random(1, 8, 12), 4)
    before = {name: array.copy() for name, array in state_arrays(state).items()}
    first, _ = take(engine, state, chunks_of([8, 8], 12))
    again, _ = take(engine, state, chunks_of([8, 8], 12))
    np.testing.assert_array_equal(first, again)
    for name, array in state_arrays(state).items():
        np.testing.assert_array_equal(array, before[name])


def test_unset_frames_of_forced_values_are_never_read() -> None:
    engine = both(tiny_config(hidden=20, layers=2, splits=("frequency", "time")), 12)[0]
    values, mask = random(1, 8, 12), np.arange(8) >= 5
    holes = np.where(mask[None, :, None], values, np.nan)
    first, _ = take(engine, engine.init_state(), chunks_of([8], 12, forced=Forced(values, mask)))
    second, _ = take(engine, engine.init_state(), chunks_of([8], 12, forced=Forced(holes, mask)))
    np.testing.assert_array_equal(first, second)


# ---- several things at once ----


@pytest.fixture
def engine() -> Iterator[CpuEngine]:
    config = tiny_config(hidden=20, layers=2, centralized_hidden=8, splits=("frequency", "time"))
    made = both(config, 12, threads=3)[0]
    yield made
    made.close()


def test_takes_and_priming_side_by_side_do_not_disturb_each_other(engine: CpuEngine) -> None:
    past, start = random(1, 64, 12), engine.init_state()
    expected = take(engine, start, chunks_of([8] * 6, 12))[0]
    expected_other = take(engine, start, chunks_of([4] * 6, 12, seed=5))[0]
    expected_primed = engine.prime(start, past, 8)
    primed, made, other = start, [], []
    runs = engine.sampling(start, chunks_of([8] * 6, 12)), engine.sampling(start, chunks_of([4] * 6, 12, seed=5))
    at = 0
    for first, second in itertools.zip_longest(*runs):
        made += [first.frames] if isinstance(first, Generated) else []
        other += [second.frames] if isinstance(second, Generated) else []
        if at < 64:
            primed = engine.prime(primed, past[:, at : at + 8], 8)
            at += 8
    np.testing.assert_array_equal(np.concatenate(made, 1), expected)
    np.testing.assert_array_equal(np.concatenate(other, 1), expected_other)
    assert at == 64
    assert_same_bits(primed, expected_primed)


def test_a_take_that_is_closed_leaves_nothing_behind(engine: CpuEngine) -> None:
    expected = take(engine, engine.init_state(), chunks_of([8] * 4, 12))[0]
    for steps in range(12):
        with closing(engine.sampling(engine.init_state(), chunks_of([8] * 50, 12, seed=9))) as run:
            for _ in itertools.islice(run, steps):
                pass
        np.testing.assert_array_equal(take(engine, engine.init_state(), chunks_of([8] * 4, 12))[0], expected)


def test_only_a_few_chunks_are_asked_for_ahead(engine: CpuEngine) -> None:
    asked = 0

    def chunks() -> Iterator[Chunk]:
        nonlocal asked
        for chunk in chunks_of([4] * 40, 12):
            asked += 1
            yield chunk

    returned = 0
    for made in engine.sampling(engine.init_state(), chunks()):
        returned += made is not None
        assert asked <= returned + engine.threads + 2
    assert returned == asked == 40


def test_no_chunks_are_no_frames(engine: CpuEngine) -> None:
    assert list(engine.sampling(engine.init_state(), iter(()))) == []


@pytest.mark.parametrize("good", [0, 1, 5])
def test_what_goes_wrong_in_a_chunk_ends_the_take_and_not_the_engine(engine: CpuEngine, good: int) -> None:
    narrow = Chunk(Noise(*(part[..., :4] for part in take_noise(0, 0, 4, 12))), SHARPNESS)
    with pytest.raises(ValueError, match=r"noise of shape \(1, 4, 4\) and .*want \(1, 4, 12\)"):
        list(engine.sampling(engine.init_state(), itertools.chain(chunks_of([4] * good, 12), [narrow] * 4)))
    expected = take(both(engine._config, 12)[0], engine.init_state(), chunks_of([4] * 3, 12))[0]
    np.testing.assert_array_equal(take(engine, engine.init_state(), chunks_of([4] * 3, 12))[0], expected)


def test_lengths_rows_and_threads_that_do_not_fit_are_refused(engine: CpuEngine) -> None:
    with pytest.raises(ValueError, match="primed with 6 frames, want a multiple of 4"):
        engine.prime(engine.init_state(), random(1, 6, 12), 4)
    with pytest.raises(ValueError, match="asked for 3 frames, want a multiple of 2"):
        list(engine.sampling(engine.init_state(), chunks_of([3], 12)))
    with pytest.raises(ValueError, match="asked for 2 takes at once: this engine makes one"):
        engine.init_state(2)
    with pytest.raises(ValueError, match="threads is 0, want 1 or more"):
        both(tiny_config(), 12, threads=0)


def test_an_engine_that_is_let_go_lets_its_threads_go() -> None:
    before = set(threading.enumerate())
    engine = both(tiny_config(hidden=20, layers=2, splits=("frequency", "time")), 12, threads=3)[0]
    take(engine, engine.init_state(), chunks_of([8] * 3, 12))
    helpers = set(threading.enumerate()) - before
    assert len(helpers) == 2
    del engine
    gc.collect()
    for helper in helpers:
        helper.join(10.0)
        assert not helper.is_alive()
