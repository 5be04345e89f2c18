"""One call on each of several servers, at the same time: on the instances of a fleet, where all are to be asked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

import msgspec

from rpcshell.client.async_client import AsyncClient
from rpcshell.client.daemon_threads import DaemonThreads
from rpcshell.client.errors import CallError, Cancelled, ConnectionFailed, ConnectionLost, ShellError, UsageError

if TYPE_CHECKING:
    from rpcshell.client.target import Target, TlsFiles
    from rpcwire import Meta, Reply

_AT_ONCE: Final = 64
_CONNECT: Final = 2.5
"""Seconds for a connection: who takes none by then is not reached."""


class InstanceAnswer(msgspec.Struct, frozen=True):
    """What came of the call on one server."""

    instance: Target
    elapsed: float
    """Seconds from sending it to the reply, or to giving up."""
    reply: Reply | None = None
    error: ShellError | None = None
    """Why there is no result: no reply, or an error reply."""

    @property
    def result(self) -> Any:
        """The result, or None where there is none."""
        return None if self.reply is None or self.error is not None else self.reply.result

    @property
    def out(self) -> str:
        """The out name of the reply."""
        return "" if self.reply is None else self.reply.out

    @property
    def meta(self) -> Meta | None:
        """Who answered, where that was told."""
        return None if self.reply is None else self.reply.meta

    @property
    def reached(self) -> bool:
        """Whether the call may have run there."""
        unsent = isinstance(self.error, ConnectionLost) and not self.error.may_have_run
        return not unsent and not isinstance(self.error, ConnectionFailed)


class Broadcast:
    """One call on every one of some servers, at most once on each, within `limit` seconds, connecting included.

    What came of it is in `answers`, in the order of the servers, once `run` has returned or was interrupted. A `plain`
    request carries only the method and its params.
    """

    def __init__(
        self, instances: Iterable[Target], *, tls: TlsFiles | None, plain: bool = False, limit: float | None
    ) -> None:
        self._instances = tuple(instances)
        self._answers: dict[Target, InstanceAnswer] = {}
        self._tls = tls
        self._plain = plain
        self._limit = limit

    @property
    def answers(self) -> list[InstanceAnswer]:
        """What came so far."""
        return [self._answers[instance] for instance in self._instances if instance in self._answers]

    def run(self, method: str, params: object) -> None:
        """Make the call.

        Raises:
            UsageError: JSON cannot carry the params.
            KeyboardInterrupt: Ctrl-C was pressed; what had not answered by then has an error that says so.
        """
        asyncio.run(self._run(method, params))

    async def _run(self, method: str, params: object) -> None:
        asyncio.get_running_loop().set_default_executor(DaemonThreads("lookup"))
        semaphore = asyncio.Semaphore(_AT_ONCE)
        await asyncio.gather(*(self._call(instance, semaphore, method, params) for instance in self._instances))

    async def _call(self, instance: Target, semaphore: asyncio.Semaphore, method: str, params: object) -> None:
        connect_timeout = _CONNECT if self._limit is None else min(self._limit, _CONNECT)
        client = AsyncClient(
            instance,
            timeout=self._limit,
            connect_timeout=connect_timeout,
            plain=self._plain,
            floats="text",
            tls=self._tls,
        )
        async with semaphore, client:
            began = time.monotonic()
            reply: Reply | None = None
            error: ShellError | None = None
            try:
                reply = await client.exchange(method, params, meta=not self._plain)
                error = CallError.of_reply(method, reply, time.monotonic() - began, instance)
            except UsageError:
                raise
            except ShellError as failure:
                error = failure
            except asyncio.CancelledError:
                error = Cancelled("cancelled: it may still be running")
                raise
            finally:
                self._answers[instance] = InstanceAnswer(instance, time.monotonic() - began, reply, error)
