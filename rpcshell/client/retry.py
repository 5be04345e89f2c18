"""When a call that a lost connection has cut short may be sent again, to a single server.

It goes again only where the first one provably did not run (it was never sent whole, or the server announced the close
before its reply), or where the caller says that it is idempotent: then once. Over a fleet, that and more is
`rpcshell.client.fleet.failover`'s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from rpcshell.client.errors import ConnectionFailed, ConnectionLost

if TYPE_CHECKING:
    from rpcshell.client.exchange import Dropped
    from rpcshell.client.target import Target

# A server that is being reloaded may turn a request away more than once; one that always does is broken.
_MOST_ATTEMPTS: Final = 5


class Attempts(msgspec.Struct):
    """The attempts at one call, which may run twice if it is `idempotent`; who makes them says here how one failed."""

    target: Target
    idempotent: bool
    count: int = 0
    may_have_run: bool = False

    def not_connected(self, error: ConnectionFailed) -> None:
        """Say that no connection for this attempt could be made; the caller raises `error`, unless this raises.

        Raises:
            ConnectionLost: An earlier attempt may have run.
        """
        if self.may_have_run:
            reason = f"reconnecting failed: {error.reason}"
            raise ConnectionLost(self.target, reason, may_have_run=True, hint=error.hint) from error

    def lost(self, dropped: Dropped) -> None:
        """Go on to another attempt, after the connection of the last one ended.

        Raises:
            ConnectionLost: There may be no other.
        """
        self.count += 1
        again = dropped.not_run or (self.idempotent and not self.may_have_run)
        self.may_have_run = self.may_have_run or not dropped.not_run
        if not again or self.count >= _MOST_ATTEMPTS:
            raise ConnectionLost(
                self.target, dropped.reason, may_have_run=self.may_have_run, hint=dropped.hint
            ) from dropped
