"""The alternatives to takes that are still to be made, those of the oldest take first."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterable
from dataclasses import dataclass, replace

from bridge.player.variations.together import DrawnVariation
from bridge.processes.job import Again, Job, Variation
from bridge.tape.tape_commands import KeptTake

_CONTEXT_SECONDS, _AFTER_SECONDS = 20.0, 4.0
"""Before a part is repainted, so much of what was before it is heard anew; what comes after it is drawn with it."""
_HEARING = 0.3
"""To hear takes so much of the time that to make takes. Measured with `piano`, on two cores."""


@dataclass
class _Batch:
    """Of one take."""

    kept: KeptTake
    """That take: all of them go on from its one prompt."""
    unmade: list[Variation]


@dataclass(frozen=True)
class VariationInWork:
    """What is being made."""

    job: Job
    kept: KeptTake
    """The take that it is an alternative to."""
    steps: Generator[None, None, None]


def making_seconds(job: Job) -> float:
    """About how much new audio of a continuation takes as long to make as a job's."""
    if job.kind != "inpaint":
        return job.skip_seconds + job.seconds
    context_seconds = _CONTEXT_SECONDS if job.span else min(_CONTEXT_SECONDS, job.start_seconds)
    return job.seconds + _AFTER_SECONDS + _HEARING * context_seconds


class VariationQueue:
    """Belongs to the player's one thread."""

    def __init__(self) -> None:
        self._batches: list[_Batch] = []
        self._in_work: VariationInWork | None = None
        self._never: set[int] = set()
        self._drawn: dict[int, DrawnVariation] = {}
        """Of those that are not made, what was drawn with their takes, by number."""

    @property
    def is_empty(self) -> bool:
        return not (self._in_work or self._batches)

    @property
    def seconds(self) -> float:
        """As `making_seconds`, of all that are not made; of what is being made as if it were not begun."""
        now = making_seconds(self._in_work.job) if self._in_work else 0.0
        return now + sum(len(batch.unmade) * making_seconds(batch.kept.job) for batch in self._batches)

    def numbers(self, *, on_tape: bool = False) -> list[int]:
        """Of all that are not made, or of those that repaint a part of the tape."""
        jobs = [self._in_work.job] if self._in_work else []
        found = [job.number for job in jobs if job.span or not on_tape]
        for batch in self._batches:
            if batch.kept.job.span or not on_tape:
                found += [each.number for each in batch.unmade]
        return found

    def put(self, variations: Collection[Variation], kept: KeptTake, drawn: Collection[DrawnVariation] = ()) -> None:
        """A take is made: its alternatives may be, but for those that were cancelled meanwhile.

        Args:
            drawn: those that were drawn with it, as far as it went.
        """
        unmade = [each for each in variations if each.number not in self._never]
        self._never -= {each.number for each in variations}
        if unmade:
            self._batches.append(_Batch(replace(kept, edit=None), unmade))
            numbers = {each.number for each in unmade}
            self._drawn.update({each.number: each for each in drawn if each.number in numbers and each.drawn.frames})

    def in_work(self, make: Callable[[KeptTake, Job], Generator[None, None, None]]) -> VariationInWork:
        """What is being made, or else the next one, which is begun. There must be one.

        Args:
            make: returns the steps that make it.
        """
        if self._in_work is None:
            batch = self._batches[0]
            variation, take = batch.unmade.pop(0), batch.kept.job
            self._batches = [each for each in self._batches if each.unmade]
            job = replace(
                take,
                number=variation.number,
                seed=variation.seed,
                line=None,
                again=Again(take.number, "", "notes" if take.was_planned else "sound"),
                variation_of=take.number,
            )
            self._in_work = VariationInWork(job, batch.kept, make(batch.kept, job))
        return self._in_work

    def take_drawn(self, number: int) -> DrawnVariation | None:
        """What was drawn of one that is begun now; None: nothing."""
        return self._drawn.pop(number, None)

    def end(self) -> None:
        """What was in work is made, or will not be."""
        self._in_work = None

    def never(self, number: int) -> None:
        """Do not make one of a take that is not made itself yet."""
        self._never.add(number)

    def drop(self, numbers: Collection[int]) -> list[int]:
        """Forget some; returns the numbers of those that were not made yet."""
        return [each.number for each in self._drop(lambda number, take: number in numbers)]

    def take_back(self, take: int) -> tuple[Variation, ...]:
        """Forget those of a take, and return them."""
        return tuple(self._drop(lambda number, of: of == take))

    def _drop(self, is_gone: Callable[[int, int], bool]) -> Iterable[Variation]:
        """Forget those of which a function of their number and their take's says so."""
        dropped: list[Variation] = []
        now = self._in_work
        if now and is_gone(now.job.number, now.kept.job.number):
            now.steps.close()
            dropped.append(Variation(now.job.number, now.job.seed))
            self._in_work = None
        for batch in self._batches:
            dropped += [each for each in batch.unmade if is_gone(each.number, batch.kept.job.number)]
            batch.unmade = [each for each in batch.unmade if not is_gone(each.number, batch.kept.job.number)]
        self._batches = [batch for batch in self._batches if batch.unmade]
        for each in dropped:
            self._drawn.pop(each.number, None)
        return dropped
