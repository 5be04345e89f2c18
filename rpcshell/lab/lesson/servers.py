"""Servers of a lesson: started for a step, watched by it, and ended with it, whatever happens."""

from __future__ import annotations

import contextlib
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from rpcshell.client.client import Client
from rpcshell.client.errors import ShellError
from rpcshell.client.target import Target, TcpTarget
from rpcshell.lab.lesson.callers import PATIENCE, Caller, Looper
from rpcshell.servers import Control
from rpcshell.servers.spawn import SpawnedServer, SpawnOptions

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from rpcwire import Meta, Reply
    from rpcwire.control import ServerStatus, WorkerStatus

__all__ = ["LessonServer", "threads_of", "who"]

_LOOK: Final = 0.01
"""Seconds between two looks at a server."""

_LAST: Final = 2.0
"""Seconds for the threads of clients whose server has gone."""


class LessonServer:
    """A server of its own, and its clients; a context manager that starts it and ends them all.

    Args:
        workers: How many workers.
        model: The worker model.
        app: What it serves, or None for the demo.
        options: More options for the server's command line.

    Attributes:
        target: Where it listens.
    """

    def __init__(self, workers: int, model: str = "sync", *options: str, app: Path | None = None) -> None:
        self._spawned = SpawnOptions(
            workers=workers,
            model=model,
            app=None if app is None else str(app),
            extra=("--log-level", "error", *options),
        )
        self._exits = contextlib.ExitStack()
        self._callers: list[Caller | Looper] = []

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as exits:
            # Clients that wait let go once the server has gone, so that it is ended before they are.
            exits.callback(self._end_callers)
            server = SpawnedServer.start(self._spawned)
            # The names of the few logs that are kept belong to servers that somebody may ask for.
            exits.callback(server.log.unlink, missing_ok=True)
            exits.callback(server.stop, drain=0)
            self.target = _tcp(server.addresses[0])
            if server.control is None:
                raise ShellError("the server has no control socket, so that nothing can be seen of it")
            self._control = exits.enter_context(Control(server.control, timeout=PATIENCE))
            self._exits = exits.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._exits.close()

    @property
    def control(self) -> Control:
        """The way to steer it, for the thread that started it."""
        return self._control

    def status(self) -> ServerStatus:
        """What it and its workers do."""
        return self._control.status()

    def until(self, condition: Callable[[ServerStatus], bool]) -> ServerStatus:
        """Look at it until something is so.

        Args:
            condition: What.

        Raises:
            ShellError: It took too long.
        """
        deadline = time.monotonic() + PATIENCE
        never = threading.Event()
        while not condition(status := self.status()):
            if time.monotonic() > deadline:
                raise ShellError(
                    "the server does not do what the lesson waits for",
                    hint=":lesson with the step's number tries again",
                )
            never.wait(_LOOK)
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
        """A client that has begun a call in a thread of its own.

        Args:
            method: What it calls.
            params: With what.
            stays: Whether it keeps its connection after that.
        """
        caller = Caller(self.target, method, params, stays=stays)
        self._callers.append(caller)
        return caller

    def looper(self) -> Looper:
        """A client that calls in a closed loop."""
        looper = Looper(self.target)
        self._callers.append(looper)
        return looper

    def _end_callers(self) -> None:
        for caller in self._callers:
            if isinstance(caller, Looper):
                caller.end()
        deadline = time.monotonic() + _LAST
        for caller in self._callers:
            caller.join(max(deadline - time.monotonic(), 0))
            if isinstance(caller, Caller) and caller.over:
                caller.client.close()


def _tcp(address: str) -> TcpTarget:
    target = Target.parse(address)
    if not isinstance(target, TcpTarget):
        raise ShellError(f"the server listens at {target}, and not on a port")
    return target


def who(reply: Reply) -> Meta:
    """Who answered.

    Args:
        reply: To a request that asked for it.

    Raises:
        ShellError: It does not tell.
    """
    if reply.meta is None:
        raise ShellError("the server does not tell who answered")
    return reply.meta


def threads_of(pid: int) -> int:
    """How many threads a process has (proc(5)); 0 where it has gone.

    Args:
        pid: Of the process.
    """
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    fields: dict[str, Any] = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    return int(fields.get("Threads", 0))
