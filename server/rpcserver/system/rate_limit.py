"""Messages that would come by the thousand: a limit on how often one is logged. What is logged is others' matter."""

from __future__ import annotations

from time import monotonic


class RateLimit:
    """Lets one through in a period. Two threads at the same moment may both be let through, which does no harm.

    Args:
        period: seconds between two that are let through.
    """

    def __init__(self, period: float) -> None:
        self._period = period
        self._due = 0.0

    def allows(self) -> bool:
        """Whether it is time for another one, which is then counted as made."""
        now = monotonic()
        if now < self._due:
            return False
        self._due = now + self._period
        return True
