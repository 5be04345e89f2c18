"""How many calls may be made a second time: a share of those that succeed, so that retries never outgrow the calls."""

from __future__ import annotations

from typing import Final

__all__ = ["RetryBudget"]

_SHARE: Final = 0.2
_MOST: Final = 10.0


class RetryBudget:
    """A bucket of tokens, full at first: each call that succeeds adds a share of one, each retry takes one.

    Finagle's RetryBudget and gRPC's throttling (proposal A6) do alike.
    """

    __slots__ = ("full", "tokens")

    def __init__(self) -> None:
        self.tokens = _MOST
        self.full = True

    @property
    def allows(self) -> bool:
        """Whether a retry may be made now."""
        return self.tokens >= 1

    def deposit(self) -> None:
        """A call has succeeded."""
        self.tokens = min(self.tokens + _SHARE, _MOST)
        self.full = self.tokens == _MOST

    def withdraw(self) -> bool:
        """Take one for a retry, if there is one."""
        if not self.allows:
            return False
        self.tokens -= 1
        self.full = False
        return True
