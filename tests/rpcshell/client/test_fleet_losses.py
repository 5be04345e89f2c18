"""Both clients of a fleet of real servers, of which one dies, stands still, is cut off or is replaced: what is lost."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rpcshell import AsyncClient, Client, ConnectionLost, ShellError, Target, connect, connect_async
from rpcshell.client.async_opening import async_client_of
from rpcwire.worker_models import MODELS
from tests.fleet import Fleet
from tests.rpcserver.steering import steering
from tests.servers import PATIENCE, PROBE_APP, Server
from tests.way import Way
from tests.zookeeper import Serverset, ZooKeeper

APP = (
    PROBE_APP
    + '''
import time

@service.method
def nap(seconds: float) -> int:
    """Take that long, and say which server this is."""
    time.sleep(seconds)
    return os.getppid()
'''
)
CALLERS = 4
"""Of each client."""

PAUSE = 0.02
"""Seconds between the calls of a caller."""

LIMIT = 6.0
"""Seconds for a call. An attempt at an idempotent one has half of them, where it can go elsewhere."""


class Load:
    """Callers in closed loops: threads that share a blocking client, and tasks that share one of asyncio.

    Args:
        target: the fleet.
        seconds: how long a call takes.
        idempotent: says whether the calls of a caller, by its number, may run twice.
    """

    def __init__(
        self, target: str, seconds: float = 0.02, idempotent: Callable[[int], bool] = lambda _number: True
    ) -> None:
        self._target = target
        self._seconds = seconds
        self._idempotent = idempotent
        self._calls = [0] * (2 * CALLERS)
        self._told = threading.Condition()
        self._over = threading.Event()
        self.served = (Counter[int](), Counter[int]())
        """How many calls which server has answered, by its pid, to each of the clients."""
        self.lost: list[tuple[bool, ShellError]] = []
        """The errors, and whether the call was idempotent."""
        self.longest = 0.0

    @property
    def replies(self) -> int:
        """Calls that were answered."""
        return sum(served.total() for served in self.served)

    def served_by(self, server: Server) -> int:
        """Calls that a server has answered."""
        return sum(served[server.pid] for served in self.served)

    def go_on(self, calls: int = 5) -> None:
        """Wait until each caller has made some more calls."""
        before = list(self._calls)
        with self._told:
            assert self._told.wait_for(
                lambda: all(now - then >= calls for now, then in zip(self._calls, before, strict=True)), PATIENCE
            ), (before, self._calls, self.lost)

    def wait_until_served_by(self, server: Server, calls: int) -> None:
        """Wait until a server has answered some more calls of each client."""
        pid = server.pid
        with self._told:
            until = [served[pid] + calls for served in self.served]
            assert self._told.wait_for(
                lambda: all(served[pid] >= wanted for served, wanted in zip(self.served, until, strict=True)), PATIENCE
            )

    def call_in_threads(self) -> None:
        with connect(self._target) as client:
            threads = [threading.Thread(target=self._call, args=(number, client)) for number in range(CALLERS)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

    def _call(self, number: int, client: Client) -> None:
        while not self._over.is_set():
            with self._counting(number):
                idempotent = self._idempotent(number)
                self._answered(0, client.call("nap", [self._seconds], idempotent=idempotent, timeout=LIMIT))
            self._over.wait(PAUSE)

    async def call_in_tasks(self) -> None:
        async with async_client_of(Target.parse(self._target), parallel=CALLERS) as client:
            await client.connect()
            await asyncio.gather(*(self._call_async(number, client) for number in range(CALLERS, 2 * CALLERS)))

    async def _call_async(self, number: int, client: AsyncClient) -> None:
        while not self._over.is_set():
            with self._counting(number):
                idempotent = self._idempotent(number)
                self._answered(1, await client.call("nap", [self._seconds], idempotent=idempotent, timeout=LIMIT))
            await asyncio.sleep(PAUSE)

    @contextlib.contextmanager
    def _counting(self, number: int) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        except ShellError as error:
            self.lost.append((self._idempotent(number), error))
        with self._told:
            self.longest = max(self.longest, time.monotonic() - began)
            self._calls[number] += 1
            self._told.notify_all()

    def _answered(self, client: int, pid: int) -> None:
        with self._told:
            self.served[client][pid] += 1

    def end(self) -> None:
        self._over.set()


@contextlib.contextmanager
def under_load(target: str, **options: object) -> Iterator[Load]:
    load = Load(target, **options)  # type: ignore[arg-type] # as Load takes them
    threads = [
        threading.Thread(target=load.call_in_threads),
        threading.Thread(target=lambda: asyncio.run(load.call_in_tasks())),
    ]
    for thread in threads:
        thread.start()
    try:
        load.go_on()
        yield load
    finally:
        load.end()
        for thread in threads:
            thread.join(PATIENCE)


@pytest.fixture(scope="module")
def fleet(zookeeper: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Three servers; each test leaves as many."""
    with contextlib.ExitStack() as opened:
        serverset = opened.enter_context(contextlib.closing(Serverset(zookeeper)))
        folder = tmp_path_factory.mktemp("fleet")
        yield Fleet(serverset, folder, ["async"] * 3, opened, "--register-session", "1", app=APP)


@contextlib.contextmanager
def standing_still(pids: list[int]) -> Iterator[None]:
    try:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def everything_of(server: Server) -> list[int]:
    return [server.pid, *server.workers()]


def workers_of(server: Server) -> list[int]:
    with steering(server) as arbiter:
        return [worker["pid"] for worker in arbiter.workers()]


def stand_still(fleet: Fleet, who: Callable[[Server], list[int]]) -> Load:
    """Stop processes of a server until it has left the registry, and have them go on."""
    server = fleet.servers[0]
    with under_load(fleet.serverset.url) as load:
        with standing_still(who(server)):
            load.go_on()
            fleet.wait_until_registered(server)
        fleet.wait_until_registered()
        load.wait_until_served_by(server, 1)
    return load


def cut_off(fleet: Fleet) -> Load:
    """Carry nothing to and from a server for a while."""
    host, _, port = fleet.addresses[0].rpartition(":")
    way = Way(int(port), host)
    with contextlib.closing(way), under_load(",".join([way.hosts, *fleet.addresses[1:]])) as load:
        way.hold()
        load.go_on()
        way.mend()
        load.wait_until_served_by(fleet.servers[0], 1)
    return load


def kill(fleet: Fleet, idempotent: Callable[[int], bool] = lambda _number: True) -> Load:
    """Kill a server, and start another."""
    killed = fleet.servers[0]
    with under_load(fleet.serverset.url, idempotent=idempotent) as load:
        killed.signal(signal.SIGKILL)
        load.go_on()
        fleet.wait_until_registered(killed)
        lost = len(load.lost)
        fleet.succeed(0)
        load.wait_until_served_by(fleet.servers[0], 20)
        assert len(load.lost) == lost
    return load


def stop_all(fleet: Fleet) -> Load:
    return stand_still(fleet, everything_of)


def stop_workers(fleet: Fleet) -> Load:
    return stand_still(fleet, workers_of)


FAULTS = [stop_all, stop_workers, cut_off, kill]


@pytest.mark.samples(1)
@pytest.mark.parametrize("fault", FAULTS[:3])
def test_a_server_that_stands_still_or_is_cut_off_costs_no_idempotent_call(
    fleet: Fleet, fault: Callable[[Fleet], Load]
) -> None:
    assert fault(fleet).lost == []


def test_a_server_that_is_killed_costs_the_calls_in_its_hands_and_no_idempotent_one(fleet: Fleet) -> None:
    address = fleet.addresses[0]
    lost = kill(fleet, lambda number: number % 2 == 0).lost
    assert len(lost) <= CALLERS
    for idempotent, error in lost:
        assert not idempotent
        assert isinstance(error, ConnectionLost)
        assert error.may_have_run
        assert str(error.target) == address


@pytest.mark.soak
@pytest.mark.parametrize("fault", FAULTS)
def test_fault_after_fault_costs_no_idempotent_call(fleet: Fleet, fault: Callable[[Fleet], Load]) -> None:
    replies, longest = 0, 0.0
    for _ in range(8):
        load = fault(fleet)
        assert load.lost == []
        replies, longest = replies + load.replies, max(longest, load.longest)
    print(f"{fault.__name__} 8 times: {replies} calls, none lost, the longest took {longest * 1000:.0f} ms")


@pytest.mark.soak
@pytest.mark.parametrize("seconds", [0.0, 0.05])
@pytest.mark.parametrize("model", MODELS)
def test_deploy_after_deploy_costs_no_call(serverset: Serverset, tmp_path: Path, model: str, seconds: float) -> None:
    with contextlib.ExitStack() as opened:
        fleet = Fleet(serverset, tmp_path, [model] * 3, opened, app=APP)
        with under_load(serverset.url, seconds=seconds, idempotent=lambda _number: False) as load:
            for number in (0, 1, 2) * 3:
                fleet.replace(number)
                load.go_on()
    assert load.lost == []
    print(f"{model}, {seconds} s: {load.replies} calls, none lost, the longest took {load.longest * 1000:.0f} ms")


@pytest.mark.soak
def test_a_new_instance_gets_its_share(serverset: Serverset, tmp_path: Path) -> None:
    with contextlib.ExitStack() as opened:
        fleet = Fleet(serverset, tmp_path, ["async"] * 3, opened, app=APP)
        with under_load(serverset.url) as load:
            began = time.monotonic()
            added = fleet.add()
            registered = time.monotonic()
            load.wait_until_served_by(added, 1)
            used, before = time.monotonic(), (load.replies, load.served_by(added))
            load.go_on(25)
            replies, its = load.replies - before[0], load.served_by(added) - before[1]
            over = time.monotonic()
    assert load.lost == []
    assert its / replies > 0.5 / 4
    print(
        f"registered {registered - began:.2f} s after its start, in use {used - registered:.2f} s later, "
        f"{its} of the {replies} calls of the next {over - used:.2f} s"
    )


@pytest.mark.soak
def test_a_server_that_is_killed_while_zookeeper_is_away_costs_no_idempotent_call(
    own_zookeeper: ZooKeeper, tmp_path: Path
) -> None:
    with contextlib.ExitStack() as opened:
        serverset = opened.enter_context(contextlib.closing(Serverset(own_zookeeper.hosts)))
        fleet = Fleet(serverset, tmp_path, ["async"] * 3, opened, app=APP)
        with under_load(serverset.url) as load:
            own_zookeeper.kill()
            for server in fleet.servers:
                server.wait_for_log("is away")
            fleet.servers[0].signal(signal.SIGKILL)
            load.go_on(200)
            own_zookeeper.start()
            fleet.wait_until_registered(fleet.servers[0])
            fleet.succeed(0)
            load.wait_until_served_by(fleet.servers[0], 20)
    assert load.lost == []
    print(f"{load.replies} calls, none lost, the longest took {load.longest * 1000:.0f} ms")


@pytest.mark.thorough
def test_a_sync_server_gets_no_more_connections_than_it_has_workers(serverset: Serverset, tmp_path: Path) -> None:
    async def call() -> set[int]:
        async with connect_async(serverset.url, parallel=8) as client:
            return set(await asyncio.gather(*(client.call("nap", [0.005]) for _ in range(40))))

    with contextlib.ExitStack() as opened:
        fleet = Fleet(serverset, tmp_path, ["sync"] * 2, opened, "--workers", "2", app=APP)
        pids = {server.pid for server in fleet.servers}
        with connect(serverset.url) as client, ThreadPoolExecutor(8) as callers:
            assert set(callers.map(lambda _: client.call("nap", [0.005]), range(40))) == pids
        assert asyncio.run(call()) == pids
        for server in fleet.servers:
            with steering(server) as arbiter:
                # Each of both clients had two at most, and never another one.
                assert arbiter.status()["totals"]["accepts"] <= 4


@pytest.mark.thorough
def test_a_client_lets_sync_workers_go_that_its_calls_do_not_need(serverset: Serverset, tmp_path: Path) -> None:
    with contextlib.ExitStack() as opened:
        Fleet(serverset, tmp_path, ["sync"] * 2, opened, "--workers", "2", "--reclaim-idle", "0", app=APP)
        first = opened.enter_context(connect(serverset.url))
        with ThreadPoolExecutor(4) as callers:
            together = threading.Barrier(4)
            list(callers.map(lambda _: (together.wait(PATIENCE), first.call("nap", [0.05])), range(4)))
        with connect(serverset.url, timeout=PATIENCE) as second, ThreadPoolExecutor(1) as callers:
            other = callers.submit(second.call, "nap", [0])
            while not other.done():
                first.call("nap", [0])
            other.result()
