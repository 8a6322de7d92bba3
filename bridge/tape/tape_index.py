"""What the stage knows of the tape, so that a new player can go on from it: its edit history and its loop."""

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
        """Its edit history, as the player last reported it."""

    @property
    def takes(self) -> tuple[int, ...]:
        """Numbers of the takes on it."""
        return self.edited.takes

    def refused(self, number: int) -> None:
        """The player refused this request: if it was to start the loop, there is none."""
        if self.loop and self.loop.number == number:
            self.loop = None

    def restore_request(self, takes: TakeList) -> RestoreTape | None:
        """What a new player has to be told; None: nothing."""
        numbers = sorted({number for version in self.edited.versions for number in version})
        known = [takes.get(number) for number in numbers]
        placed = tuple(take.placed for take in known if take and take.placed)
        return RestoreTape(placed, self.edited, self.loop) if placed or self.loop else None
