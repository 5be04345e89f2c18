"""A client of a server's control socket: watching a server of one's own on this machine, and steering it.

Which server is meant is found out in `directory`; what is done with it is the commands' business.
"""

from __future__ import annotations

import contextlib
import os
import stat
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

import msgspec

from rpcshell.client.client import Client
from rpcshell.client.errors import CallError, ProtocolError, UsageError
from rpcshell.client.target import UnixTarget
from rpcwire import ErrorCode
from rpcwire.control import Events, Frozen, LogPart, Reloading, Scaled, ServerStatus, Signalled

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcshell.client.connection import Connection
    from rpcshell.client.target import Target
    from rpcwire.control import LogPosition

_TIMEOUT: Final = 5.0

_T = TypeVar("_T")


class Control:
    """A connection to a control socket; for one thread at a time. `on_status` is given each status that it brings.

    A call that the server refuses raises `CallError`, one that finds no server `ConnectionFailed`, and one that finds
    another user's server, root's shell included, `UsageError`, as does a path of something else than a socket.
    """

    def __init__(
        self, path: str, *, timeout: float = _TIMEOUT, on_status: Callable[[ServerStatus], object] = lambda _: None
    ) -> None:
        target = UnixTarget.at(path)
        self.path = target.path
        self._on_status = on_status
        # Where nothing is there, connecting fails with a better message.
        with contextlib.suppress(OSError):
            if not target.abstract and not stat.S_ISSOCK(os.lstat(target.name).st_mode):
                raise UsageError(f"{self.path} is no socket", hint=":servers lists the servers that can be steered")
        self._client = _OwnersClient(target, timeout=timeout, connect_timeout=timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; a later call makes another."""
        self._client.close()

    def status(self) -> ServerStatus:
        """What the server and its workers do."""
        status = self._call("arbiter.status", None, ServerStatus)
        self._on_status(status)
        return status

    def scale(self, workers: int) -> int:
        """Keep another number of workers; how many there should be before."""
        return self._call("arbiter.scale", {"workers": workers}, Scaled).before

    def reload(self) -> int:
        """Replace the workers one by one; the generation of the new ones."""
        return self._call("arbiter.reload", None, Reloading).generation

    def stop(self) -> None:
        """Stop the server, once it has answered what has arrived."""
        self._client.call("arbiter.stop", {"graceful": True})

    def logs(self, lines: int, worker: int | None = None) -> list[str]:
        """The log's last lines, or those of one worker."""
        return self._call("arbiter.logs", {"lines": lines, "worker": worker}, list[str])

    def log_since(self, position: LogPosition | None, limit: int) -> LogPart:
        """What was logged after a place in the log, or last; `limit` lines at most.

        Raises `UsageError` where it cannot be read back, or the server is too old to do that.
        """
        try:
            return self._call("arbiter.log_since", {"position": position, "limit": limit}, LogPart)
        except CallError as error:
            too_old = "the server is of an older version, whose log cannot be followed"
            raise UsageError(too_old if error.code == ErrorCode.METHOD_NOT_FOUND else error.message) from None

    def kill_worker(self, worker: int, signal: str = "KILL") -> Signalled:
        """Send a worker a signal, named without SIG."""
        return self._call("worker.kill", {"worker": worker, "signal": signal}, Signalled)

    def freeze_worker(self, worker: int, seconds: float) -> Frozen:
        """Stop a worker for up to a minute; the server has it go on, whatever becomes of this client."""
        return self._call("worker.freeze", {"worker": worker, "seconds": seconds}, Frozen)

    def thaw_worker(self, worker: int) -> None:
        """Have a worker that is frozen go on now."""
        self._client.call("worker.thaw", {"worker": worker})

    def events(self, after: int = 0) -> Events:
        """What happened to the server and its workers lately, after the event with this number."""
        return self._call("arbiter.events", {"after": after}, Events)

    def _call(self, method: str, params: object, kind: type[_T]) -> _T:
        result: Any = self._client.call(method, params)
        try:
            return msgspec.convert(result, kind)
        except msgspec.ValidationError as error:
            raise ProtocolError(f"unix:{self.path} answered {method} with something else: {error}") from None


class _OwnersClient(Client):
    """A client that says nothing to a process of another user's.

    The path does not tell whose process listens there: in a folder that is not well guarded anybody may have put a
    socket in the place of another, and what it answers would be believed.
    """

    def _open(self, instance: Target, timeout: float) -> Connection:
        connection = super()._open(instance, timeout)
        user = connection.peer_user()
        if user == os.geteuid():
            return connection
        connection.close()
        if user is None:
            raise UsageError(f"this system does not tell whose server listens at {instance}, so it is not trusted")
        raise UsageError(
            f"the server at {instance} is another user's (uid {user}), and only its owner may steer it",
            hint=":servers lists your own",
        )
