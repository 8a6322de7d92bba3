"""How far two sets of measurements are apart."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def frechet_distance(one: Array, other: Array) -> float:
    """Squared Frechet distance of the Gaussians fitted to two sets of vectors ``[N, D]`` (Dowson and Landau 1982).

    ``|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2))``, the root's trace from the eigenvalues of the symmetric
    ``C1^(1/2) C2 C1^(1/2)``.

    Raises:
        ValueError: a set has fewer than two vectors, or the lengths differ.
    """
    if one.ndim != 2 or other.ndim != 2 or one.shape[1] != other.shape[1] or min(len(one), len(other)) < 2:
        raise ValueError(f"expected two sets of two vectors and more of one length, got {one.shape} and {other.shape}")
    first, second = (np.atleast_2d(np.cov(vectors, rowvar=False)) for vectors in (one, other))
    root = _square_root(first)
    # the eigenvalues of the product's root are the square roots of these
    eigenvalues = np.linalg.eigvalsh(root @ second @ root)
    cross = np.sqrt(np.maximum(eigenvalues, 0)).sum()
    offset = one.mean(0) - other.mean(0)
    return max(float(offset @ offset + np.trace(first) + np.trace(second) - 2 * cross), 0.0)


def _square_root(symmetric: Array) -> Array:
    values, vectors = np.linalg.eigh(symmetric)
    root: Array = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    return root


def divergence_bits(one: Array, other: Array) -> float:
    """Jensen-Shannon divergence of two histograms, whatever their sums: 0 equal, 1 nothing in common.

    Raises:
        ValueError: a histogram is empty.
    """
    if one.sum() <= 0 or other.sum() <= 0:
        raise ValueError("expected histograms with something in them, got an empty one")
    p, q = one / one.sum(), other / other.sum()
    middle = (p + q) / 2
    return float(sum(0.5 * (a[a > 0] * np.log2(a[a > 0] / middle[a > 0])).sum() for a in (p, q)))


def transport_distance(one: Array, other: Array) -> float:
    """Wasserstein-1 distance of two sets of numbers, in their unit: how far on average one must be moved."""
    from scipy.stats import wasserstein_distance  # takes seconds

    return float(wasserstein_distance(one, other))
