"""The blocking client: calls methods at one target, reconnects, and sends again only what provably did not run.

Made for programs as well as for the shell. Threads, catalogs and anything on a screen are elsewhere; the
socket itself is in `rpcshell.client.connection`.
"""

from __future__ import annotations

import time
from types import EllipsisType
from typing import TYPE_CHECKING, Any, Final

from rpcshell.client.connection import Connection
from rpcshell.client.errors import CallError, CallTimeout, ConnectionFailed, UsageError
from rpcshell.client.retry import Attempts, Dropped
from rpcshell.client.target import Target, TcpTarget
from rpcwire import MAX_REPLY, EncodeError, FrameTooLarge

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from rpcshell.client.tls import TlsFiles
    from rpcshell.client.trace import Exchange
    from rpcwire import Reply

__all__ = ["CONNECT_TIMEOUT", "TIMEOUT", "Client", "connect"]

TIMEOUT: Final = 90.0
"""Seconds a call may take unless told otherwise: longer than the 60 s after which rpcserver ends a request itself."""

CONNECT_TIMEOUT: Final = 10.0
"""Seconds for making a connection unless told otherwise."""


class Client:
    """A blocking client of one target, with one connection that is made when it is needed.

    A request is sent again, once the connection was lost, only where it provably did not run (it was never sent whole,
    or the server announced the close before its reply) or where the caller says that it is idempotent. A client is for
    one thread at a time.

    Args:
        target: Where the server listens.
        timeout: Seconds for a whole call, connecting included, or None for no limit.
        connect_timeout: Seconds for making a connection.
        plain: Send nothing but the method and its params: for servers that know no more of the protocol.
        max_reply: The largest reply accepted, in bytes.
        tls: The files that a TLS target is verified with, and those that it is shown.
    """

    def __init__(
        self,
        target: Target,
        *,
        timeout: float | None = TIMEOUT,
        connect_timeout: float = CONNECT_TIMEOUT,
        plain: bool = False,
        max_reply: int = MAX_REPLY,
        tls: TlsFiles | None = None,
    ) -> None:
        self.target = target
        self.timeout = timeout
        self.connect_timeout = connect_timeout
        self.plain = plain
        self.connections = 0
        """How many connections were made so far."""
        self.requests = 0
        """How many times a request was, at least in part, sent so far."""
        self._max_reply = max_reply
        self.tls = tls
        self._connection: Connection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Client of {self.target}{'' if self._connection else ', not connected'}>"

    @property
    def connected(self) -> bool:
        """Whether a connection is held; whether it still works shows only when it is used."""
        return self._connection is not None

    def connect(self) -> None:
        """Connect now, rather than with the first call.

        Raises:
            ConnectionFailed: No connection could be made.
        """
        self._ready(None)

    def close(self) -> None:
        """Close the connection. The next call makes a new one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def call(
        self,
        method: str,
        params: object = None,
        *,
        timeout: float | EllipsisType | None = ...,
        idempotent: bool = False,
    ) -> Any:
        """Call a method and return its result.

        Args:
            method: The method's name.
            params: What JSON can carry: usually a dict of parameters by name, or a list by position.
            timeout: Seconds for the whole call, None for no limit; the client's own if not given.
            idempotent: Whether the call may be sent again when the connection was lost on the way.

        Raises:
            CallError: The server answered with an error.
            ConnectionFailed: No connection could be made; the request did not run.
            ConnectionLost: The connection ended before the reply.
            CallTimeout: No reply came in time.
            ProtocolError: What answered does not speak the protocol.
            UsageError: JSON cannot carry the params.

        Example:
            >>> client.call("add", {"a": 1, "b": 2})  # doctest: +SKIP
            3.0
        """
        began = time.monotonic()
        reply = self.exchange(method, params, timeout=timeout, idempotent=idempotent)
        if (error := CallError.of_reply(method, reply, time.monotonic() - began)) is not None:
            raise error
        return reply.result

    def exchange(
        self,
        method: str,
        params: object = None,
        *,
        timeout: float | EllipsisType | None = ...,
        idempotent: bool = False,
        meta: bool = False,
        observer: Exchange | None = None,
    ) -> Reply:
        """Call a method and return the whole reply, an error reply too.

        Args:
            method: The method's name.
            params: What JSON can carry.
            timeout: Seconds for the whole call, None for no limit; the client's own if not given.
            idempotent: Whether the call may be sent again when the connection was lost on the way.
            meta: Whether to ask who served it (not of plain targets).
            observer: Takes times and bytes; without one, nothing is noted.

        Raises:
            ShellError: As `call`, but for CallError.
        """
        limit = checked_limit(self.timeout if isinstance(timeout, EllipsisType) else timeout)
        deadline = None if limit is None else time.monotonic() + limit
        attempts = Attempts(self.target, idempotent=idempotent)
        try:
            while True:
                try:
                    return self._attempt(self._ready(deadline, observer), method, params, meta, deadline, observer)
                except ConnectionFailed as error:
                    attempts.not_connected(error)
                    raise
                except TimeoutError:
                    raise CallTimeout(limit or 0.0, method=method) from None
                except Dropped as dropped:
                    attempts.lost(dropped)
        finally:
            if observer is not None:
                observer.ended = time.monotonic()

    def _attempt(
        self,
        connection: Connection,
        method: str,
        params: object,
        meta: bool,
        deadline: float | None,
        observer: Exchange | None,
    ) -> Reply:
        reusable = False
        self.requests += 1
        try:
            reply, reusable = connection.exchange(
                method,
                params,
                meta=meta and not self.plain,
                close=not self.plain,
                deadline=deadline,
                observer=observer,
            )
        except (EncodeError, FrameTooLarge) as error:
            reusable = True
            raise UsageError(f"the params of {method} cannot be sent: {error}") from None
        finally:
            # After a timeout or an interrupt the reply may still come: no later call may take it for its own.
            if not reusable:
                self.close()
        return reply

    def _ready(self, deadline: float | None, observer: Exchange | None = None) -> Connection:
        if self._connection is not None:
            if self._connection.usable():
                return self._connection
            self.close()
        timeout = self.connect_timeout
        if deadline is not None:
            timeout = min(timeout, max(deadline - time.monotonic(), 0.001))
        if observer is not None:
            observer.dialling()
        self._connection = Connection.open(self.target, timeout=timeout, max_reply=self._max_reply, tls=self.tls)
        if observer is not None:
            observer.connected = time.monotonic()
        self.connections += 1
        return self._connection


def connect(
    target: str | tuple[str, int] | Target,
    *,
    timeout: float | None = TIMEOUT,
    connect_timeout: float = CONNECT_TIMEOUT,
    plain: bool = False,
    max_reply: int = MAX_REPLY,
    tls: TlsFiles | None = None,
) -> Client:
    """Connect to a server.

    Args:
        target: `host:port`, `port`, `[v6]:port`, `unix:/path`, `tls://host:port`, or a (host, port) pair.
        timeout: Seconds for a whole call, or None for no limit.
        connect_timeout: Seconds for making a connection.
        plain: Send nothing but the method and its params.
        max_reply: The largest reply accepted, in bytes.
        tls: The files that a TLS target is verified with, and those that it is shown.

    Raises:
        UsageError: The target's text makes no sense.
        ConnectionFailed: No connection could be made.

    Example:
        >>> with connect("127.0.0.1:8080") as client:  # doctest: +SKIP
        ...     client.call("ping", {"a": 1})
        {'a': 1}
    """
    client = Client(
        as_target(target),
        timeout=timeout,
        connect_timeout=connect_timeout,
        plain=plain,
        max_reply=max_reply,
        tls=tls,
    )
    client.connect()
    return client


def as_target(target: str | tuple[str, int] | Target) -> Target:
    """The target that a text, a (host, port) pair or a target names.

    Raises:
        UsageError: The text makes no sense.
    """
    if isinstance(target, str):
        return Target.parse(target)
    return TcpTarget(*target) if isinstance(target, tuple) else target


def checked_limit(seconds: float | None) -> float | None:
    """A time limit that is one.

    Raises:
        UsageError: It is negative, or not a number.
    """
    if seconds is not None and not seconds >= 0:
        raise UsageError(f"a time limit is a number of seconds from 0, not {seconds}")
    return seconds
