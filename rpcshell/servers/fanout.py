"""One call on every worker of a server, exactly once: through a connection of its own to each.

A connection is opened, asked by a harmless call who serves it, and kept if that worker has none yet; the call itself is
sent only on connections whose worker is known, and never a second time where it may have run. What is shown of it is
the command's business.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

import msgspec

from rpcshell.client.async_connection import AsyncConnection
from rpcshell.client.dialects.native import Native
from rpcshell.client.errors import (
    CallError,
    CallTimeout,
    Cancelled,
    ConnectionFailed,
    ConnectionLost,
    ProtocolError,
    ShellError,
    UsageError,
)
from rpcshell.client.exchange import Dropped, Requester
from rpcwire import MAX_REPLY

if TYPE_CHECKING:
    from rpcshell.client.target import Target, TlsFiles
    from rpcshell.servers.control import Control
    from rpcwire import Meta
    from rpcwire.control import ServerStatus, WorkerStatus

_PATIENCE: Final = 2.5
"""Seconds without another worker after which no more are looked for: each takes a connection within a second."""

_PROBE: Final = "rpc.discover"
_LOOK: Final = 0.1
_LOOKS_HELD: Final = 3
"""Looks at which workers have to be held, one after the other, to be left alone: others may just be leaving."""

_ROUNDS: Final = 3
"""A worker that leaves before it has read the call is looked for again, as the one that replaced it."""

_AT_ONCE: Final = 64
_TRIES_EACH: Final = 10
_SPARE_TRIES: Final = 20
_PACE: Final = 0.05
"""Seconds between tries once half of them have been made: a worker that is slow to accept is to have a chance."""


class Answer(msgspec.Struct, frozen=True):
    """What came of the call on one worker."""

    worker: int
    pid: int
    """The process that answered, or should have."""
    elapsed: float
    """Seconds from request to reply, or to giving up."""
    meta: Meta | None = None
    out: str = ""
    result: Any = None
    error: ShellError | None = None


class _Missed(msgspec.Struct, frozen=True):
    """A worker that the call was not sent to, and why not."""

    worker: int
    pid: int
    reason: str


class FanOut:
    """One call on every worker, which may take `limit` seconds on each.

    What came of it is in `answers` and `missed`, by worker, once `run` has returned or was interrupted.
    """

    def __init__(self, target: Target, control: Control, tls: TlsFiles | None, limit: float | None) -> None:
        self.answers: dict[int, Answer] = {}
        self.missed: dict[int, _Missed] = {}
        self._target = target
        self._control = control
        self._tls = tls
        self._limit = limit

    def run(self, method: str, params: object) -> None:
        """Find the workers, and make the call on all of them at the same time.

        Raises:
            UsageError: JSON cannot carry the params.
            ConnectionFailed: The server cannot be reached.
            KeyboardInterrupt: Ctrl-C was pressed; what had not answered by then has an error that says so.
        """
        asyncio.run(self._run(method, params))

    async def _run(self, method: str, params: object) -> None:
        given_up: dict[int, _Missed] = {}
        for _ in range(_ROUNDS):
            status = self._control.status()
            serving = {worker.worker: worker for worker in status.workers if worker.state == "ready"}
            wanted = {number: serving[number] for number in serving if number not in {*self.answers, *given_up}}
            others = [worker for worker in status.workers if worker.worker not in serving]
            self.missed = {one.worker: _Missed(one.worker, one.pid, f"it is {one.state}") for one in others} | given_up
            if not wanted:
                return
            search = _Search(self._target, self._control, self._tls, status, wanted)
            try:
                await search.run()
                given_up |= search.missed()
                self.missed |= given_up
                calls = [self._call(wanted[number], search.found[number], method, params) for number in search.found]
                came = await asyncio.gather(*calls)
            finally:
                await search.close()
            if all(came):
                return

    async def _call(self, worker: WorkerStatus, connection: AsyncConnection, method: str, params: object) -> bool:
        """Make the call on one worker; false if it provably did not run and may be made again."""
        number, pid = worker.worker, worker.pid
        began = time.monotonic()
        try:
            async with asyncio.timeout(self._limit):
                if not await connection.usable():
                    raise Dropped("the server has closed it", not_run=True)
                reply = await connection.exchange(method, params, meta=True, plain=False)
        except UsageError:
            raise
        except Dropped as dropped:
            if dropped.not_run:
                self.missed[number] = _Missed(number, pid, "it left before it had read the call")
                return False
            failure: ShellError = ConnectionLost(self._target, dropped.reason, may_have_run=True)
        except TimeoutError:
            failure = CallTimeout(self._limit or 0.0, method=method)
        except ShellError as error:
            failure = error
        except asyncio.CancelledError:
            failure = Cancelled("cancelled: the worker may still be running it")
            self.answers[number] = Answer(number, pid, time.monotonic() - began, error=failure)
            raise
        else:
            elapsed = time.monotonic() - began
            fault = CallError.of_reply(method, reply, elapsed)
            result = reply.result if fault is None else None
            pid = pid if reply.meta is None else reply.meta.pid
            self.answers[number] = Answer(number, pid, elapsed, reply.meta, reply.out, result, fault)
            return True
        finally:
            # The worker may have others to serve.
            connection.close()
        self.answers[number] = Answer(number, pid, time.monotonic() - began, error=failure)
        return True


class _Search:
    """Opens connections until each worker that is wanted has one; they are in `found`, by the number of the worker."""

    def __init__(
        self,
        target: Target,
        control: Control,
        tls: TlsFiles | None,
        status: ServerStatus,
        wanted: dict[int, WorkerStatus],
    ) -> None:
        self.found: dict[int, AsyncConnection] = {}
        self._target = target
        self._control = control
        self._tls = tls
        self._status = status
        self._missing = dict(wanted)
        self._tries = 0
        self._most = len(wanted) * _TRIES_EACH + _SPARE_TRIES
        self._open: set[AsyncConnection] = set()

    async def run(self) -> None:
        """Search; what then is missing cannot be reached, or not soon."""
        pending: set[asyncio.Task[tuple[AsyncConnection, int] | None]] = set()
        progress, held = time.monotonic(), 0
        try:
            while self._missing and time.monotonic() - progress < _PATIENCE and held < _LOOKS_HELD:
                at_once = min(len(self._missing), _AT_ONCE, self._most - self._tries + len(pending))
                while len(pending) < at_once:
                    self._tries += 1
                    pending.add(asyncio.create_task(self._ask()))
                if not pending:
                    return
                done, pending = await asyncio.wait(pending, timeout=_LOOK, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    if self._take(task):
                        progress = time.monotonic()
                if not done and not self._status.concurrent:
                    held = held + 1 if self._are_held(len(pending)) else 0
                if done and self._tries * 2 > self._most:
                    await asyncio.sleep(_PACE)
        finally:
            # They only ask who is there: a worker that comes to one later finds nobody who waits.
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)

    def missed(self) -> dict[int, _Missed]:
        """The workers that no connection came to, and why."""
        return {number: _Missed(number, worker.pid, self._reason(number)) for number, worker in self._missing.items()}

    async def close(self) -> None:
        """Close all connections."""
        for connection in self._open:
            connection.close()
        for connection in self._open:
            await connection.closed()

    async def _ask(self) -> tuple[AsyncConnection, int] | None:
        """Open a connection; it and the worker that serves it, or None if it is no good."""
        requester = Requester(self._target, Native(MAX_REPLY, "text"))
        connection = await AsyncConnection.open(requester, timeout=_PATIENCE, tls=self._tls)
        self._open.add(connection)
        usable = False
        try:
            reply = await connection.exchange(_PROBE, None, meta=True, plain=False)
            # Who is turned away, since there are too many, is told by no worker.
            usable = connection.reusable and reply.meta is not None
            return (connection, reply.meta.worker) if usable and reply.meta is not None else None
        except Dropped:
            return None
        finally:
            if not usable:
                connection.close()

    def _take(self, task: asyncio.Task[tuple[AsyncConnection, int] | None]) -> bool:
        try:
            asked = task.result()
        except (ConnectionFailed, ProtocolError):
            # Nothing was sent yet, so there is nothing to tell but that.
            if not self.found:
                raise
            return False
        if asked is None:
            return False
        connection, number = asked
        if self._missing.pop(number, None) is None:
            connection.close()
            return False
        self.found[number] = connection
        return True

    def _are_held(self, asking: int) -> bool:
        """Whether all workers that are missing serve somebody else, one after the other as they do.

        A worker that has taken one of the connections that are `asking`, and is slow to say so, serves nobody else.
        """
        self._status = status = self._control.status()
        if None not in [listener.waiting for listener in status.listeners] and status.waiting < asking:
            return False
        workers = map(self._status.find, self._missing)
        return all(worker is None or worker.state != "ready" or worker.connections for worker in workers)

    def _reason(self, number: int) -> str:
        worker = self._status.find(number)
        if worker is None or worker.state != "ready":
            return "it has left" if worker is None else f"it is {worker.state}"
        if worker.connections and not self._status.concurrent:
            if worker.call is None:
                return "an idle connection of another client holds it"
            return f"another client holds it, in {worker.call.method} for {worker.call.seconds:.1f} s"
        return f"it took none of {self._tries} connections: it may be stopped, or full"
