"""The attempts at one call over a fleet: where it goes next, for how long, and when it goes no further. Sans-IO.

What surely did not run goes on to the next instance for nothing. What may have run goes on only if it is idempotent,
once, and while the budget for that lasts; its first attempt then has half of the time that is left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rpcshell.client.diagnosis import NO_TLS
from rpcshell.client.errors import ConnectionFailed, ConnectionLost, ProtocolError
from rpcshell.client.exchange import CLOSED_HERE, Dropped
from rpcshell.client.target import ServersetTarget, Target

if TYPE_CHECKING:
    from rpcshell.client.fleet.balancer import Balancer
    from rpcshell.client.fleet.instances import Candidate
    from rpcshell.client.trace import CallTrace

Failure = ConnectionFailed | Dropped | TimeoutError | ProtocolError
"""What ends an attempt."""

_TURNED_AWAY: Final = 5
"""Attempts beyond one an instance: servers that are being reloaded may turn a request away more than once."""

_PATIENCE: Final = 1.0
"""Seconds for a connection, where there is another instance to go to."""

_TIMED_OUT_EJECTION: Final = 1.0
"""Seconds without calls, at least, for who did not reply in time."""

_TOLD: Final = 4
"""Instances of which an error tells."""


class Failover:
    """The attempts at one call, which may run twice if it is `idempotent`.

    Who makes them asks `choose` for an instance, gives it back by `release`, and says in between how it went. Errors
    about all instances name the `fleet`.
    """

    # Most calls need nothing of this, so that it is set where something has failed.
    tried: frozenset[Candidate] = frozenset()
    """Where the next attempt shall not go."""
    _refused: frozenset[Candidate] = frozenset()
    _reasons: tuple[tuple[Target, str], ...] = ()
    _count = 0
    may_have_run = False
    """Whether an attempt so far may have run."""
    last: Target | None = None
    """Where the last attempt that failed went."""

    def __init__(self, balancer: Balancer, fleet: Target, idempotent: bool, trace: CallTrace | None = None) -> None:
        self._balancer = balancer
        self._fleet = fleet
        self.idempotent = idempotent
        self._trace = trace
        self.closings = balancer.closings

    def choose(self) -> Candidate | None:
        """The instance for the next attempt, or None while all are busy: ask again when one is released.

        Raises:
            ConnectionFailed: The fleet has no instances.
        """
        candidate = self._balancer.choose(self.tried)
        if candidate is None and not len(self._balancer):
            raise ConnectionFailed(self._fleet, "no server is registered there")
        return candidate

    def attempt_deadline(self, now: float, deadline: float | None) -> float | None:
        """When the attempt is over, on the clock of `now`: halfway to `deadline`, if another one may follow."""
        if not self.idempotent or deadline is None or not self._may_run_again() or self._is_last():
            return deadline
        return now + (deadline - now) / 2

    def dialling_limit(self, usual: float) -> float:
        """The seconds for a connection, of `usual` ones: no more than a second, if there is another instance."""
        return usual if self._is_last() else min(usual, _PATIENCE)

    def failed(self, candidate: Candidate, error: Failure, *, whole: bool) -> None:
        """Go on to another instance, or to the same if it is alone, as the attempt at this one has failed.

        `whole` tells that it had all the time that the call may take.

        Raises:
            ConnectionFailed: No connection to this one could be made, and there is no other.
            ConnectionLost: The connection ended before the reply, and the call may go no further.
            TimeoutError: No reply came in time, likewise.
            ProtocolError: What answered does not speak the protocol.
        """
        match error:
            case ConnectionFailed():
                self._not_connected(candidate, error)
            case Dropped() if self.closings != self._balancer.closings:
                raise ConnectionLost(candidate.target, CLOSED_HERE, may_have_run=not error.not_run) from None
            case Dropped():
                self._lost(candidate, error)
            case TimeoutError():
                if not self._timed_out(candidate, whole=whole):
                    raise error
            case ProtocolError():
                self._balancer.failed(candidate, error.message)
                raise error

    def _not_connected(self, candidate: Candidate, error: ConnectionFailed) -> None:
        if error.hint == NO_TLS and (candidate.served or isinstance(self._fleet, ServersetTarget)):
            # It is known to speak TLS, so something else is wrong.
            error.hint = None
        self._balancer.failed(candidate, error.reason)
        self._add(candidate, error.reason, may_have_run=False)
        self._refused |= {candidate}
        if self._spent() or self._balancer.exhausted(self._refused):
            if self.may_have_run:
                raise ConnectionLost(candidate.target, error.reason, may_have_run=True, hint=error.hint) from error
            if self._count == 1:
                raise error
            raise ConnectionFailed(self._fleet, self._all_reasons(), hint=error.hint) from error
        self._start_over()

    def _lost(self, candidate: Candidate, dropped: Dropped) -> None:
        again = dropped.not_run
        if dropped.not_run:
            self._balancer.left(candidate)
        else:
            self._balancer.failed(candidate, dropped.reason)
            again = self._may_run_again() and self._balancer.budget.withdraw()
        self._add(candidate, dropped.reason, may_have_run=not dropped.not_run)
        self.may_have_run = self.may_have_run or not dropped.not_run
        if not again or self._spent():
            raise ConnectionLost(
                candidate.target, dropped.reason, may_have_run=self.may_have_run, hint=dropped.hint
            ) from dropped
        self._start_over()

    def _timed_out(self, candidate: Candidate, *, whole: bool) -> bool:
        """Whether the call goes on to another instance, as no reply came; not if its `whole` time is over."""
        self._balancer.failed(candidate, "no reply in time", at_least=_TIMED_OUT_EJECTION)
        self._add(candidate, "no reply in time", may_have_run=True)
        again = not whole and self._may_run_again() and self._balancer.budget.withdraw()
        self.may_have_run = True
        self._start_over()
        return again

    def _may_run_again(self) -> bool:
        return self.idempotent and not self.may_have_run and self._balancer.budget.allows

    def _is_last(self) -> bool:
        """Whether there is none to go to after the one that is tried now."""
        return len(self.tried) + 1 >= len(self._balancer)

    def _spent(self) -> bool:
        return self._count >= len(self._balancer) + _TURNED_AWAY

    def _add(self, candidate: Candidate, reason: str, *, may_have_run: bool) -> None:
        if self._trace is not None:
            self._trace.attempt_failed(reason, may_have_run=may_have_run)
        self._count += 1
        self.last = candidate.target
        self.tried |= {candidate}
        self._reasons += ((candidate.target, reason),)

    def _start_over(self) -> None:
        """Where all were tried, try those again that did take a connection: servers that reload, or a lone one."""
        if self._balancer.exhausted(self.tried):
            self.tried = frozenset() if self._balancer.exhausted(self._refused) else self._refused

    def _all_reasons(self) -> str:
        last = dict(self._reasons)
        told = [f"{target}: {reason}" for target, reason in list(last.items())[:_TOLD]]
        more = len(last) - len(told)
        return "; ".join(told) + (f"; and {more} more" if more > 0 else "")
