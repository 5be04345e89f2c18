"""The blocking client of a fleet: the connections, locks and threads under `rpcshell.client.fleet`."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial as bound
from typing import TYPE_CHECKING, Any, Unpack

from rpcshell.client.client import Client
from rpcshell.client.errors import CallTimeout, ConnectionFailed, ProtocolError, ShellError
from rpcshell.client.exchange import Dropped
from rpcshell.client.fleet.balancer import PROBE, PROBE_LIMIT, Balancer, probe_problem
from rpcshell.client.fleet.failover import Failover
from rpcshell.client.fleet.sources import Source, listed_in, source_of
from rpcshell.client.fleet.spares import Spares
from rpcshell.client.threads import thread_for

if TYPE_CHECKING:
    from types import EllipsisType

    from rpcshell.client.any_client import ClientOptions
    from rpcshell.client.connection import Connection
    from rpcshell.client.fleet.instances import Candidate, InstanceState, Listed
    from rpcshell.client.target import FleetTarget, Target
    from rpcshell.client.trace import CallTrace
    from rpcwire import Reply


class FleetClient(Client):
    """A blocking client of a fleet, which `connect` returns for a target that names several servers.

    Threads may share it, and their calls run at once, each over a connection of its own. It takes what `Client` takes.
    """

    def __init__(self, target: FleetTarget, **options: Unpack[ClientOptions]) -> None:
        super().__init__(target, **options)
        self._fleet = target
        self._balancer = Balancer(time.monotonic)
        self._pools: dict[Candidate, list[Connection]] = {}
        self._spares = Spares(self._pools)
        self._busy: set[Connection] = set()
        self._source: Source | None = None
        self._watched = False
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        # Apart from calls: there may be a thread for each of a thousand instances, and each ejection would wake all.
        self._probes = threading.Condition(self._lock)
        self._telling = False
        self._balancer.replace(listed_in(target))

    def __repr__(self) -> str:
        return f"<FleetClient of {self.target}, instances: {len(self._balancer)}>"

    @property
    def connected(self) -> bool:
        """Whether a connection is held; whether it still works shows only when it is used."""
        return bool(self._busy) or any(self._pools.values())

    @property
    def instances(self) -> tuple[InstanceState, ...]:
        """The instances that are known by now."""
        with self._lock:
            return self._balancer.states

    def connect(self) -> None:
        """Ask the registry for the instances, and connect to one of them anew, rather than with the first call."""
        self._watch(None)
        self.let_go()
        failover = Failover(self._balancer, self._fleet, idempotent=False)
        connection: Connection | None = None
        while connection is None:
            with self._lock:
                candidate = self._wait_for_room(failover, None)
            try:
                connection = self._connection_to(candidate, failover, None, None)
            except ConnectionFailed as error:
                with self._lock:
                    failover.failed(candidate, error, whole=True)
            finally:
                self._give_back(candidate, connection, failover)
        self._tell()

    def close(self) -> None:
        """Close all connections, and leave the registry; calls of other threads end with ConnectionLost."""
        with self._lock:
            self._balancer.closings += 1
            source, self._source = self._source, None
            self._watched = False
            busy = tuple(self._busy)
            self._changed.notify_all()
            self._probes.notify_all()
        self.let_go()
        for connection in busy:
            connection.shut_down()
        if source is not None:
            source.stop()

    def let_go(self) -> None:
        """Close the connections that nobody uses now, which may hold workers, and go on to watch the registry."""
        with self._lock:
            idle = [connection for pool in self._pools.values() for connection in pool]
            self._pools.clear()
        for connection in idle:
            connection.close()

    def _after_fork(self) -> None:
        super()._after_fork()
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._probes = threading.Condition(self._lock)
        self._watched = False
        source, self._source = self._source, None
        if source is not None:
            source.abandon()
        for connection in (*self._busy, *(connection for pool in self._pools.values() for connection in pool)):
            connection.abandon()
        self._busy.clear()
        self._pools.clear()
        self._telling = False
        self._balancer.start_over()

    def _exchange(
        self,
        method: str,
        params: object,
        timeout: float | EllipsisType | None,
        idempotent: bool,
        meta: bool,
        trace: CallTrace | None,
        partial: Callable[[Any], None] | None,
    ) -> tuple[Reply, Target | None]:
        limit = self._limit(timeout)
        deadline = None if limit is None else time.monotonic() + limit
        balancer, lock = self._balancer, self._lock
        failover = Failover(balancer, self._fleet, idempotent, trace)
        try:
            if not self._watched:
                self._watch(deadline)
            # In one piece, as each function that is called here takes a part of what a call may cost.
            while True:
                connection: Connection | None = None
                with lock:
                    candidate = balancer.choose(failover.tried) or self._wait_for_room(failover, deadline)
                    if idle := self._pools.get(candidate):
                        connection = idle.pop()
                        self._busy.add(connection)
                        if candidate.limited:
                            self._spares.took_from(candidate)
                until = deadline
                try:
                    if idempotent:
                        until = failover.attempt_deadline(time.monotonic(), deadline)
                    if trace is not None:
                        trace.attempt_begun(candidate.target)
                    if connection is None:
                        connection = self._connection_to(candidate, failover, until, trace)
                    elif not connection.usable():
                        ended, connection = connection, None
                        self._close_idle(candidate, ended)
                        raise Dropped("the server has closed it", not_run=True)
                    reply = connection.exchange(
                        method, params, meta=meta, plain=self.plain, deadline=until, trace=trace
                    )
                    balancer.succeeded(candidate)
                    return reply, candidate.target
                except (ConnectionFailed, Dropped, TimeoutError, ProtocolError) as error:
                    with lock:
                        failover.failed(candidate, error, whole=until == deadline)
                finally:
                    self._give_back(candidate, connection, failover)
        except TimeoutError:
            who, may_have_run = failover.last, failover.may_have_run
            raise CallTimeout(limit or 0.0, method=method, may_have_run=may_have_run, target=who) from None
        finally:
            if trace is not None:
                trace.call_ended()
            if balancer.events:
                self._tell()

    def _wait_for_room(self, failover: Failover, deadline: float | None) -> Candidate:
        """An instance for an attempt, once there is one that is not busy; for who has the lock."""
        while (candidate := failover.choose()) is None:
            wait = None if deadline is None else deadline - time.monotonic()
            if wait is not None and wait <= 0:
                raise TimeoutError
            self._changed.wait(None if wait is None else min(wait, threading.TIMEOUT_MAX))
        return candidate

    def _connection_to(
        self, candidate: Candidate, failover: Failover, until: float | None, trace: CallTrace | None
    ) -> Connection:
        """A new connection to an instance, which is this call's until it is given back.

        Raises:
            ConnectionFailed: None can be made.
        """
        limit = failover.dialling_limit(self._dialling_limit(until, time.monotonic()))
        if trace is not None:
            trace.connecting()
        connection = self._open(candidate.target, limit)
        if trace is not None:
            trace.connection_made()
        self._busy.add(connection)
        self.connections += 1
        return connection

    def _close_idle(self, candidate: Candidate, ended: Connection) -> None:
        """Close the connections to an instance that no call uses, as it has ended one: it may be about to stop."""
        with self._lock:
            self._busy.discard(ended)
            idle = self._pools.pop(candidate, [])
        for connection in (ended, *idle):
            connection.close()

    def _give_back(self, candidate: Candidate, connection: Connection | None, failover: Failover) -> None:
        spares: Sequence[Connection] = ()
        with self._lock:
            self._balancer.release(candidate)
            if connection is not None:
                self.requests += 1
                self._busy.discard(connection)
                if connection.reusable and failover.closings == self._balancer.closings and not candidate.gone:
                    self._pools.setdefault(candidate, []).append(connection)
                    connection = None
            if self._balancer.limited:
                self._changed.notify()
                spares = self._spares.take_out(time.monotonic())
        if connection is not None:
            # After a timeout or an interrupt the reply may still come: no later call may take it for its own.
            connection.close()
        for spare in spares:
            spare.close()
        if candidate.ejected:
            self._look_after()

    def _watch(self, deadline: float | None) -> None:
        """Have the registry watched, and wait until it has told of instances."""
        with self._lock:
            if self._source is None:
                self._source = source_of(self._fleet, self.tls)
                if self._source is not None:
                    self._source.start(bound(self._listed, self._source))
            source = self._source
        if source is None:
            self._watched = True
            return
        limit = self._dialling_limit(deadline, time.monotonic())
        with self._lock:
            if not self._changed.wait_for(lambda: self._watched or len(self._balancer), limit):
                raise ConnectionFailed(self._fleet, source.problem())

    def _listed(self, source: Source, listed: Sequence[Listed]) -> None:
        """Take what the registry says; the threads of the source call this."""
        with self._lock:
            if source is not self._source:
                return
            gone = self._balancer.replace(listed)
            ended = [connection for candidate in gone for connection in self._pools.pop(candidate, [])]
            self._watched = True
            self._changed.notify_all()
            if gone:
                self._probes.notify_all()
        for connection in ended:
            connection.close()
        self._tell()

    def _tell(self) -> None:
        """Tell the user's function what has changed, unless another thread is at it, which then goes on with this."""
        events = self._balancer.events
        with self._lock:
            if self._on_change is None:
                events.clear()
            if self._telling:
                return
            self._telling = True
        while True:
            with self._lock:
                if not events or self._on_change is None:
                    self._telling = False
                    return
                handler, event = self._on_change, events.popleft()
            try:
                handler(event)
            except Exception:  # noqa: BLE001 - it is the user's code, and no call may fail by it
                threading.excepthook(threading.ExceptHookArgs((*sys.exc_info(), threading.current_thread())))
            except BaseException:
                # Ctrl-C, which ends the call and not the telling: whoever finds out the next change goes on with it.
                self._telling = False
                raise

    def _look_after(self) -> None:
        """Have a thread for each ejected instance, until it works again or is gone."""
        with self._lock:
            for candidate in self._balancer.to_probe():
                if thread_for(bound(self._probe_again, candidate), f"probe {candidate.target}") is None:
                    self._balancer.probed(candidate, None)
                    candidate.probing = False
            self._changed.notify_all()

    def _probe_again(self, candidate: Candidate) -> None:
        lock, probes, closings = self._lock, self._probes, self._balancer.closings
        while True:
            with lock:
                while (delay := self._balancer.probe_delay(candidate)) and self._balancer.closings == closings:
                    probes.wait(delay)
                if delay is None or self._balancer.closings != closings:
                    candidate.probing = False
                    return
            problem = self._probe(candidate)
            with lock:
                self._balancer.probed(candidate, problem)
            self._tell()

    def _probe(self, candidate: Candidate) -> str | None:
        """What is wrong with an instance that was ejected, or None."""
        deadline = time.monotonic() + PROBE_LIMIT
        try:
            with closing(self._open(candidate.target, PROBE_LIMIT)) as connection:
                if not self.plain:
                    connection.exchange(PROBE, None, meta=False, plain=False, deadline=deadline)
        except (Dropped, ShellError, TimeoutError) as error:
            return probe_problem(error)
        return None
