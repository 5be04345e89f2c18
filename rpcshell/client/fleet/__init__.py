"""The instances that a client may call, and the rule by which a call goes to one of them, once more, or no further.

A request goes again only where the first one provably did not run (it was never sent whole, or the server announced
the close before its reply), or where the caller says that it is idempotent: then once. Connections are the clients'.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rpcshell.client.errors import ConnectionLost

if TYPE_CHECKING:
    from rpcshell.client.errors import ConnectionFailed
    from rpcshell.client.exchange import Dropped
    from rpcshell.client.target import Target

__all__ = ["Attempts", "Fleet"]

# A server that is being reloaded may turn a request away more than once; one that always does is broken.
_MOST_ATTEMPTS: Final = 5


class Fleet:
    """The instances of one service. Today that is one address, and the next instance is always the same."""

    def __init__(self, target: Target) -> None:
        self._instance = target

    def choose(self) -> Target:
        """The instance that the next attempt at a call goes to."""
        return self._instance


class Attempts:
    """The attempts at one call, which may run twice if it is `idempotent`.

    `instance` says where the next one goes; who makes it says here how it failed.
    """

    __slots__ = ("_count", "_fleet", "_idempotent", "_may_have_run", "instance")

    def __init__(self, fleet: Fleet, idempotent: bool) -> None:
        self._fleet = fleet
        self._idempotent = idempotent
        self._count = 0
        self._may_have_run = False
        self.instance = fleet.choose()

    def not_connected(self, error: ConnectionFailed) -> None:
        """Say that no connection for this attempt could be made; the caller raises `error`, unless this raises.

        Raises:
            ConnectionLost: An earlier attempt may have run.
        """
        if self._may_have_run:
            reason = f"reconnecting failed: {error.reason}"
            raise ConnectionLost(self.instance, reason, may_have_run=True, hint=error.hint) from error

    def lost(self, dropped: Dropped) -> None:
        """Choose an instance for another attempt, after the connection of the last one ended.

        Raises:
            ConnectionLost: There may be no other.
        """
        self._count += 1
        again = dropped.not_run or (self._idempotent and not self._may_have_run)
        self._may_have_run = self._may_have_run or not dropped.not_run
        if not again or self._count >= _MOST_ATTEMPTS:
            raise ConnectionLost(
                self.instance, dropped.reason, may_have_run=self._may_have_run, hint=dropped.hint
            ) from dropped
        self.instance = self._fleet.choose()
