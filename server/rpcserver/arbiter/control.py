"""The control socket: who may steer the server, and serving them without ever waiting for one.

What can be asked for is in `rpcserver.arbiter.control_service`. The wire protocol is the one that the workers speak.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from rpcserver.service.context import Peer
from rpcserver.system.addresses import BindError, UnixBind, peer_process
from rpcserver.system.log import RateLimit
from rpcserver.system.settings import ServerSettings
from rpcserver.system.sockets import open_listeners
from rpcserver.workers.conversation import Conversation
from rpcserver.workers.limits import NEVER
from rpcserver.workers.next_step import ANSWER, CLOSE, LINGER, READ, WRITE
from rpcserver.workers.socket_drivers import NonBlockingConnection, prepare
from rpcwire import GOODBYE, ErrorCode, Fault, encode_fault, frame

if TYPE_CHECKING:
    from rpcserver.system.loop import Reactor
    from rpcserver.system.sockets import Listener

logger = logging.getLogger(__name__)

Answer = Callable[[bytes | bytearray, Peer], bytes]
"""Answers a request with a framed reply, at once."""

_BACKLOG: Final = 64
_MOST_CLIENTS: Final = 32
_MAX_FRAME: Final = 64 * 1024
_ANSWERS_AT_ONCE: Final = 16
_MOST_PATIENCE: Final = 5.0
_PAUSE: Final = 1.0
_READING: Final = frozenset({READ, LINGER})
_FOLDER_MODE: Final = 0o700
_SOCKET_MODE: Final = 0o600
_LONGEST_PATH: Final = 103  # that rpcshell connects to on every system: unix(7), and unix(4) of macOS


class ControlSocket(msgspec.Struct, frozen=True):
    """A control socket, where it was asked for, and what is served there."""

    listener: Listener
    path: str
    answer_for: Callable[[Any], Answer]


def open_control(path: str) -> Listener | None:
    """Open the control socket at a path, or for `auto` in the user's runtime folder; for `none` there is none.

    Raises:
        BindError: it cannot be had there.
    """
    if path == "none":
        return None
    if path == "auto":
        folder = runtime_folder()
        _remove_stale(folder)
        path = str(_socket_in(folder))
    (listener,) = open_listeners([UnixBind(path)], backlog=_BACKLOG, unix_mode=_SOCKET_MODE)
    return listener


def runtime_folder() -> Path:
    """Return the folder for the control sockets of this user's servers, which is made if need be.

    It is in $XDG_RUNTIME_DIR, where that is as the XDG base directory specification wants it, in /run/user, or else in
    the folder for temporary files, under a name with the user's id. One whose path leaves no room for a socket's is not
    used; there is always /tmp.

    Raises:
        BindError: there is none, it is another user's, or others may look into it.
    """
    user = os.geteuid()
    folder = _folder_of(user)
    try:
        folder.mkdir(_FOLDER_MODE, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise BindError(str(folder), f"no folder for the control socket: {error.strerror}; use --control") from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != user or found.st_mode & 0o077:
        reason = "the folder for control sockets is not this user's alone: remove it, or use --control"
        raise BindError(str(folder), reason)
    return folder


def _folder_of(user: int) -> Path:
    if named := os.environ.get("XDG_RUNTIME_DIR"):
        runtime = Path(named)
        if runtime.is_absolute():
            # One that has vanished can be made again where that needs no privilege.
            with contextlib.suppress(OSError):
                runtime.mkdir(_FOLDER_MODE)
        if (reason := _unfit(runtime, user)) is None:
            return runtime / "rpcserver"
        logger.warning("XDG_RUNTIME_DIR is not used: %s %s", named, reason)
    usual = Path("/run/user", str(user))
    if _unfit(usual, user) is None:
        return usual / "rpcserver"
    folder = _folder_of_temporary_files() / f"rpcserver-{user}"
    return folder if _has_room(folder) else Path("/tmp", folder.name)  # noqa: S108 - whose it is is looked at


def _folder_of_temporary_files() -> Path:
    usual = Path("/tmp")  # noqa: S108 - whose the folder in it is is looked at
    if not any(map(os.environ.get, ("TMPDIR", "TEMP", "TMP"))) and os.access(usual, os.W_OK | os.X_OK):
        return usual
    # It knows others, and its import costs a start as much as the forks of the first workers.
    import tempfile

    try:
        return Path(tempfile.gettempdir())
    except FileNotFoundError as error:
        reason = "no folder for temporary files can be written to; use --control"
        raise BindError("the control socket", reason) from error


def _unfit(runtime: Path, user: int) -> str | None:
    """Say why a folder is no runtime folder of a user, or return None where it is one."""
    try:
        found = runtime.stat()
    except OSError as error:
        return f"cannot be used: {error.strerror}"
    if not stat.S_ISDIR(found.st_mode) or not runtime.is_absolute():
        return "is no absolute path of a folder"
    if found.st_uid != user:
        return f"is another user's (uid {found.st_uid})"
    if found.st_mode & 0o022:
        return "can be written to by others"
    if not _has_room(runtime / "rpcserver"):
        return "has too long a path for a socket"
    return None if os.access(runtime, os.W_OK | os.X_OK) else "cannot be written to"


def _has_room(folder: Path) -> bool:
    return len(os.fsencode(_socket_in(folder))) <= _LONGEST_PATH


def _socket_in(folder: Path) -> Path:
    return folder / f"{os.getpid()}.sock"


class ControlServer:
    """Serves the control socket on the arbiter's epoll.

    A client has `patience` seconds to end a request that it has begun or to read a reply, and is dropped then; 0 and
    more than five are five, for the arbiter's time is everybody's.
    """

    def __init__(self, control: ControlSocket, reactor: Reactor, arbiter: object, *, patience: float) -> None:
        self._reactor = reactor
        self._control = control
        self._arbiter = arbiter
        self._answer: Answer | None = None
        self._owner = os.geteuid()
        patience = min(patience or _MOST_PATIENCE, _MOST_PATIENCE)
        self._settings = ServerSettings(
            max_frame=_MAX_FRAME, read_timeout=patience, write_timeout=patience, idle_timeout=0
        )
        self._clients: set[_Client] = set()
        self._refusals = RateLimit()
        self._watch(control.listener)

    @property
    def address(self) -> str:
        """Where it is, as targets are written."""
        return self._listener.address

    @property
    def deadline(self) -> float | None:
        """When `run_due` has something to do, in monotonic seconds."""
        deadline = min(self._accepts_again, *(client.deadline for client in self._clients), NEVER)
        return None if deadline == NEVER else deadline

    def run_due(self, now: float) -> None:
        """Go on with clients that have asked for much, and drop those whose time is over."""
        if now >= self._accepts_again:
            self._watch(self._listener)
        for client in tuple(self._clients):
            if client.following is ANSWER:
                client.go_on()
            elif now >= client.deadline:
                if not client.conversation.lingering:
                    logger.info("a client of the control socket is too slow, and is dropped")
                client.close()

    def stop(self) -> None:
        """Say goodbye to clients, and remove the socket."""
        for client in tuple(self._clients):
            client.say_goodbye()
        self._reactor.unwatch(self._listener.fileno())
        self._listener.close()

    def restore(self) -> None:
        """Make the socket again where it has vanished, as runtime folders do when their user logs out."""
        if self._listener.in_place:
            return
        try:
            listener = open_control(self._control.path)
        except BindError as error:
            logger.warning("the control socket has vanished, and cannot be made again: %s", error)
            return
        if listener is not None:
            self._reactor.unwatch(self._listener.fileno())
            self._listener.close()
            self._watch(listener)
            logger.warning("the control socket had vanished, and was made again: %s", self.address)

    def close(self) -> None:
        """Close the descriptors in a forked child; the socket stays."""
        self._listener.socket.close()
        for client in self._clients:
            client.connection.close()

    def _watch(self, listener: Listener) -> None:
        self._listener = listener
        self._accepts_again = NEVER
        self._reactor.watch(listener.fileno(), self._on_client)

    def _on_client(self) -> None:
        try:
            client = self._listener.accept()
        except BlockingIOError:
            # The client has gone already.
            return
        except OSError as error:
            # No descriptor left: who waits stays in the queue.
            self._note_refusal(error)
            self._reactor.unwatch(self._listener.fileno())
            self._accepts_again = time.monotonic() + _PAUSE
            return
        pid, user = peer_process(client)
        if user not in {self._owner, 0}:
            # Its mode keeps others from the socket already, unless somebody has changed that.
            logger.warning("user %d (pid %d) may not use the control socket", user, pid)
            client.close()
        elif len(self._clients) >= _MOST_CLIENTS:
            client.setblocking(False)
            fault = Fault(ErrorCode.BUSY, "the control socket has too many clients: close some", {"retry": True})
            with contextlib.suppress(OSError):
                client.send(frame(encode_fault(fault, close=True)))
            client.close()
        else:
            try:
                if self._answer is None:
                    self._answer = self._control.answer_for(self._arbiter)
            except OSError as error:
                self._note_refusal(error)
                client.close()
                return
            self._clients.add(_Client(client, self._answer, self._reactor, self._clients, self._settings))

    def _note_refusal(self, error: OSError) -> None:
        if self._refusals.allows():
            logger.warning("clients of the control socket are not served for now: %s", error.strerror)


class _Client:
    """One who watches or steers: a conversation that the arbiter's epoll drives."""

    def __init__(
        self, client: socket.socket, answer: Answer, reactor: Reactor, siblings: set[_Client], settings: ServerSettings
    ) -> None:
        self.conversation = Conversation(settings)
        prepare(client, self.conversation)
        self.connection = NonBlockingConnection(client, self.conversation)
        self._answer = answer
        self._reactor = reactor
        self._siblings = siblings
        self.following = READ
        reactor.watch(client.fileno(), self.go_on)

    @property
    def deadline(self) -> float:
        """When there is something to do whatever the client does: at once while requests of its are held."""
        return 0.0 if self.following is ANSWER else self.conversation.deadline

    def go_on(self) -> None:
        """Read, answer and write, as far as that goes without waiting."""
        if self.following in _READING:
            self.connection.receive()
        self.following = self.connection.advance()
        # No more in one go, so that no client keeps the arbiter from everything else.
        for _ in range(_ANSWERS_AT_ONCE):
            if self.following is not ANSWER or (request := self.conversation.next_request()) is None:
                break
            self.conversation.hold(self._answer(request[0], self.conversation.peer))
            self.following = self.connection.advance()
        if self.following is CLOSE:
            self.close()
        else:
            writing = self.following is WRITE
            self._reactor.watch_for(self.connection.fileno(), reading=self.following in _READING, writing=writing)

    def say_goodbye(self) -> None:
        """End the connection; what was not read yet is not answered."""
        self.conversation.hold(GOODBYE, last=True)
        self.connection.advance()
        self.close()

    def close(self) -> None:
        """Close the connection at once."""
        self._reactor.unwatch(self.connection.fileno())
        self._siblings.discard(self)
        self.connection.close()


def _remove_stale(folder: Path) -> None:
    """Remove the sockets of servers that were killed."""
    for path in folder.glob("[0-9]*.sock"):
        if Path("/proc", path.stem).exists():
            # It may have bound its socket, and not listen yet.
            continue
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.setblocking(False)
            try:
                probe.connect(str(path))
            except ConnectionRefusedError:
                with contextlib.suppress(FileNotFoundError):
                    path.unlink()
            except OSError:
                continue
