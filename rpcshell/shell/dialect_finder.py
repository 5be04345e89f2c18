"""What a target speaks whose dialect nobody has named: taken for rpcshell's own protocol, or what it spoke last time,
until it shows to be another one, and then found out.

So a server of one's own costs nothing more. Looking is `rpcshell.client.detecting`'s business, remembering
`rpcshell.servers.target_memory`'s.
"""

from __future__ import annotations

import time
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from rpcshell.client.any_client import TIMEOUT
from rpcshell.client.dialect_names import dialect_name
from rpcshell.client.dialects import HandshakeFailed
from rpcshell.client.dialects.registry import dialect_factory
from rpcshell.client.errors import CallTimeout, ConnectionFailed, ConnectionLost, ProtocolError, ShellError, UsageError
from rpcshell.client.socket_owners import greets, program_at
from rpcshell.client.target import HttpTarget, Target, TcpTarget

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rpcshell.client.dialects import DialectFactory
    from rpcshell.client.target import TlsFiles
    from rpcshell.client.trace import CallTrace, PendingQuestion
    from rpcshell.client.verdict import Finding
    from rpcshell.servers.target_memory import TargetMemory

PATIENCE: Final = 0.4
"""Seconds in which a server that is not known yet has to say what it offers, before it is looked at more closely."""

_LIMIT_AFTER_GREETING: Final = 0.9

_THIS_MACHINE: Final = {"localhost": "127.0.0.1", "127.0.0.1": "127.0.0.1", "::1": "::1"}
"""Hosts of which it can be told without a connection who listens there."""

_HOLDS: Final = 2.0
"""Seconds for which a target stays what it was found out to be instead of a server to talk to."""


class SpeaksOtherwise(ProtocolError):
    """A call waits in vain: its server speaks another dialect than the one that it was made in."""


class DialectFinder:
    """One target's, which was `asked` for without a dialect.

    The memory is where it is remembered what targets speak. Whoever makes a call tells `note` that it waits for a
    server which says nothing.

    Attributes:
        target: Where to go, with the dialect that it is taken to speak.
        remembered: Whether it spoke that in an earlier session.
        settled: Whether it has spoken it in this one.
        finding: What was found out last, if anything had to be.
        untold: Whether nobody was told yet what was found out.

    Raises:
        ConnectionFailed: It is a URL, of which nothing can be taken for granted, and cannot be connected to.
        ProtocolError: The same, and what is there is nothing to talk to.
    """

    def __init__(
        self,
        asked: Target,
        memory: Callable[[], TargetMemory] | None,
        tls: TlsFiles | None,
        note: Callable[[str], object] | None = None,
        dialects: Mapping[str, DialectFactory] = MappingProxyType({}),
    ) -> None:
        self.asked = asked
        self._dialects = dialects
        self._note = note
        self._memory = memory
        self._tls = tls
        known = None if memory is None else memory().spoken(str(asked))
        self.target = asked if known is None else self._with_headers(known)
        self.remembered = known is not None
        self.settled = False
        self.finding: Finding | None = None
        self.untold = False
        self._verdict: tuple[ProtocolError, float] | None = None
        if isinstance(self.target, HttpTarget) and not self.target.dialect:
            self.look()

    def confirm(self) -> None:
        """It has answered in the dialect that it is taken to speak."""
        if self.settled:
            return
        self.settled = True
        if not self.remembered and self._memory is not None:
            self._memory().learn(str(self.asked), f"{'' if self.target.dialect else 'native:'}{self.target}")
        self.remembered = True

    def looks_first(self, program: str = "") -> bool:
        """Whether to look before anything is said, as a program listens there that may suffer from it.

        It is the one at the other end of a connection, or "" where there is none yet.
        """
        if self.remembered:
            return False
        if not program and isinstance(self.asked, TcpTarget) and self.asked.host in _THIS_MACHINE:
            program = program_at(_THIS_MACHINE[self.asked.host], self.asked.port)
        if not program:
            return False
        return greets(program)

    def changes_dialect(self, error: ShellError) -> bool:
        """Whether what has happened means that it speaks another dialect, in which the same can be done again.

        Raises:
            ProtocolError: As of `look`.
        """
        if isinstance(error, SpeaksOtherwise):
            return True
        if self.settled or not _is_doubtful(error):
            return False
        # Who was waited for in vain for a greeting was so for long enough.
        greeted = not isinstance(error, ConnectionFailed)
        return self._look_if_reached(None if greeted else _LIMIT_AFTER_GREETING)

    def watch(self, trace: CallTrace, limit: float | None) -> None:
        """Look closer where a call is silent for long, which raises `SpeaksOtherwise`, or as `look`, out of the call.

        A server of one's own may take its time, as may one that is known to speak what the call is made in. So may one
        that says nothing at all, where the user has said how long to wait, by a `limit` in seconds; it is told that the
        call waits.

        Raises:
            ProtocolError: It was found out just now to be nothing to talk to.
        """
        if self.settled:
            return
        if not self._may_be_busy(limit):
            self._repeat_verdict()

        def look_closer(question: PendingQuestion | None) -> None:
            if self.settled:
                return
            if self.finding is not None and self.finding.working:
                self._tell_of_waiting(self.finding.error, limit)
                return
            if is_own_server(self.asked):
                self.settled = True
                return
            former = self.finding
            try:
                other = self._look_if_reached(beside=question)
            except ProtocolError as verdict:
                if not self._may_be_busy(limit):
                    raise
                self._tell_of_waiting(verdict, limit)
                return
            if other:
                raise SpeaksOtherwise(f"{self.asked} speaks {self.target.dialect}")
            if self.finding is not former and self.finding is not None and self.finding.target is None:
                self._tell_of_waiting(self.finding.error, limit)

        trace.once_silent(look_closer)

    def look_beside(self, question: PendingQuestion) -> None:
        """Look closer while a question is unanswered that any server knows which speaks what it is taken to speak.

        It may be busy with that one, and have nobody else: it is told that no more will be asked there, so that it can
        go on to others, and its answer is still heard.

        Raises:
            SpeaksOtherwise: It is another dialect that it speaks.
            CallTimeout: It speaks what it is taken for, and will not answer.
            ConnectionFailed: It cannot be connected to any more.
            ProtocolError: It is nothing that is known.
        """
        if is_own_server(self.asked):
            # Of that its control socket tells; all of its workers may be held.
            return
        began = time.monotonic()
        question.leave()
        if self.look(beside=question):
            raise SpeaksOtherwise(f"{self.asked} speaks {self.target.dialect}")
        if question.over:
            raise CallTimeout(round(PATIENCE + time.monotonic() - began, 1))

    def look(self, limit: float | None = None, *, asked: bool = False, beside: PendingQuestion | None = None) -> bool:
        """Find out what it speaks, within `limit` seconds or the usual; whether that is not what it was taken for.

        Where something was asked already that it may be busy with, one that is remembered is still taken for that,
        unless it shows to be something else. Nothing is found out once there are news of what is asked `beside`.

        Raises:
            ProtocolError: It is nothing that is known.
        """
        from rpcshell.client.detecting import find_out

        self._repeat_verdict()
        finding = find_out(self.asked, limit=limit, tls=self._tls, dialects=self._dialects, beside=beside)
        if finding.outcome == "answered":
            return False
        self.finding = finding
        if finding.target is None:
            if self.remembered and asked and finding.outcome not in {"not-rpc", "echo"}:
                return False
            self._verdict = finding.error, time.monotonic()
            raise finding.error
        other = finding.target != self.target
        if other:
            self.target, self.remembered, self.untold = finding.target, False, True
        self.settled = False
        self.confirm()
        return other

    def _may_be_busy(self, limit: float | None) -> bool:
        """Whether a call is worth waiting for although nothing was said to any guess."""
        busy = self.finding is not None and self.finding.busy
        return limit is not None if busy is None else busy

    def _tell_of_waiting(self, verdict: ProtocolError, limit: float | None) -> None:
        if self._note is not None:
            seconds = TIMEOUT if limit is None else limit
            self._note(f"{verdict.message}: its workers may be busy, so the call waits, for {seconds:g} s at most")

    def _repeat_verdict(self) -> None:
        """Say again what was found out just now, as looking takes seconds."""
        if self._verdict is not None and time.monotonic() - self._verdict[1] < _HOLDS:
            raise self._verdict[0]

    def _look_if_reached(self, limit: float | None = None, beside: PendingQuestion | None = None) -> bool:
        try:
            return self.look(limit, asked=True, beside=beside)
        except ConnectionFailed:
            # There was a connection before, and what came of that says more.
            return False

    def _with_headers(self, known: str) -> Target:
        """The target that is remembered; headers, which may be secret, are not."""
        if known == f"native:{self.asked}":
            return self.asked
        try:
            target = Target.parse(known, self._dialects)
            over_http = isinstance(target, HttpTarget)
            given = self._dialects.get(dialect_name(target.dialect))
            dialect_factory(target.dialect, given=given, http=over_http)
        except UsageError:
            return self.asked
        # A file says what is spoken, and never where, nor what is run.
        place = target.address if isinstance(target, HttpTarget) else replace(target, dialect="")
        asked = self.asked.address if isinstance(self.asked, HttpTarget) else self.asked
        if place != asked or (isinstance(self.asked, HttpTarget) and not over_http):
            return self.asked
        return replace(self.asked, dialect=target.dialect) if isinstance(self.asked, HttpTarget) else target


def is_own_server(target: Target) -> bool:
    """Whether a server of the user on this machine listens there."""
    from rpcshell.servers.directory import LocalServer, servers_at

    return isinstance(servers_at([target]).get(target), LocalServer)


def _is_doubtful(error: ShellError) -> bool:
    """Whether an error may mean that a server speaks another dialect."""
    if isinstance(error, ConnectionFailed):
        # There was a connection, and no agreement on it; where there was none, another guess would have none either.
        cause = error.__cause__
        return isinstance(cause, HandshakeFailed | ShellError) and not isinstance(cause, ConnectionFailed)
    return isinstance(error, ProtocolError | ConnectionLost)
