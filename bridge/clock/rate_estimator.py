"""A count that goes up steadily, and the line through the noisy times at which it was told: ticks of a clock, samples.

The line is that of least squares with older times forgotten bit by bit: recursively, so that a time costs the same
however many came before. Variances are in units of that of the noise, so that its size need not be known here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass
class RateEstimator:
    """At ``seconds`` it is ``count``, and ``period_seconds`` later one more."""

    count: float
    seconds: float
    period_seconds: float
    variance: float = 1.0
    """Of ``seconds``."""
    covariance: float = 0.0
    period_variance: float = 0.0

    def copy(self) -> RateEstimator:
        return replace(self)

    def seconds_at(self, count: float) -> float:
        """When it is ``count``."""
        return self.seconds + (count - self.count) * self.period_seconds

    def count_at(self, seconds: float) -> float:
        """What it is at a time."""
        return self.count + (seconds - self.seconds) / self.period_seconds

    def doubt(self, seconds_variance: float, period_variance: float) -> None:
        """Trust less from here on what came before."""
        self.variance += seconds_variance
        self.period_variance += period_variance

    def variance_at(self, count: float) -> float:
        """How sure `seconds_at` is."""
        ahead = count - self.count
        return self.variance + ahead * (2 * self.covariance + ahead * self.period_variance)

    def skip_to(self, count: float) -> None:
        """Stand at another count on the same line, of which no time was told."""
        ahead = count - self.count
        self.seconds, self.variance = self.seconds_at(count), self.variance_at(count)
        self.covariance += ahead * self.period_variance
        self.count = count

    def add(self, count: float, seconds: float, kept: float) -> None:
        """It was ``count`` at about ``seconds``.

        Args:
            kept: of the weight of what came before: 1 forgets nothing.
        """
        ahead = count - self.count
        error = seconds - self.seconds_at(count)
        variance = self.variance_at(count) / kept
        covariance = (self.covariance + ahead * self.period_variance) / kept
        period_variance = self.period_variance / kept
        gain, period_gain = variance / (1.0 + variance), covariance / (1.0 + variance)
        self.seconds = self.seconds_at(count) + gain * error
        self.count = count
        self.period_seconds += period_gain * error
        self.variance = variance * (1.0 - gain)
        self.covariance = covariance * (1.0 - gain)
        self.period_variance = period_variance - period_gain * covariance
