"""Soft takeover: a knob that is turned does not make a property jump."""

from __future__ import annotations

NEAR = 1.5 / 127
"""Of the way of a knob: so near, it has arrived."""


class SoftTakeover:
    """One knob and one property. All positions are 0 to 1."""

    def __init__(self) -> None:
        self._before: float | None = None
        self._left_at: float | None = None
        """Where this knob left the property."""

    def takes_hold(self, position: float, present: float | None) -> bool:
        """Whether the property follows the knob to here.

        It does from where the knob comes near the property or passes it, until something else moves the property.

        Args:
            position: of the knob.
            present: of the property; None: nobody knows.
        """
        before, self._before = self._before, position
        if present is None or present == self._left_at or abs(position - present) <= NEAR:
            return True
        if before is not None and min(before, position) <= present <= max(before, position):
            return True
        self._left_at = None  # it is elsewhere now, even if the property comes back to there
        return False

    def leave_at(self, present: float | None) -> None:
        """The knob moved the property to here."""
        self._left_at = present
