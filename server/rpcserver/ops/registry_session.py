"""The session with ZooKeeper, in a process of its own: one ephemeral node that is there when it shall be, and not else.

This is the only module of the server that imports kazoo, and of its threads the main one alone decides anything. A node
is looked at when ZooKeeper says that it has changed, when the session is another one, and when the wish is. So one that
somebody removes by hand, or that a lost session took along, comes back.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import socket
import threading
import time
from typing import TYPE_CHECKING, Any, Final

import msgspec
from kazoo.client import KazooClient
from kazoo.exceptions import ConnectionLoss, InvalidACLError, KazooException, NoAuthError, NoNodeError, RolledBackError
from kazoo.handlers.threading import KazooTimeoutError
from kazoo.protocol.states import KeeperState
from kazoo.security import ACL, make_acl

from rpcserver.arbiter.registration import SILENCE, RegistryState, Report, Wish
from rpcserver.ops.registry_access import read_credentials

if TYPE_CHECKING:
    from rpcserver.ops.registry_access import AclEntry, Credentials, RegistryAccess

logger = logging.getLogger(__name__)

_PERIOD: Final = 0.5
"""Seconds between two reports to the arbiter, at most."""

_PATIENCE: Final = 1.0
"""Seconds that ZooKeeper has to answer."""

_AGAIN: Final = 1.0
"""Seconds after which what ZooKeeper refused is tried again."""

_LARGEST: Final = 64 * 1024
_NOW: Final = socket.MSG_DONTWAIT
_RETRY: Final = {"max_tries": -1, "delay": 0.1, "backoff": 2, "max_delay": 2.0}
_TRIES_AGAIN: Final = "Transition to CONNECTING"
_decode_wish: Final = msgspec.msgpack.Decoder(Wish).decode


def keep_registered(end: socket.socket, access: RegistryAccess, name: str) -> int:
    """Be the companion that keeps the node of that name, and return its exit code; `end` leads to the arbiter."""
    threading.excepthook = _end_with_thread
    words = LastWords()
    credentials = read_credentials(access.credentials)
    acl = [_kazoo_acl(entry) for entry in credentials.acl]
    client = _client(access, credentials, words)
    return RegistryKeeper(end, client, access.address.path, name, acl, words).run()


class RegistryKeeper:
    """Keeps one node in a serverset, and tells the arbiter of it."""

    def __init__(
        self, end: socket.socket, client: KazooClient, path: str, name: str, acl: list[ACL], words: LastWords
    ) -> None:
        self._end = end
        self._client = client
        self._node = f"{path}/{name}"
        self._acl = acl
        self._words = words
        self._wish = Wish()
        self._heard = time.monotonic()
        self._state = RegistryState.CONNECTING
        self._problem = ""
        self._reached = False
        self._registered_in: int | None = None
        self._done: tuple[int, bytes | None] = (-1, None)
        self._changed = threading.Event()
        self._changed.set()
        self._try_at = 0.0
        self._reported: Report | None = None
        self._report_at = 0.0
        self._wakeup, self._waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def run(self) -> int:
        """Keep it until the arbiter goes."""
        self._client.add_listener(self._on_event)
        self._client.start_async()
        while True:
            self._report()
            self._wait()
            if not self._hear():
                return 0
            if self._client.client_state == KeeperState.AUTH_FAILED:
                logger.error("ZooKeeper refuses the credentials of this server: see --register-credentials")
                return 1
            self._look()

    def close(self) -> None:
        """Let go of what it waits with, once kazoo's threads have ended."""
        os.close(self._wakeup)
        os.close(self._waker)

    def _on_event(self, _event: object) -> None:
        """Have the node looked at; called in kazoo's threads."""
        self._changed.set()
        # One that is full wakes all the same.
        with contextlib.suppress(BlockingIOError):
            os.write(self._waker, b".")

    def _report(self) -> None:
        report = Report(self._wish.number, self._state, self._problem, self._reached)
        now = time.monotonic()
        if report != self._reported or now >= self._report_at:
            self._reported, self._report_at = report, now + _PERIOD
            # An arbiter that is stopped leaves it where it is.
            try:
                self._end.send(msgspec.msgpack.encode(report), _NOW)
            except BlockingIOError:
                self._reported = None

    def _wait(self) -> None:
        until = self._report_at
        if self._changed.is_set() and self._client.connected:
            until = min(until, self._try_at)
        timeout = max(0.0, until - time.monotonic())
        if self._wakeup in select.select([self._end.fileno(), self._wakeup], [], [], timeout)[0]:
            os.read(self._wakeup, 4096)

    def _hear(self) -> bool:
        """Read what the arbiter has said; False where it has gone."""
        while True:
            try:
                message = self._end.recv(_LARGEST, _NOW)
            except BlockingIOError:
                return True
            except OSError:
                return False
            if not message:
                return False
            self._wish = _decode_wish(message)
            self._heard = time.monotonic()

    @property
    def _wanted(self) -> bytes | None:
        """What shall be there: of an arbiter that says nothing any more, nothing."""
        return self._wish.member if time.monotonic() - self._heard < SILENCE else None

    def _look(self) -> None:
        """See to it that there is what shall be, if anything may have changed."""
        if not self._client.connected:
            self._changed.set()
            if self._state is not RegistryState.CONNECTING:
                self._state = RegistryState.AWAY
            self._problem = self._words.last
            return
        if not self._reached:
            # From now on the server's end waits for what is done here.
            self._reached = True
            self._report()
        wanted, now = self._wanted, time.monotonic()
        if ((self._wish.number, wanted) == self._done and not self._changed.is_set()) or (
            now < self._try_at and wanted is not None
        ):
            return
        self._changed.clear()
        try:
            self._state = self._settle(wanted)
        except (KazooException, KazooTimeoutError) as error:
            self._changed.set()
            self._try_at = now + _AGAIN
            self._problem = _explain(error)
            if isinstance(error, NoAuthError | InvalidACLError):
                self._state = RegistryState.ABSENT
            elif self._state is not RegistryState.CONNECTING:
                self._state = RegistryState.AWAY
        else:
            self._done = (self._wish.number, wanted)

    def _settle(self, wanted: bytes | None) -> RegistryState:
        """Compare what is there with what shall be, and change it; return the new state.

        Raises:
            KazooException, KazooTimeoutError: ZooKeeper refused, or did not answer.
        """
        self._problem = ""
        session, _ = self._client.client_id or (None, None)
        if session is None:
            raise ConnectionLoss
        found = self._read()
        mine = found is not None and found[1].ephemeralOwner == session
        if found is not None and not mine and self._registered_in == session:
            # It was this server's in this very session: another one took it, and would take it again.
            self._problem = f"another server is registered as {self._node.rpartition('/')[2]}: see --advertise"
            return RegistryState.ABSENT
        if wanted is None:
            # One that is not ready yet takes nobody else away who may serve at this address.
            if found is not None and (mine or self._wish.number):
                self._answered(self._client.delete_async(self._node, version=found[1].version))
            return RegistryState.ABSENT
        if found is None:
            new = self._client.create_async(self._node, wanted, acl=self._acl, ephemeral=True, makepath=True)
            self._answered(new)
        elif not mine:
            self._take_over(wanted, found[1].version)
        elif found[0] != wanted:
            self._answered(self._client.set_async(self._node, wanted))
        self._registered_in = session
        return RegistryState.REGISTERED

    def _read(self) -> tuple[bytes, Any] | None:
        """The node and what ZooKeeper tells of it, or None; its next change is told."""
        try:
            found: tuple[bytes, Any] = self._answered(self._client.get_async(self._node, watch=self._on_event))
        except NoNodeError:
            if self._answered(self._client.exists_async(self._node, watch=self._on_event)) is not None:
                return self._read()
            return None
        return found

    def _take_over(self, member: bytes, version: int) -> None:
        """Put a node in the place of one that a former session has left, at once, so that nobody misses it."""
        change = self._client.transaction()
        change.delete(self._node, version=version)
        change.create(self._node, member, acl=self._acl, ephemeral=True)
        results = self._answered(change.commit_async())
        failures = [found for found in results if isinstance(found, Exception)]
        for failure in sorted(failures, key=lambda found: isinstance(found, RolledBackError)):
            raise failure

    def _answered(self, request: Any) -> Any:
        return request.get(timeout=_PATIENCE)


class LastWords(logging.Handler):
    """Keeps what kazoo has said last of its connection, which it says nowhere else; the log hears it in other words."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.last = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it, unless it only says that it tries again."""
        if record.msg != _TRIES_AGAIN:
            self.last = record.getMessage()


def _client(access: RegistryAccess, credentials: Credentials, words: LastWords) -> KazooClient:
    # What it says at a lower level holds passwords.
    said = logging.getLogger("kazoo")
    said.propagate = False
    said.setLevel(logging.WARNING)
    said.addHandler(words)
    ca, cert, key = (None if file is None else str(file) for file in (access.ca, access.cert, access.key))
    return KazooClient(
        hosts=access.address.hosts,
        timeout=access.session,
        auth_data=[] if credentials.user is None else [("digest", f"{credentials.user}:{credentials.password}")],
        connection_retry=dict(_RETRY),
        logger=said,
        use_ssl=access.address.tls,
        ca=ca,
        certfile=cert,
        keyfile=key or cert,
        check_hostname=access.address.tls,
    )


def _kazoo_acl(entry: AclEntry) -> ACL:
    may = {name: name[0] in entry.permissions for name in ("create", "delete", "read", "write", "admin")}
    return make_acl(entry.scheme, entry.id, **may)


def _explain(error: Exception) -> str:
    match error:
        case NoAuthError():
            return "ZooKeeper does not let this server write there: see --register-credentials, and the ACL of the path"
        case InvalidACLError():
            return "ZooKeeper does not take the ACL of --register-credentials"
        case KazooTimeoutError():
            return "ZooKeeper does not answer"
        case _:
            return f"ZooKeeper says {type(error).__name__.removesuffix('Error')}"


def _end_with_thread(failure: threading.ExceptHookArgs) -> None:
    """End the process with a thread of kazoo's, without which it would do nothing any more; the arbiter has another."""
    logger.error("the session with ZooKeeper has failed", exc_info=(failure.exc_type, failure.exc_value, None))  # type: ignore[arg-type]
    os._exit(1)
