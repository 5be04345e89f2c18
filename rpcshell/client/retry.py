"""The rule by which a request is sent again after its connection was lost; every client goes by it.

A request goes again only where the first one provably did not run (it was never sent whole, or the server announced
the close before its reply), or where the caller says that it is idempotent: then once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rpcshell.client.errors import ConnectionLost

if TYPE_CHECKING:
    from rpcshell.client.errors import ConnectionFailed
    from rpcshell.client.target import Target

__all__ = ["Attempts", "Dropped"]

# A server that is being reloaded may turn a request away more than once; one that always does is broken.
_MOST_ATTEMPTS: Final = 5


class Dropped(Exception):
    """The connection ended before the reply.

    Attributes:
        reason: How, in a few words.
        not_run: Whether the server provably did not execute the request.
        hint: What to do about it, where there is something to say.
    """

    def __init__(self, reason: str, *, not_run: bool, hint: str | None = None) -> None:
        super().__init__(reason)
        self.hint = hint
        self.reason = reason
        self.not_run = not_run


class Attempts:
    """The attempts at one call.

    Args:
        target: Where it goes, for messages.
        idempotent: Whether it may run twice.
    """

    __slots__ = ("_count", "_idempotent", "_may_have_run", "_target")

    def __init__(self, target: Target, *, idempotent: bool) -> None:
        self._target = target
        self._idempotent = idempotent
        self._count = 0
        self._may_have_run = False

    def not_connected(self, error: ConnectionFailed) -> None:
        """Return if the failure to connect is all there is to tell.

        Args:
            error: Why no connection for the next attempt could be made.

        Raises:
            ConnectionLost: An earlier attempt may have run.
        """
        if self._may_have_run:
            reason = f"reconnecting failed: {error.reason}"
            raise ConnectionLost(self._target, reason, may_have_run=True, hint=error.hint) from error

    def lost(self, dropped: Dropped) -> None:
        """Return if the request may be sent again.

        Args:
            dropped: How the connection of the last attempt ended.

        Raises:
            ConnectionLost: It may not.
        """
        self._count += 1
        again = dropped.not_run or (self._idempotent and not self._may_have_run)
        self._may_have_run = self._may_have_run or not dropped.not_run
        if not again or self._count >= _MOST_ATTEMPTS:
            raise ConnectionLost(
                self._target, dropped.reason, may_have_run=self._may_have_run, hint=dropped.hint
            ) from dropped
