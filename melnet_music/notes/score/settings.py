"""What a player may ask of a plan."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_TONICS = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}
_SHIFTS = {"": 0, "#": 1, "b": -1}
_MODES = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "pentatonic": (0, 2, 4, 7, 9),
    "blues": (0, 3, 5, 6, 7, 10),
}
FREE = "free"
FEWEST_NOTES = 4
"""Fewer are nothing to go on from."""


@dataclass(frozen=True)
class PlanSettings:
    """How to plan."""

    temperature: float = 1.0
    """Of when, which and how long; lower: nearer to what is likeliest."""
    top_p: float = 0.98
    """Values are drawn from the likeliest that have this probability together."""
    density: float = 1.0
    """Notes a quarter, relative to what was heard."""
    scale: str = FREE
    """A key to keep to, as ``c major`` or ``f# dorian``; ``free``: none."""
    register: float = 0.0
    """Semitones by which the plan lies above what was heard, on the whole."""
    hold: float = 1.0
    """How firmly density, register and pitch classes are led back to what was heard; 0: not at all."""

    def __post_init__(self) -> None:
        for name, low, high in (
            ("temperature", 0.05, 4.0), ("top_p", 0.05, 1.0), ("density", 0.1, 8.0), ("register", -36.0, 36.0),
            ("hold", 0.0, 4.0),
        ):  # fmt: skip
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"{name} is {value:g}, want {low:g} to {high:g}")
        pitch_classes(self.scale)


def pitch_classes(scale: str) -> NDArray[np.bool_]:
    """``[12]``, C first: which a scale has.

    Raises:
        ValueError: there is no such scale.
    """
    words = scale.strip().lower().split()
    if words == [FREE]:
        return np.ones(12, bool)
    tonic, mode = (words[0], words[1] if len(words) == 2 else "major") if 0 < len(words) < 3 else ("", "")
    name, shift = tonic[:1], tonic[1:]
    if name not in _TONICS or shift not in _SHIFTS or mode not in _MODES:
        raise ValueError(
            f"no scale {scale!r}: want {FREE}, or a tonic and a mode as 'c major' or 'f# dorian', "
            f"with one of {', '.join(_MODES)}"
        )
    chosen = np.zeros(12, bool)
    chosen[(_TONICS[name] + _SHIFTS[shift] + np.array(_MODES[mode])) % 12] = True
    return chosen
