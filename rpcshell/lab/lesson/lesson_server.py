"""What a step works with: servers of its own, with clients that wait."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from rpcshell.client.client import Client
from rpcshell.client.errors import ShellError
from rpcshell.client.target import Target, TcpTarget
from rpcshell.lab.load.callers import Caller, end_callers
from rpcshell.servers.control import Control
from rpcshell.servers.spawn import SpawnedServer, SpawnOptions
from rpcshell.servers.watch import LocalServerWatch

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcwire import Meta, Reply
    from rpcwire.control import ServerStatus, WorkerStatus

PATIENCE: Final = 20.0
"""Seconds after which a call has no answer any more; far more than any step takes."""

_LOOK: Final = 0.01
"""Seconds between two looks at a server."""

_LAST: Final = 2.0
"""Seconds for the threads of clients whose server has gone."""


class LessonServer:
    """A server of its own, and its clients; a context manager that starts it and ends them all, whatever happens."""

    def __init__(self, workers: int, model: str = "sync", *options: str, app: str | None = None) -> None:
        self._spawned = SpawnOptions(workers, app, model, extra=("--log-level", "error", *options))
        self._exits = contextlib.ExitStack()
        self._callers: list[Caller] = []

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as exits:
            # Clients that wait let go once the server has gone, so that it is ended before they are.
            exits.callback(end_callers, self._callers, _LAST)
            server = SpawnedServer.start(self._spawned)
            # The names of the few logs that are kept belong to servers that somebody may ask for.
            exits.callback(server.remove_log)
            exits.callback(server.stop, drain=0)
            self.target = _tcp(server.addresses[0])
            path = server.control
            if path is None:
                raise ShellError("the server has no control socket, so that nothing can be seen of it")
            self._watch = exits.enter_context(LocalServerWatch(lambda: Control(path, timeout=PATIENCE)))
            self._exits = exits.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._exits.close()

    @property
    def control(self) -> Control:
        """The way to steer it, for the thread that started it."""
        return self._watch.control

    def status(self) -> ServerStatus:
        """What it and its workers do."""
        return self._watch.status()

    def until(self, condition: Callable[[ServerStatus], bool]) -> ServerStatus:
        """Look at it until something is so; raises `ShellError` where that takes too long."""
        deadline = time.monotonic() + PATIENCE
        while not condition(status := self.status()):
            if time.monotonic() > deadline:
                raise ShellError(
                    "the server does not do what the lesson waits for",
                    hint=":lesson with the step's number tries again",
                )
            time.sleep(_LOOK)
        return status

    def worker(self) -> WorkerStatus:
        """Its first worker."""
        return self.status().workers[0]

    def client(self) -> Client:
        """A client, which is closed at the end."""
        client = Client(self.target, timeout=PATIENCE)
        self._exits.callback(client.close)
        return client

    def caller(self, method: str, params: object = None, *, stays: bool = True) -> Caller:
        """A client that has begun a call in a thread of its own; one that stays keeps its connection after that."""
        calls_each = None if stays else 1
        return self._begun(Caller(self.target, method, params, timeout=PATIENCE, calls=1, calls_each=calls_each))

    def looper(self) -> Caller:
        """A client that calls in a closed loop."""
        return self._begun(Caller(self.target, "ping", {"a": 1}, timeout=PATIENCE))

    def _begun(self, caller: Caller) -> Caller:
        self._callers.append(caller)
        caller.start()
        return caller


def _tcp(address: str) -> TcpTarget:
    target = Target.parse(address)
    if not isinstance(target, TcpTarget):
        raise ShellError(f"the server listens at {target}, and not on a port")
    return target


def answer_of(caller: Caller) -> Reply:
    """The answer to a single call, which is waited for; raises `ShellError` where it is an error, or none comes."""
    caller.join(PATIENCE)
    attempt = caller.last
    if attempt is not None and attempt.error is not None:
        raise attempt.error
    if attempt is None or attempt.reply is None:
        raise ShellError(f"a call had no answer within {PATIENCE:g} s")
    return attempt.reply


def who(reply: Reply) -> Meta:
    """Who answered a request that asked for it; raises `ShellError` where that is not told."""
    if reply.meta is None:
        raise ShellError("the server does not tell who answered")
    return reply.meta


def threads_of(pid: int) -> int:
    """How many threads a process has (proc(5)); 0 where it has gone."""
    try:
        return len(list(Path(f"/proc/{pid}/task").iterdir()))
    except OSError:
        return 0
