"""Which keys and pedals are down, of several players on one instrument."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

Who: TypeAlias = tuple[str, int]
"""Port and channel."""


@dataclass(frozen=True)
class LetGo:
    """What nobody holds any more."""

    keys: tuple[int, ...]
    pedal: bool


class HeldNotes:
    """A key sounds on until the last of those who hold it lets it go; so with the pedal."""

    def __init__(self) -> None:
        self._keys: dict[int, set[Who]] = {}
        self._pedals: set[Who] = set()

    def strike(self, who: Who, key: int) -> None:
        self._keys.setdefault(key, set()).add(who)

    def release(self, who: Who, key: int) -> bool:
        """Whether the key is up now that was down."""
        holders = self._keys.get(key, set())
        if who not in holders:
            return False
        holders.discard(who)
        if not holders:
            del self._keys[key]
        return not holders

    def press_pedal(self, who: Who) -> bool:
        """Whether the pedal is down now that was up."""
        self._pedals.add(who)
        return len(self._pedals) == 1

    def lift_pedal(self, who: Who) -> bool:
        """Whether the pedal is up now that was down."""
        if who not in self._pedals:
            return False
        self._pedals.discard(who)
        return not self._pedals

    def let_go(self, is_leaving: Callable[[Who], bool]) -> LetGo:
        """Have these let go of everything."""
        leaving = {who for holders in (*self._keys.values(), self._pedals) for who in holders if is_leaving(who)}
        keys = [key for key in sorted(self._keys) for who in sorted(leaving) if self.release(who, key)]
        pedals = [self.lift_pedal(who) for who in sorted(leaving)]
        return LetGo(tuple(keys), any(pedals))
