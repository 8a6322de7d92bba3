"""The beat grid: notes in steps, and bars of any meter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

STEPS_PER_QUARTER = 12
LOWEST_PITCH, PITCHES = 21, 88
"""The keys of a piano, in MIDI pitches."""
_LONGEST_BAR_QUARTERS = 64


@dataclass(frozen=True, order=True)
class GridNote:
    """A note on the grid; ordered by onset, then pitch."""

    onset: int
    """Step, counted from the start of the first bar."""
    pitch: int
    """MIDI note number."""
    steps: int
    """Length, at least 1."""
    velocity: int | None = None
    """MIDI velocity, 1..127; none where it is not known."""


@dataclass(frozen=True)
class Meter:
    """A time signature."""

    numerator: int
    denominator: int

    def __post_init__(self) -> None:
        quarters = 4 * self.numerator / self.denominator if self.denominator else 0.0
        if not 0 < quarters <= _LONGEST_BAR_QUARTERS or 4 * STEPS_PER_QUARTER % self.denominator:
            raise ValueError(
                f"meter {self.numerator}/{self.denominator}: want a denominator of 1, 2, 4, 8 or 16 and bars of at "
                f"most {_LONGEST_BAR_QUARTERS} quarters"
            )

    @property
    def steps(self) -> int:
        """Of a bar."""
        return self.numerator * 4 * STEPS_PER_QUARTER // self.denominator

    @property
    def is_compound(self) -> bool:
        """Whether the pulse has three eighths, as in 6/8."""
        return self.denominator == 8 and self.numerator % 3 == 0


class Bars:
    """Where bars begin. The last meter goes on for ever; a first bar that is short is an upbeat.

    Attributes:
        starts: ``[bars + 1]`` steps; one bar's end is the next one's start.
        upbeat: steps that the first bar lacks at its start.
        compound: ``[bars]``, 1 where the pulse has three eighths.
    """

    def __init__(self, starts: Sequence[int], meters: Sequence[Meter]) -> None:
        """
        Args:
            starts: of the bars that are known, increasing from 0; the last one's length follows from its meter.
            meters: one a bar.

        Raises:
            ValueError: no bar, not as many meters as bars, or starts that do not increase from 0.
        """
        if not starts or len(starts) != len(meters) or starts[0] != 0:
            raise ValueError(f"{len(starts)} starts and {len(meters)} meters: want as many, from step 0, at least one")
        if any(later <= earlier for earlier, later in pairwise(starts)):
            raise ValueError("starts of bars must increase")
        self.meters = list(meters)
        self.starts: NDArray[np.int32] = np.array([*starts, starts[-1] + meters[-1].steps], np.int32)
        first = int(self.starts[1])
        self.upbeat = meters[0].steps - first if len(starts) > 1 and first < meters[0].steps else 0
        self.compound: NDArray[np.int8] = np.array([meter.is_compound for meter in meters], np.int8)

    @classmethod
    def of(cls, meter: Meter, bars: int = 1) -> Bars:
        """Equal bars."""
        return cls([bar * meter.steps for bar in range(bars)], [meter] * bars)

    def __len__(self) -> int:
        return len(self.meters)

    @property
    def end(self) -> int:
        """The step after the last bar that is written out."""
        return int(self.starts[-1])

    def reach(self, step: int) -> None:
        """Write out bars of the last meter until one ends after ``step``."""
        if step < self.end:
            return
        length = self.meters[-1].steps
        more = (step - self.end) // length + 1
        self.meters += [self.meters[-1]] * more
        self.starts = np.append(self.starts, self.end + length * np.arange(1, more + 1)).astype(np.int32)
        self.compound = np.append(self.compound, np.full(more, self.compound[-1])).astype(np.int8)

    def bar_at(self, step: int) -> int:
        """The number of the bar that holds a step, from 0; steps before the first bar belong to it."""
        self.reach(step)
        return max(int(np.searchsorted(self.starts, step, side="right")) - 1, 0)

    def start(self, bar: int) -> int:
        """The first step of a bar."""
        while len(self) < bar:
            self.reach(self.end)
        return int(self.starts[bar])

    def change(self, bar: int, meter: Meter) -> None:
        """From this bar on another meter holds, until it changes again."""
        start = self.start(bar)
        self.meters = [*self.meters[:bar], meter]
        self.starts = np.append(self.starts[:bar], (start, start + meter.steps)).astype(np.int32)
        self.compound = np.append(self.compound[:bar], meter.is_compound).astype(np.int8)

    def differs_from(self, other: Bars) -> bool:
        """Whether a bar that is written out in one begins elsewhere, or has another meter, in the other."""
        bars = max(len(self), len(other))
        mine, others = self.copy(), other.copy()
        for each in (mine, others):
            each.start(bars)
        return mine.meters[:bars] != others.meters[:bars] or bool((mine.starts[:bars] != others.starts[:bars]).any())

    def copy(self) -> Bars:
        """An equal one, to be written out on its own."""
        return Bars([int(start) for start in self.starts[:-1]], self.meters)
