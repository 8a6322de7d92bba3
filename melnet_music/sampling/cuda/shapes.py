"""Sizes that the kernel, the weights packed for it and their cost have in common. Imports neither torch nor Triton."""

from __future__ import annotations

from melnet_music.model.config import CellName

CELL_NUMBERS: dict[CellName, int] = {"mingru": 0, "gru": 1, "lstm": 2}
"""As `melnet_music.sampling.cuda.draw_kernel` tells cells apart."""
GATES: dict[CellName, int] = {"mingru": 2, "gru": 3, "lstm": 4}
PARTS_OF_THETA = 4
"""Parts of a mixture's row: pi logits, mu, sigma, and one that is empty, for a kernel's sizes are powers of two."""
_LEAST_ROOM = 4


def component_room(components: int) -> int:
    """Places for a mixture's components in each part of its row."""
    return max(_LEAST_ROOM, 1 << (components - 1).bit_length())
