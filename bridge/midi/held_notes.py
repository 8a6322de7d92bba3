"""Which keys and sustain pedals are down, where several ports and channels play one instrument."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

PortChannel: TypeAlias = tuple[str, int]
"""Port and channel."""


@dataclass(frozen=True)
class Released:
    """What nothing holds down any more."""

    keys: tuple[int, ...]
    pedal: bool


class HeldNotes:
    """A key stays down until every port and channel that pressed it has released it; so does the pedal."""

    def __init__(self) -> None:
        self._keys: dict[int, set[PortChannel]] = {}
        self._pedals: set[PortChannel] = set()

    def press(self, who: PortChannel, key: int) -> None:
        """A key goes down."""
        self._keys.setdefault(key, set()).add(who)

    def release(self, who: PortChannel, key: int) -> bool:
        """Whether the key is up now that was down."""
        holders = self._keys.get(key, set())
        if who not in holders:
            return False
        holders.discard(who)
        if not holders:
            del self._keys[key]
        return not holders

    def press_pedal(self, who: PortChannel) -> bool:
        """Whether the pedal is down now that was up."""
        self._pedals.add(who)
        return len(self._pedals) == 1

    def lift_pedal(self, who: PortChannel) -> bool:
        """Whether the pedal is up now that was down."""
        if who not in self._pedals:
            return False
        self._pedals.discard(who)
        return not self._pedals

    def release_all(self, is_leaving: Callable[[PortChannel], bool]) -> Released:
        """Release everything that these ports and channels hold."""
        leaving = {who for holders in (*self._keys.values(), self._pedals) for who in holders if is_leaving(who)}
        keys = [key for key in sorted(self._keys) for who in sorted(leaving) if self.release(who, key)]
        pedals = [self.lift_pedal(who) for who in sorted(leaving)]
        return Released(tuple(keys), any(pedals))
