"""Numpy arrays and torch tensors alike, so that what is written once serves training, and playing without torch."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

Array = TypeVar("Array", "Tensor", NDArray[Any])
OtherArray = TypeVar("OtherArray", "Tensor", NDArray[Any])


def namespace(array: Array) -> Any:
    """The module with the functions for this kind: numpy, or torch, which whoever has a tensor has imported."""
    return np if isinstance(array, np.ndarray) else sys.modules["torch"]
