"""How the cpu engine stores weights: bfloat16, and panels of sixteen outputs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from kernel_arrays import Array, random, same_bits
from packed_panels import TARGETS, from_bfloat16, unpacked

from melnet_music.sampling.cpu import packing
from melnet_music.sampling.cpu.packing import padded, panels, to_bfloat16
from melnet_music.sampling.cpu.target import (
    AVX512_BF16,
    Target,
)


def some_floats() -> Array:
    """All ties and neighbours of ties of some exponents, denormals, infinities, zeros, the largest, and random bits."""
    halves = np.arange(0, 0x10000, 7, dtype=np.uint32) << 16
    around = np.array([0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF], np.uint32)
    special = np.array([0, 1, 0x7FFFFF, 0x800000, 0x7F7FFFFF, 0x7F800000, 0x7F7F8000, 0x7F7F7FFF], np.uint32)
    random_bits = np.random.default_rng(0).integers(0, 2**32, 100_000, np.uint32)
    values = np.concatenate([(halves[:, None] + around).reshape(-1), special, special | 0x80000000, random_bits])
    floats = values.astype(np.uint32).view(np.float32)
    return floats[~np.isnan(floats)]


def test_bfloat16_is_torch_s() -> None:
    values = some_floats()
    expected = torch.from_numpy(values).to(torch.bfloat16)
    assert np.array_equal(to_bfloat16(values), expected.view(torch.int16).numpy().view(np.uint16))
    assert same_bits(from_bfloat16(to_bfloat16(values)), expected.float().numpy())


def test_a_bfloat16_comes_back_as_it_was() -> None:
    halves = np.arange(0x10000, dtype=np.uint16)
    halves = halves[~np.isnan(from_bfloat16(halves))]
    assert np.array_equal(to_bfloat16(from_bfloat16(halves)), halves)


@pytest.mark.parametrize(("size", "expected"), [(0, 0), (1, 16), (16, 16), (17, 32), (250, 256)])
def test_sizes_are_padded_to_whole_panels(size: int, expected: int) -> None:
    assert padded(size) == expected


@pytest.mark.parametrize("target", [*TARGETS, AVX512_BF16], ids=lambda target: target.name)
def test_panels_unpack_to_the_matrix(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "TARGET", target)
    matrix = random(48, 5)
    exact, rounded = panels(matrix, bfloat16=False), panels(matrix, bfloat16=True)
    assert (exact.dtype, rounded.dtype) == (np.float32, np.uint16)
    assert same_bits(unpacked(exact, 48, 5), matrix)
    assert same_bits(unpacked(rounded, 48, 5, target), from_bfloat16(to_bfloat16(matrix)))


def test_a_panel_holds_sixteen_outputs_of_one_input_after_the_other() -> None:
    matrix = np.arange(32 * 3, dtype=np.float32).reshape(32, 3)
    stored = panels(matrix, bfloat16=False)
    assert stored[:16].tolist() == matrix[:16, 0].tolist()
    assert stored[16:32].tolist() == matrix[:16, 1].tolist()
    assert stored[48:64].tolist() == matrix[16:, 0].tolist()
