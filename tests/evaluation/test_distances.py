"""Distances of known sets are what arithmetic says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm

from melnet_music.evaluation.measures.distances import divergence_bits, frechet_distance, transport_distance

SEEDS = st.integers(0, 1000)


def vectors(seed: int, count: int = 50, width: int = 4) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    random = np.random.default_rng(seed)
    return random.standard_normal((count, width)) @ random.standard_normal((width, width))


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_a_set_has_no_frechet_distance_from_itself_and_a_shift_costs_its_square(seed: int) -> None:
    cloud = vectors(seed)
    shift = np.array([1.0, -2.0, 0.5, 0.0])
    assert frechet_distance(cloud, cloud) == pytest.approx(0, abs=1e-8)
    assert frechet_distance(cloud, cloud + shift) == pytest.approx(5.25)


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_the_frechet_distance_is_symmetric_and_that_of_the_matrix_root(seed: int) -> None:
    one, other = vectors(seed), vectors(seed + 5000, count=80)
    first, second = np.cov(one, rowvar=False), np.cov(other, rowvar=False)
    offset = one.mean(0) - other.mean(0)
    expected = offset @ offset + np.trace(first + second - 2 * np.real(sqrtm(first @ second)))
    assert frechet_distance(one, other) == pytest.approx(expected, rel=1e-6, abs=1e-8)
    assert frechet_distance(other, one) == pytest.approx(expected, rel=1e-6, abs=1e-8)


def test_stretched_gaussians_are_as_far_apart_as_their_deviations() -> None:
    cloud = vectors(3, count=400)
    cloud = (cloud - cloud.mean(0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(cloud, rowvar=False)).T)
    assert frechet_distance(cloud, 3 * cloud) == pytest.approx(4 * (3 - 1) ** 2)
    assert frechet_distance(cloud, np.zeros((5, 4))) == pytest.approx(4)  # a set may be degenerate


def test_sets_that_cannot_be_compared_are_refused() -> None:
    with pytest.raises(ValueError, match=r"got \(50, 4\) and \(50, 3\)"):
        frechet_distance(vectors(0), vectors(0, width=3))
    with pytest.raises(ValueError, match="empty"):
        divergence_bits(np.zeros(3), np.ones(3))


def test_the_divergence_runs_from_0_to_1_whatever_the_sums() -> None:
    one = np.array([1.0, 2.0, 0.0, 0.0])
    assert divergence_bits(one, 7 * one) == pytest.approx(0)
    assert divergence_bits(one, np.array([0.0, 0.0, 3.0, 1.0])) == pytest.approx(1)
    assert divergence_bits(np.array([1.0, 0.0]), np.array([1.0, 1.0])) == pytest.approx(
        0.5 * np.log2(1 / 0.75) + 0.5 * (0.5 * np.log2(0.5 / 0.75) + 0.5 * np.log2(0.5 / 0.25))
    )


def test_the_transport_distance_is_how_far_numbers_must_be_moved() -> None:
    assert transport_distance(np.array([0.0, 1.0]), np.array([3.0, 4.0])) == pytest.approx(3)
