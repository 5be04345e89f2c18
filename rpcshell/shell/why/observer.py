"""What a shell keeps of its latest calls beside the journal: their exchanges, and how a local server looked meanwhile.

A call that is silent for long, or brings no reply, has the server looked at from a thread of its own, so that it is
never held up; a server that cannot be looked at is tried once. The bytes of the last call alone are kept.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Final

from rpcshell.client.errors import (
    CallTimeout,
    ConnectionFailed,
    ConnectionLost,
    NotConnected,
    ProtocolError,
    ShellError,
    UsageError,
)
from rpcshell.client.trace import Exchange
from rpcshell.shell.journal import MOST_RECORDS
from rpcshell.shell.why.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Thread

    from rpcshell.shell.journal import CallRecord
    from rpcshell.shell.session import Session
    from rpcshell.shell.supervisor import Supervisor
    from rpcshell.shell.why.evidence import Failure, Snapshot

__all__ = ["Observed", "Observer"]

_FAILURES: Final[tuple[tuple[type[ShellError], Failure], ...]] = (
    (UsageError, "unsendable"),
    (ConnectionFailed, "unconnected"),
    (NotConnected, "unconnected"),
    (ConnectionLost, "lost"),
    (CallTimeout, "timeout"),
    (ProtocolError, "protocol"),
)


_PATIENCE: Final = 3.0
"""Seconds for which whoever asks why waits for whoever still looks."""


class WatchedExchange(Exchange):
    """A call whose server may be looked at meanwhile.

    Attributes:
        looking: The thread that last looked at the server for this call, if one did.
        seen: What it saw.
    """

    looking: Thread | None = None
    seen: Snapshot | None = None


class Observed:
    """One call.

    Attributes:
        record: Its record in the journal.
        exchange: What its connection saw.
        failure: How it came to have no reply.
        error: The error it ended with, if it did.
    """

    __slots__ = ("error", "exchange", "failure", "record")

    def __init__(self, record: CallRecord, exchange: WatchedExchange, error: ShellError | None) -> None:
        self.record = record
        self.exchange = exchange
        self.error = error
        self.failure = _failure(error)

    @property
    def snapshot(self) -> Snapshot | None:
        """The server during the call or right after it; waits for whoever is looking. None where nobody could."""
        if self.exchange.looking is not None:
            self.exchange.looking.join(_PATIENCE)
        return self.exchange.seen


class Observer:
    """Goes along with the calls of a shell.

    Args:
        session: Whose calls they are.
        supervisor: Finds the server they go to.
        watchful: Whether to look at the server while a call hangs.

    Attributes:
        tally: The counts of all calls.
        on_call: Called after each call, before its result is shown; None for nobody.
    """

    def __init__(self, session: Session, supervisor: Callable[[], Supervisor], *, watchful: bool) -> None:
        self.tally = Tally()
        self.on_call: Callable[[Observed], None] | None = None
        self._session = session
        self._supervisor = supervisor
        self._watchful = watchful
        self._calls: deque[Observed] = deque(maxlen=MOST_RECORDS)
        self._strangers: set[str] = set()

    @property
    def last(self) -> Observed | None:
        """The last call, or None before the first."""
        return self._calls[-1] if self._calls else None

    def find(self, number: int) -> Observed | None:
        """The call with a number, if it is still known.

        Args:
            number: As the journal counts, from 1.
        """
        return next((call for call in self._calls if call.record.number == number), None)

    def latest_failed(self) -> Observed | None:
        """The last call that brought no result, or None."""
        return next((call for call in reversed(self._calls) if call.record.outcome != "ok"), None)

    def explains(self, error: ShellError) -> bool:
        """Whether there is more to tell of an error than it says: a call hung, or was lost.

        Args:
            error: What was shown.
        """
        call = self.last
        if call is None or call.error is not error:
            return False
        return call.record.outcome == "cancelled" or call.failure in {"lost", "timeout"}

    def begin(self) -> WatchedExchange:
        """What goes along with the next call."""
        return WatchedExchange(self._look if self._watchful else None)

    def ended(self, record: CallRecord, exchange: WatchedExchange, error: ShellError | None = None) -> None:
        """Keep a call.

        Args:
            record: Its record in the journal.
            exchange: What went along with it.
            error: The error it ended with.
        """
        exchange.end()
        if self._calls:
            self._calls[-1].exchange.forget_bytes()
        self.tally.add(record)
        call = Observed(record, exchange, error)
        self._calls.append(call)
        if record.outcome in {"failed", "cancelled"} and self._watchful:
            self._look(exchange)
        if self.on_call is not None:
            self.on_call(call)

    def arbiter(self) -> int | None:
        """The process id of the server that calls go to, where it was spawned here."""
        server = self._session.server
        return server.pid if server is not None and str(self._session.target) in server.addresses else None

    def _look(self, exchange: WatchedExchange) -> None:
        """Have a thread look at the server: again while the call lasts, and once it is over if nobody has."""
        target = str(self._session.target)
        over = bool(exchange.ended)
        if target in self._strangers or (over and exchange.seen is not None):
            return
        if exchange.looking is not None and exchange.looking.is_alive():
            return
        exchange.looking = threading.Thread(target=self._take, args=(exchange, target), name="observer", daemon=True)
        exchange.looking.start()

    def _take(self, exchange: WatchedExchange, target: str) -> None:
        from rpcshell.shell.why.snapshots import take_snapshot

        try:
            path = self._supervisor().path()
        except ShellError:
            self._strangers.add(target)
            return
        exchange.seen = take_snapshot(path, exchange.ends, self.arbiter())


def _failure(error: ShellError | None) -> Failure:
    if isinstance(error, ConnectionLost) and not error.may_have_run:
        return "not_run"
    return next((failure for kind, failure in _FAILURES if isinstance(error, kind)), "")
