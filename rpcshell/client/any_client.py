"""What the blocking and the asyncio client have in common: their options, and what they speak."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from types import EllipsisType, MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypedDict
from weakref import WeakSet

from rpcshell.client.dialect_names import dialect_name, is_dialect
from rpcshell.client.dialects.native import Native
from rpcshell.client.dialects.registry import dialect_factory
from rpcshell.client.errors import UsageError
from rpcshell.client.exchange import Requester
from rpcshell.client.target import ChildTarget, HttpTarget, Target, TlsFiles
from rpcwire import MAX_REPLY, Floats
from rpcwire.numbers import FLOAT_HOOKS

if TYPE_CHECKING:
    from pathlib import Path

    from rpcshell.client.dialects import Description, DialectFactory
    from rpcshell.client.dialects.framed import FramedDialect
    from rpcshell.client.fleet.instances import FleetEvent, InstanceState
    from rpcshell.client.hearing import AnyHearing, FormHandler, RequestHandler

    class ClientOptions(TypedDict, total=False):
        """What clients take beside their target, as `Client` documents it."""

        timeout: float | None
        connect_timeout: float
        plain: bool
        max_reply: int
        floats: Floats
        tls: TlsFiles | None
        openrpc: str | Path | Sequence[str] | None
        answers: Mapping[str, RequestHandler]
        options: Mapping[str, Any] | None
        dialect: DialectFactory | None


TIMEOUT: Final = 90.0
"""Seconds a call may take unless told otherwise: longer than the 60 s after which rpcserver ends a request itself."""

CONNECT_TIMEOUT: Final = 10.0
"""Seconds for making a connection unless told otherwise."""

DETECTION_CONNECT_TIMEOUT: Final = 3.0
"""The same, for the first one to a server of which it is not known what it speaks."""

_CLIENTS: Final[WeakSet[AnyClient]] = WeakSet()
"""Those of this process: a hook for fork(2) cannot be taken back, so that there is one for all of them."""


class AnyClient:
    """What the blocking and the asyncio client have in common; `Client` documents it."""

    _dialect: DialectFactory = Native
    _on_change: Callable[[FleetEvent], object] | None = None

    def __init__(
        self,
        target: Target,
        *,
        timeout: float | None = TIMEOUT,
        connect_timeout: float = CONNECT_TIMEOUT,
        plain: bool = False,
        max_reply: int = MAX_REPLY,
        floats: Floats = "float",
        tls: TlsFiles | None = None,
        openrpc: str | Path | Sequence[str] | None = None,
        answers: Mapping[str, RequestHandler] = MappingProxyType({}),
        options: Mapping[str, Any] | None = None,
        dialect: DialectFactory | None = None,
    ) -> None:
        self.target = target
        self.timeout = timeout
        self.connect_timeout = connect_timeout
        self.plain = plain
        self.tls = tls
        self._max_reply = max_reply
        if floats not in FLOAT_HOOKS:
            raise UsageError(f"floats is one of {', '.join(FLOAT_HOOKS)}, not {floats!r}")
        self._floats: Floats = floats
        self._openrpc = openrpc
        self._answers = answers
        self.listens = self.absent_params = self.one_call = False
        self._pipelined = True
        if target.dialect or dialect is not None:
            if target.dialect and dialect is not None and is_dialect(dialect_name(target.dialect)):
                raise UsageError(f"{target} names a dialect, and one is given", hint="leave out the one or the other")
            http = isinstance(target, HttpTarget)
            self._dialect = dialect_factory(target.dialect, given=dialect, http=http, answers=answers, options=options)
            spoken = self._dialect(max_reply, floats)
            self.listens = spoken.listens
            self.absent_params = spoken.listens and spoken.absent_params
            self.one_call = spoken.listens and spoken.one_call
            self._pipelined = not spoken.listens or spoken.pipelined
        elif isinstance(target, ChildTarget | HttpTarget):
            hint = f"name what it speaks: jsonrpc:{target}"
            raise UsageError("the native protocol goes over sockets only", hint=hint)
        if answers and not self.listens:
            raise self._deaf()
        _CLIENTS.add(self)

    def _after_fork(self) -> None:
        """Let go, in a child that was forked, of what is the parent's: connections, and turns that its threads have."""
        raise NotImplementedError

    def hearing(self) -> AnyHearing:
        """What hears the server, to which handlers may be given.

        Raises:
            UsageError: It says nothing unasked.
        """
        raise NotImplementedError

    def on_request(self, handler: RequestHandler | None) -> None:
        """Have a function answer what the server asks of its client.

        It takes a `ServerRequest` and returns the result; a `CallError` that it raises is the answer instead. For
        NotImplemented, and without a handler, the dialect answers by itself. The blocking client calls it in a thread
        of its own, for one request after the other; the asyncio client on its loop, where it may be a coroutine
        function.

        Raises:
            UsageError: The server does not ask.

        Example:
            >>> client.on_request(lambda request: {"roots": []})  # doctest: +SKIP
        """
        self.hearing().handle(request=handler)

    def on_form(self, handler: FormHandler | None) -> None:
        """Have a function fill in the forms that the server asks a person, such as MCP's elicitation.

        It takes a `Form`, whose `schema` tells what may be filled in, and returns the fields by name, or None to
        decline. For NotImplemented, and without a handler, such a request is answered as all others are. It is called
        where a handler of requests is, and of the asyncio client it may be a coroutine function too.

        Raises:
            UsageError: The server does not ask.

        Example:
            >>> client.on_form(lambda form: {"name": "Ada"})  # doctest: +SKIP
        """
        self.hearing().handle(form=handler)

    def on_log(self, handler: Callable[[str], None] | None) -> None:
        """Have a function told each line that a child prints to standard error, and what else it says out of turn.

        Raises:
            UsageError: The server says nothing unasked.
        """
        self.hearing().handle(log=handler)

    @property
    def instances(self) -> tuple[InstanceState, ...]:
        """The servers that calls go to: the instances of a fleet that are known by now, or the one that there is."""
        from rpcshell.client.fleet.instances import InstanceState

        return (InstanceState(self.target),)

    def on_change(self, handler: Callable[[FleetEvent], object] | None) -> None:
        """Have a function told of each change of a fleet: an instance was added, removed, ejected or is back.

        It is called in the thread that finds it out, for one after another, and of the asyncio client on its loop. Of a
        single server there is nothing to tell.

        Example:
            >>> client.on_change(lambda event: print(event.kind, event.instance.target))  # doctest: +SKIP
        """
        self._on_change = handler

    def _requester(self, instance: Target) -> Requester:
        """What speaks for this client on a new connection to an instance, with a dialect that does not listen."""
        dialect = self._dialect(self._max_reply, self._floats)
        if dialect.listens:
            raise TypeError("a listening dialect has a dialogue")
        return Requester(instance, dialect)

    def _listening_dialect(self) -> FramedDialect:
        dialect = self._dialect(self._max_reply, self._floats)
        if not dialect.listens:
            raise TypeError("this dialect does not listen")
        return dialect

    def _described(self) -> Description | None:
        """What is known of the methods without asking the server."""
        if self._openrpc is None:
            return None
        from rpcshell.client.description import description_from

        return description_from(self._openrpc)

    def _deaf(self) -> UsageError:
        return UsageError(f"{self.target} only answers: there are no events and no requests of the server")

    def _limit(self, timeout: float | EllipsisType | None) -> float | None:
        """The seconds that a call may take."""
        limit = self.timeout if isinstance(timeout, EllipsisType) else timeout
        if limit is not None and not limit >= 0:
            raise UsageError(f"a time limit is a number of seconds from 0, not {limit}")
        return limit

    def _dialling_limit(self, deadline: float | None, now: float) -> float:
        """The seconds that a connection may take to be made."""
        return self.connect_timeout if deadline is None else min(self.connect_timeout, max(deadline - now, 0.001))


def _after_fork() -> None:
    for client in tuple(_CLIENTS):
        client._after_fork()


os.register_at_fork(after_in_child=_after_fork)
