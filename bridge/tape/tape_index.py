"""What lies on the tape besides its sound, as the stage knows it: enough for a new player to go on from."""

from __future__ import annotations

from bridge.processes.messages import Edited, RestoreTape, StartLoop
from bridge.takes.take_list import TakeList


class TapeIndex:
    """Belongs to the daemon's one thread."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """The tape is blank."""
        self.loop: StartLoop | None = None
        """The loop that repeats a part of it."""
        self.edited = Edited(((),), 0)
        """Its changes, as the player told."""

    @property
    def takes(self) -> tuple[int, ...]:
        """Numbers of the takes that lie on it."""
        return self.edited.takes

    def refused(self, number: int) -> None:
        """The player could not obey this request."""
        if self.loop and self.loop.number == number:
            self.loop = None

    def restoring(self, book: TakeList) -> RestoreTape | None:
        """What a new player has to be told; None: nothing."""
        numbers = sorted({number for version in self.edited.versions for number in version})
        booked = [book.get(number) for number in numbers]
        takes = tuple(take.placed for take in booked if take and take.placed)
        return RestoreTape(takes, self.edited, self.loop) if takes or self.loop else None
