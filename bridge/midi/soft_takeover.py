"""Soft takeover: a control that is not where its property is must reach it before it moves it."""

from __future__ import annotations

NEAR = 1.5 / 127
"""Of the range of a control: at this distance it has reached the property."""


class SoftTakeover:
    """Of one control and one property. All positions are 0 to 1."""

    def __init__(self) -> None:
        self._before: float | None = None
        self._left_at: float | None = None
        """Where this control left the property."""

    def takes_hold(self, position: float, present: float | None) -> bool:
        """Whether the property follows the control to this position.

        It does once the control has come near the property or passed it, until something else changes the property.

        Args:
            position: of the control.
            present: of the property; None: unknown.
        """
        before, self._before = self._before, position
        if present is None or present == self._left_at or abs(position - present) <= NEAR:
            return True
        if before is not None and min(before, position) <= present <= max(before, position):
            return True
        self._left_at = None  # it is elsewhere now, even if the property comes back to there
        return False

    def leave_at(self, present: float | None) -> None:
        """The control moved the property to this position."""
        self._left_at = present
