"""The instances that are registered in ZooKeeper, as long as they are: read once, and then what has changed.

kazoo keeps the session and tries again for ever; what it knew stays known while ZooKeeper is away. Names that were seen
before are not read again when others come or go. Who reads there is told by a file of credentials, which is read here.
"""

from __future__ import annotations

import atexit
import logging
import os
import stat
import threading
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from kazoo.client import KazooClient, KazooState
from kazoo.exceptions import KazooException, NoAuthError, NoNodeError
from kazoo.handlers.threading import KazooTimeoutError
from kazoo.protocol.states import EventType

from rpcshell.client.errors import UsageError
from rpcshell.client.fleet.instances import Listed
from rpcshell.client.target import ServersetTarget, Target, TcpTarget, TlsFiles, TlsTarget
from rpcshell.client.tls import client_context
from rpcwire import InvalidMember
from rpcwire.credentials import LARGEST_CREDENTIALS, is_exposed
from rpcwire.serverset import METRICS, ServersetAddress, decode_member, is_host, is_member_name

_SESSION: Final = 10.0
"""Seconds after which ZooKeeper forgets this client, of which it keeps nothing but that it watches."""

_RETRY: Final = {"max_tries": -1, "delay": 0.1, "max_delay": 2.0}

_TRIES_AGAIN: Final = "Transition to CONNECTING"
_CREDENTIALS: Final = 'it has user = "..." and password = "..."'

_log: Final = logging.getLogger(__name__)
_log.addHandler(logging.NullHandler())


class ServersetSource:
    """Watches a serverset, as `Source` says. The files of TLS are for ZooKeeper, where the address says TLS.

    Raises:
        UsageError: As of `read_credentials`.
        TlsFailed: A file of TLS cannot be used.
    """

    def __init__(self, target: ServersetTarget, tls: TlsFiles | None) -> None:
        self._address = address = ServersetAddress.parse(target.url)
        user = None if target.credentials is None else read_credentials(target.credentials)
        self._words = _LastWords()
        self._denied = False
        self._client: Any = KazooClient(
            address.hosts,
            timeout=_SESSION,
            connection_retry=dict(_RETRY),
            logger=_logger_with(self._words),
            auth_data=[] if user is None else [("digest", user)],
            **_security(address, tls),
        )
        self._client.add_listener(self._state_changed)
        self._members: dict[str, Listed | None] = {}
        self._lock = threading.Lock()
        self._stale: set[str] = set()
        self._names_stale = self._stopped = False
        self._woken = threading.Event()

    def start(self, tell: Callable[[Sequence[Listed]], object]) -> None:
        """Begin, as `Source` says."""
        threading.Thread(target=self._watch, args=(tell,), name=f"watch {self._address}", daemon=True).start()

    def problem(self) -> str:
        """Why nothing was told yet."""
        if not self._client.connected:
            return f"ZooKeeper does not answer{self._words}"
        return f"ZooKeeper does not {'let this client read there' if self._denied else 'tell who is there'}"

    def stop(self) -> None:
        """End, as `Source` says."""
        self._stopped = True
        self._woken.set()

    def abandon(self) -> None:
        """Let go of it in a process that was forked: its threads are the parent's, and need not be waited for."""
        atexit.unregister(self._client.handler.stop)

    def _watch(self, tell: Callable[[Sequence[Listed]], object]) -> None:
        self._client.start_async()
        while True:
            self._woken.wait()
            self._woken.clear()
            if self._stopped:
                break
            try:
                known = self._read()
            except NoAuthError:
                # Whoever changes that is not told of: it is asked for again with the next connection.
                self._denied = True
                _log.warning("%s may not be read", self._address)
            except (KazooException, KazooTimeoutError) as error:
                # The connection has ended; when there is another, all is read again.
                _log.info("%s cannot be read: %r", self._address, error)
            else:
                if known is not None and not self._stopped:
                    tell(known)
        self._client.stop()
        self._client.close()

    def _read(self) -> tuple[Listed, ...] | None:
        """All instances, or None where no news have come."""
        with self._lock:
            stale, self._stale = self._stale, set()
            names_stale, self._names_stale = self._names_stale, False
        if not stale and not names_stale:
            return None
        try:
            if names_stale:
                names = set(filter(is_member_name, self._names()))
                self._members = {name: self._members[name] for name in self._members.keys() & names}
                stale = (stale & names) | (names - self._members.keys())
            read = {name: self._client.get_async(self._node(name), watch=self._node_changed) for name in sorted(stale)}
            for name, answer in read.items():
                try:
                    data, _ = answer.get(timeout=_SESSION)
                except NoNodeError:
                    self._members.pop(name, None)
                else:
                    # A node may hold nothing at all, which is told as None.
                    self._members[name] = self._listed(name, data or b"")
        except BaseException:
            with self._lock:
                self._stale |= stale
                self._names_stale = True
            raise
        return tuple(one for _, one in sorted(self._members.items()) if one is not None)

    def _names(self) -> list[str]:
        while True:
            try:
                return list(self._client.get_children(self._address.path, watch=self._names_changed))
            except NoNodeError:
                if self._client.exists(self._address.path, watch=self._names_changed) is None:
                    return []

    def _node(self, name: str) -> str:
        return f"{self._address.path}/{name}"

    def _listed(self, name: str, data: bytes) -> Listed | None:
        """What a node says, if it is an instance that can be called."""
        try:
            member = decode_member(data)
            target = Target.parse(member.address)
        except (InvalidMember, UsageError) as error:
            _log.warning("%s is left out: %s", self._node(name), error)
            return None
        if not isinstance(target, TcpTarget | TlsTarget) or target.dialect or not member.alive:
            return None
        told, metrics = member.rpc, member.additional_endpoints.get(METRICS)
        return Listed(
            target,
            weight=told.weight,
            model=told.model,
            workers=told.workers,
            generation=told.generation,
            service=told.service,
            version=told.version,
            openrpc=told.openrpc,
            metrics="" if metrics is None or not is_host(metrics.host) else f"http://{metrics}/metrics",
        )

    def _state_changed(self, state: str) -> None:
        if state == KazooState.CONNECTED:
            # Without a connection nothing was watched.
            with self._lock:
                self._stale |= self._members.keys()
                self._names_stale = True
            self._woken.set()

    def _names_changed(self, event: Any) -> None:
        if event.type != EventType.NONE:
            with self._lock:
                self._names_stale = True
            self._woken.set()

    def _node_changed(self, event: Any) -> None:
        if event.type == EventType.CHANGED:
            with self._lock:
                self._stale.add(event.path.rpartition("/")[2])
            self._woken.set()


class _LastWords(logging.Handler):
    """Keeps what kazoo says of its connection, which it says nowhere else."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._last = ""

    def __str__(self) -> str:
        return f": {self._last}" if self._last else ""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it, unless it only says that it tries again."""
        if record.msg != _TRIES_AGAIN:
            self._last = record.getMessage()


def _logger_with(words: _LastWords) -> logging.Logger:
    """A logger of a client's own for kazoo, which says passwords at lower levels."""
    logger = logging.Logger(f"{__name__}.kazoo", logging.WARNING)
    logger.parent = _log
    logger.addHandler(words)
    return logger


def _security(address: ServersetAddress, tls: TlsFiles | None) -> dict[str, object]:
    if not address.tls:
        return {}
    first, tls = address.servers[0], tls or TlsFiles()
    client_context(tls, TlsTarget(first.host, first.port))
    files = {"ca": tls.ca, "certfile": tls.cert, "keyfile": tls.key or tls.cert}
    return {"use_ssl": True, "verify_certs": True, "check_hostname": True, **files}


class _Credentials(msgspec.Struct, forbid_unknown_fields=True):
    """What such a file holds; the ACL is for those who register, and may use the same file."""

    user: str
    password: str
    acl: list[str] = []


def read_credentials(file: str) -> str:
    """The user and the password of a TOML file, with a colon between them, as ZooKeeper's scheme `digest` takes them.

    Raises:
        UsageError: It cannot be read, others may read it, or it holds something else.
    """
    try:
        found = msgspec.convert(tomllib.loads(_secret(Path(file))), _Credentials)
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        # Also of msgspec and tomllib, which repeat no more than a key or a character; it may be no text at all.
        problem = "is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else f"has no credentials: {error}"
        raise UsageError(f"{file} {problem}", hint=_CREDENTIALS) from None
    if not found.user or ":" in found.user:
        raise UsageError(f"the user in {file} has to be a name without a colon", hint=_CREDENTIALS)
    return f"{found.user}:{found.password}"


def _secret(path: Path) -> str:
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        if stat.S_ISREG(status.st_mode) and is_exposed(status):
            raise UsageError(f"{path} holds a password, and others may read it", hint=f"chmod 600 {path}")
        return file.read(LARGEST_CREDENTIALS).decode("utf-8-sig")
