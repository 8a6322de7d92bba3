"""The alternatives to takes that are not made yet: who asked for them, and who is told when they are."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bridge.osc.answers import MESSAGE_CHARACTERS, Answers, Asked, flat
from bridge.processes.job import Job
from bridge.processes.messages import VariationLost, VariationMade
from bridge.protocol.errors import CommandError, FailCode
from bridge.protocol.types import Value
from bridge.takes.take_list import ListedTake, TakeList

MOST_UNMADE = 128
"""Of all clients: what waits for its turn stays little."""


@dataclass(frozen=True)
class _Unmade:
    asked: Asked
    of: int
    """The take that it is an alternative to."""
    seed: int


class OpenVariations:
    """Belongs to the daemon's one thread."""

    def __init__(self, answers: Answers, takes: TakeList) -> None:
        self._answers, self._takes = answers, takes
        self._unmade: dict[int, _Unmade] = {}

    def check_room(self, count: int) -> None:
        """Raises CommandError: with so many more, too many would wait."""
        if len(self._unmade) + count > MOST_UNMADE:
            raise CommandError(
                "busy",
                f"{len(self._unmade)} alternatives are still to be made, and {count} more are too many: at most "
                f"{MOST_UNMADE} wait; cancel some, or ask for fewer variations",
            )

    def put(self, asked: Asked, job: Job) -> None:
        """A job was sent to the player: list its alternatives, which are not made yet."""
        for each in job.variations:
            listed = replace(job, number=each.number, seed=each.seed, line=None, variations=())
            self._unmade[each.number] = _Unmade(asked, job.number, each.seed)
            self._takes.add(ListedTake(each.number, listed, job.seconds, "", variation_of=job.number, ready=False))

    def of_job(self, asked: Asked) -> tuple[int, ...]:
        """Numbers of those that this client asked for with this id."""
        return tuple(number for number, each in self._unmade.items() if asked.is_same_job(each.asked))

    def made(self, event: VariationMade) -> None:
        """One is made: it can be recalled."""
        unmade, listed = self._unmade.pop(event.number, None), self._takes.get(event.number)
        if unmade is None or listed is None:
            return
        self._takes.add(replace(listed, seconds=event.seconds, file=event.file, ready=True))
        self._tell(event.number, unmade, {"ready": True, "seconds": event.seconds, "file": event.file})

    def lost(self, event: VariationLost) -> None:
        """One will not be made."""
        self._lose(event.number, event.code, event.message)

    def lose_of(self, take: int, code: FailCode, message: str) -> None:
        """A job is refused, and with it what was to be an alternative to its take."""
        for number in [number for number, each in self._unmade.items() if each.of == take]:
            self._lose(number, code, message)

    def lose_all(self, code: FailCode, message: str) -> None:
        """None of them will be made."""
        for number in list(self._unmade):
            self._lose(number, code, message)

    def _lose(self, number: int, code: FailCode, message: str) -> None:
        unmade = self._unmade.pop(number, None)
        if unmade:
            self._takes.remove(number)
            self._tell(number, unmade, {"ready": False, "code": code, "why": message[:MESSAGE_CHARACTERS]})

    def _tell(self, number: int, one: _Unmade, told: dict[str, Value]) -> None:
        left = sum(each.of == one.of for each in self._unmade.values())
        named: dict[str, Value] = {"take": number, "variation_of": one.of, "seed": one.seed, **told, "left": left}
        self._answers.answer(one.asked, "variation", flat(named))
