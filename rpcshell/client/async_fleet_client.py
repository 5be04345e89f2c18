"""The asyncio client of a fleet: the connections and tasks over `rpcshell.client.fleet`."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Unpack

from rpcshell.client.async_client import AsyncClient
from rpcshell.client.async_connection import AsyncConnection
from rpcshell.client.errors import CallTimeout, ConnectionFailed, ProtocolError, ShellError
from rpcshell.client.exchange import Dropped
from rpcshell.client.fleet.balancer import PROBE, PROBE_LIMIT, Balancer, probe_problem
from rpcshell.client.fleet.failover import Failover
from rpcshell.client.fleet.sources import Source, listed_in, source_of
from rpcshell.client.fleet.spares import Spares

if TYPE_CHECKING:
    from types import EllipsisType

    from rpcshell.client.any_client import ClientOptions
    from rpcshell.client.fleet.instances import Candidate, InstanceState, Listed
    from rpcshell.client.target import FleetTarget, Target
    from rpcwire import Reply


class AsyncFleetClient(AsyncClient):
    """An asyncio client of a fleet, which `connect_async` returns for a target that names several servers.

    It takes what `AsyncClient` takes; `parallel` is how many calls may be under way at all instances together.
    """

    def __init__(self, target: FleetTarget, *, parallel: int = 1, **options: Unpack[ClientOptions]) -> None:
        super().__init__(target, parallel=parallel, **options)
        self._fleet = target
        self._balancer = Balancer(time.monotonic)
        self._pools: dict[Candidate, list[AsyncConnection]] = {}
        self._spares = Spares(self._pools)
        self._source: Source | None = None
        self._watched = asyncio.Event()
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._probes: set[asyncio.Task[None]] = set()
        self._balancer.replace(listed_in(target))

    def __repr__(self) -> str:
        return f"<AsyncFleetClient of {self.target}, instances: {len(self._balancer)}, connections: {len(self._open)}>"

    @property
    def instances(self) -> tuple[InstanceState, ...]:
        """The instances that are known by now."""
        return self._balancer.states

    async def connect(self) -> None:
        """Ask the registry for the instances, and connect to one of them, rather than with the first call."""
        self._enter()
        failover = Failover(self._balancer, self._fleet, idempotent=False)
        connection: AsyncConnection | None = None
        async with self._locks.semaphore:
            await self._watch(None)
            while connection is None:
                candidate = await self._take(failover, None)
                try:
                    connection = await self._connection_to(candidate, failover, None)
                except (ConnectionFailed, Dropped) as error:
                    failover.failed(candidate, error, whole=True)
                finally:
                    self._give_back(candidate, connection)

    async def close(self) -> None:
        """Close all connections, and leave the registry. Calls that are under way end with ConnectionLost."""
        self._enter()
        self._balancer.closings += 1
        source, self._source = self._source, None
        self._watched.clear()
        if source is not None:
            source.stop()
        for probe in tuple(self._probes):
            probe.cancel()
        self._pools.clear()
        await super().close()

    def _after_fork(self) -> None:
        super()._after_fork()
        source, self._source = self._source, None
        if source is not None:
            source.abandon()
        self._watched = asyncio.Event()
        self._waiting.clear()
        self._probes.clear()
        self._pools.clear()
        self._balancer.start_over()

    async def _exchange(
        self,
        method: str,
        params: object,
        timeout: float | EllipsisType | None,
        idempotent: bool,
        meta: bool,
        partial: Callable[[Any], None] | None,
    ) -> tuple[Reply, Target | None]:
        loop = self._enter()
        limit = self._limit(timeout)
        deadline = None if limit is None else loop.time() + limit
        balancer, semaphore = self._balancer, self._locks.semaphore
        failover = Failover(balancer, self._fleet, idempotent)
        try:
            if semaphore.locked():
                await self._locks.take_turn(deadline)
            else:
                await semaphore.acquire()
            try:
                if not self._watched.is_set():
                    await self._watch(deadline)
                while True:
                    candidate = balancer.choose(failover.tried) or await self._take(failover, deadline)
                    connection: AsyncConnection | None = None
                    until = failover.attempt_deadline(loop.time(), deadline) if idempotent else deadline
                    try:
                        connection = await self._connection_to(candidate, failover, until)
                        reply = await connection.exchange(method, params, meta=meta, plain=self.plain, deadline=until)
                        balancer.succeeded(candidate)
                        return reply, candidate.target
                    except (ConnectionFailed, Dropped, TimeoutError, ProtocolError) as error:
                        failover.failed(candidate, error, whole=until == deadline)
                    finally:
                        self._give_back(candidate, connection)
            finally:
                semaphore.release()
        except TimeoutError:
            who, may_have_run = failover.last, failover.may_have_run
            raise CallTimeout(limit or 0.0, method=method, may_have_run=may_have_run, target=who) from None

    async def _take(self, failover: Failover, deadline: float | None) -> Candidate:
        """An instance for an attempt, once there is one that is not busy."""
        async with asyncio.timeout_at(deadline):
            while (candidate := failover.choose()) is None:
                turn = asyncio.get_running_loop().create_future()
                self._waiting.append(turn)
                try:
                    await turn
                finally:
                    with contextlib.suppress(ValueError):
                        self._waiting.remove(turn)
        return candidate

    def _wake_all(self) -> None:
        """Have all who wait for an instance look again."""
        for turn in self._waiting:
            if not turn.done():
                turn.set_result(None)

    async def _connection_to(self, candidate: Candidate, failover: Failover, until: float | None) -> AsyncConnection:
        """A connection to an instance, which is this call's until it is given back.

        Raises:
            Dropped: Those that there were have ended meanwhile: the instance may be about to stop.
            ConnectionFailed: None can be made.
        """
        if pool := self._pools.get(candidate):
            connection = pool.pop()
            if await self._is_usable(connection):
                if candidate.limited:
                    self._spares.took_from(candidate)
                return connection
            while pool:
                self._drop(pool.pop())
            raise Dropped("the server has closed it", not_run=True)
        limit = failover.dialling_limit(self._dialling_limit(until, self._loop.time()))
        return await self._dial(candidate.target, limit)

    def _give_back(self, candidate: Candidate, connection: AsyncConnection | None) -> None:
        balancer = self._balancer
        balancer.release(candidate)
        if connection is not None:
            # After a timeout or a cancellation the reply may still come: no later call may take it for its own.
            if connection.reusable and connection in self._open and not candidate.gone:
                self._pools.setdefault(candidate, []).append(connection)
            else:
                self._drop(connection)
        if self._waiting:
            self._wake_all()
        if balancer.limited:
            for spare in self._spares.take_out(time.monotonic()):
                self._drop(spare)
        if candidate.ejected:
            self._look_after()
        if balancer.events:
            self._tell()

    async def _watch(self, deadline: float | None) -> None:
        """Have the registry watched, and wait until it has told of instances."""
        loop = asyncio.get_running_loop()
        if (source := self._source) is None:
            self._source = source = source_of(self._fleet, self.tls)
            if source is None:
                self._watched.set()
                return

            def tell(listed: Sequence[Listed], source: Source = source) -> None:
                # In a thread of the source; a closed loop has nobody who waits for it.
                with contextlib.suppress(RuntimeError):
                    loop.call_soon_threadsafe(self._listed, source, listed)

            source.start(tell)
        if not len(self._balancer):
            try:
                async with asyncio.timeout(self._dialling_limit(deadline, loop.time())):
                    await self._watched.wait()
            except TimeoutError:
                raise ConnectionFailed(self._fleet, source.problem()) from None

    def _listed(self, source: Source, listed: Sequence[Listed]) -> None:
        if source is not self._source:
            return
        for candidate in self._balancer.replace(listed):
            for connection in self._pools.pop(candidate, []):
                self._drop(connection)
        self._watched.set()
        self._wake_all()
        self._tell()

    def _tell(self) -> None:
        """Tell the user's function what has changed."""
        while self._balancer.events:
            event = self._balancer.events.popleft()
            if self._on_change is None:
                continue
            try:
                self._on_change(event)
            except Exception as error:  # noqa: BLE001 - it is the user's code, and no call may fail by it
                asyncio.get_running_loop().call_exception_handler(
                    {"message": "a function given to on_change failed", "exception": error}
                )

    def _look_after(self) -> None:
        """Have a task for each ejected instance, until it works again or is gone."""
        for candidate in self._balancer.to_probe():
            probe = asyncio.create_task(self._probe_again(candidate))
            self._probes.add(probe)
            probe.add_done_callback(self._probes.discard)

    async def _probe_again(self, candidate: Candidate) -> None:
        try:
            while (delay := self._balancer.probe_delay(candidate)) is not None:
                if delay:
                    await asyncio.sleep(delay)
                    continue
                problem = await self._probe(candidate)
                self._balancer.probed(candidate, problem)
                self._wake_all()
                self._tell()
        finally:
            candidate.probing = False

    async def _probe(self, candidate: Candidate) -> str | None:
        """What is wrong with an instance that was ejected, or None."""
        deadline = asyncio.get_running_loop().time() + PROBE_LIMIT
        requester = self._requester(candidate.target)
        try:
            connection = await AsyncConnection.open(requester, timeout=PROBE_LIMIT, tls=self.tls)
            with contextlib.closing(connection):
                if not self.plain:
                    await connection.exchange(PROBE, None, meta=False, plain=False, deadline=deadline)
        except (Dropped, ShellError, TimeoutError) as error:
            return probe_problem(error)
        return None
