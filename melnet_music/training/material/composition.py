"""What is to be composed for a training. Apart from the composing, whose imports take seconds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Composition:
    """What is to be composed."""

    kind: str
    """``piano`` or ``music``."""
    works: int
    """The first so many of the collection, by number; those of the split ``test`` are left out."""
    seed: int
    """Of the collection: the works are those of ``make-data`` of the same kind and seed."""
    sounds: Path
    """A folder of one-shots, see `one_shots`."""
