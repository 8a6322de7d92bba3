"""When surprise triggers a take."""

from __future__ import annotations


class SurpriseTrigger:
    """Follows how surprising what is heard is. Pure: times come in."""

    def __init__(self) -> None:
        self._is_high = False
        self._triggered_at_seconds = -float("inf")

    def follow(self, over_usual: float, now_seconds: float, *, on: str, threshold: float, hold_seconds: float) -> bool:
        """Take the next value; returns whether a take is to be made now.

        Args:
            over_usual: nats a bin above the usual.
            on: ``rise``: where it comes to the threshold; ``fall``: where it comes back below half of it; ``off``.
            hold_seconds: after a take that was triggered no other is for so long.
        """
        was_high = self._is_high
        # once high it stays so down to half the threshold: a value that trembles is one surprise
        self._is_high = over_usual >= (0.5 * threshold if was_high else threshold)
        turned = self._is_high != was_high and self._is_high == (on == "rise")
        if on == "off" or not turned or now_seconds - self._triggered_at_seconds < hold_seconds:
            return False
        self._triggered_at_seconds = now_seconds
        return True
