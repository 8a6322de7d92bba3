"""Notes that are played by hand: passed on to the player, and remembered for a player that takes a dead one's place."""

from __future__ import annotations

from bridge.player.settings import PlayerSettings
from bridge.processes.child_process import ChildProcess
from bridge.processes.messages import Key, Pedal


class LiveNotes:
    """Belongs to the daemon's one thread."""

    def __init__(self, player: ChildProcess[PlayerSettings]) -> None:
        self._player = player
        self._keys_down: dict[int, Key] = {}
        self._pedal_down: Pedal | None = None
        self.phrase_is_played = False
        """Whether the player records what is played as a phrase for the model."""

    def play(self, event: Key | Pedal) -> None:
        """A key or the sustain pedal has moved."""
        match event:
            case Key():
                self._keys_down.pop(event.key, None)
                if event.velocity:
                    self._keys_down[event.key] = event
            case Pedal():
                self._pedal_down = event if event.down else None
        if self._player.running:
            self._player.send(event)

    def clear(self) -> None:
        """Nothing is held any more, and no phrase is played."""
        self._keys_down.clear()
        self._pedal_down = None
        self.phrase_is_played = False

    def restore(self) -> None:
        """Tell a new player what is held down."""
        for event in (*self._keys_down.values(), *([self._pedal_down] if self._pedal_down else [])):
            self._player.send(event)
