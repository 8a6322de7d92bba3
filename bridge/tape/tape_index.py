"""What the stage knows of the tape, so that a new player can go on from it: its edit history and its loop."""

from __future__ import annotations

from dataclasses import replace

from bridge.processes.messages import Edited, RestoreTape, Sounding, StartLoop
from bridge.takes.take_list import TakeList

_REMEMBERED = 256


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
        self.sounded: dict[int, Sounding] = {}
        """Where takes sounded, or sound, by their numbers, oldest first."""

    @property
    def takes(self) -> tuple[int, ...]:
        """Numbers of the takes on it."""
        return self.edited.takes

    def sounds(self, sounding: Sounding) -> None:
        """A take sounds, or is over; the oldest are forgotten."""
        self.sounded[sounding.number] = sounding
        while len(self.sounded) > _REMEMBERED:
            del self.sounded[next(iter(self.sounded))]

    def handed_over(self, number: int, at_sample: int) -> None:
        """A take ends at a device time, where another goes on."""
        if number in self.sounded:
            self.sounded[number] = replace(self.sounded[number], stop=at_sample)

    def player_died(self) -> None:
        """No take sounds any more, and what did is not on the tape."""
        self.sounded = {number: each for number, each in self.sounded.items() if each.stop is not None}

    def refused(self, number: int) -> None:
        """The player refused this request, or dropped this job: no take is on the tape, and no loop was started."""
        self.sounded.pop(number, None)
        if self.loop and self.loop.number == number:
            self.loop = None

    def restore_request(self, takes: TakeList) -> RestoreTape | None:
        """What a new player has to be told; None: nothing."""
        numbers = sorted({number for version in self.edited.versions for number in version})
        known = [takes.get(number) for number in numbers]
        placed = tuple(take.placed for take in known if take and take.placed)
        return RestoreTape(placed, self.edited, self.loop) if placed or self.loop else None
