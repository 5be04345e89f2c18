"""Starts real servers for tests, talks to them, and always ends them."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from rpcwire import FrameDecoder, Goodbye, Reply, decode_reply, encode_request, frame
from tests import forks

needs_server = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="the server is for Linux only")

WARNINGS = "error,ignore:unclosed scandir iterator:ResourceWarning"
"""What servers make of warnings; a signal may end a worker as it opens a folder."""

PATIENCE = 20.0
"""Seconds after which a test gives up; far more than anything here takes."""

_IMPORTED = {
    "async": ("rpcserver.workers", "uvloop.loop"),
    "--metrics": ("rpcserver.ops.exposition",),
    "--register": ("kazoo.client",),
}
"""What a server imports late that has such an option."""

PROBE_APP = '''
import os
import signal
import socket
from rpcserver import Service

service = Service("probe")

@service.method
def echo(params):
    return params

@service.method
def pid() -> int:
    return os.getpid()

@service.method
def count(path: str) -> int:
    """Leave a mark for each call that was executed."""
    with open(path, "ab", buffering=0) as file:
        file.write(b".")
    return os.getpid()

@service.method
def gate(entered: str, leave: str) -> str:
    """Say that the call has begun, and wait until the test lets it go; both are FIFOs."""
    with open(entered, "wb", buffering=0) as file:
        file.write(b".")
    with open(leave, "rb", buffering=0) as file:
        file.read(1)
    return "through"

@service.method
def blob(size: int) -> str:
    return "x" * size

@service.method
def die(number: int) -> None:
    os.kill(os.getpid(), number)
    signal.pause()
'''


def until(holds: Callable[[], object]) -> None:
    """Wait for what nothing tells of: ask again and again until it holds."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline
        # Whoever has to do something for it wants the processor too.
        select.select([], [], [], 0.005)


def children_of(pid: int) -> list[int]:
    """The processes that one has started, or its main thread."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def state_of(pid: int) -> str:
    """The letter for what a process is about, as T for a stopped one: proc_pid_stat(5)."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def stop(pid: int) -> None:
    """Stop a process by a signal, and wait until it stands still."""
    os.kill(pid, signal.SIGSTOP)
    until(lambda: state_of(pid) == "T")


def connected(address: str, patience: float = PATIENCE) -> socket.socket:
    """Connect to an address, as servers tell them, and wait no longer than that many seconds for it."""
    if not address.startswith("unix:"):
        host, _, port = address.rpartition(":")
        return socket.create_connection((host.strip("[]"), int(port)), patience)
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(patience)
    try:
        connection.connect(address.removeprefix("unix:"))
    except OSError:
        connection.close()
        raise
    return connection


class Client:
    """A blocking client that shows everything it gets."""

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(PATIENCE)
        self.socket = connection
        self.decoder = FrameDecoder(1 << 30)

    def send(self, method: str, params: object = None, **flags: Any) -> None:
        self.socket.sendall(request(method, params, **flags))

    def receive(self) -> Reply | Goodbye | None:
        """The next reply or goodbye, or None at the end of the stream."""
        while (body := self.decoder.next_frame()) is None:
            data = self.socket.recv(65536)
            if not data:
                self.decoder.feed_eof()
                return None
            self.decoder.feed(data)
        return decode_reply(body)

    def reply(self) -> Reply:
        received = self.receive()
        assert isinstance(received, Reply), received
        return received

    def call(self, method: str, params: object = None, **flags: Any) -> Reply:
        self.send(method, params, **flags)
        return self.reply()

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Server:
    """A server process that was started for a test."""

    def __init__(self, process: forks.Process | subprocess.Popen[bytes], link: socket.socket, log: int) -> None:
        self.process = process
        self.link = link
        self.log_end = log
        self.ready: dict[str, Any] = {}
        self.addresses: list[str] = []
        self._events = b""
        self._log = b""

    @property
    def pid(self) -> int:
        return self.process.pid

    def event(self) -> dict[str, Any]:
        """The next line of the link."""
        self.link.settimeout(PATIENCE)
        while b"\n" not in self._events:
            data = self.link.recv(65536)
            assert data, self.log()
            self._events += data
        line, _, self._events = self._events.partition(b"\n")
        event: dict[str, Any] = json.loads(line)
        return event

    def wait_until_ready(self) -> None:
        """Wait for the line that says so, and where it listens."""
        self.ready = self.event()
        assert self.ready["event"] == "ready", self.ready
        self.addresses = self.ready["addresses"]

    def connect(self, index: int = 0, patience: float = PATIENCE) -> Client:
        """Connect to one of the server's addresses, and wait no longer than that many seconds for it."""
        return Client(connected(self.addresses[index], patience))

    def connect_unless_refused(self) -> Client:
        """Connect to a server that may be stopping.

        Its kernel drops what knocks while the last of the queue is served, and TCP knocks again after a second: a new
        connection is refused sooner.

        Raises:
            OSError: nobody is let in any more.
        """
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return self.connect(patience=0.1)
            except TimeoutError:
                if time.monotonic() > deadline:
                    raise

    def workers(self) -> list[int]:
        """The pids of the server's children."""
        return children_of(self.pid)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait_until_stopped(self) -> None:
        """Wait until SIGSTOP has stopped the arbiter."""
        assert isinstance(self.process, forks.Process)
        self.process.wait_until_stopped()

    def log(self) -> str:
        """What the server has written to standard error so far."""
        self._read_log(0)
        return self._log.decode()

    def wait_for_log(self, text: str, times: int = 1) -> str:
        deadline = time.monotonic() + PATIENCE
        while self._log.count(text.encode()) < times:
            if not self._read_log(max(0.0, deadline - time.monotonic())):
                raise AssertionError(f"{text!r} is not in the log:\n{self._log.decode()}")
        return self._log.decode()

    def logged_address(self, words: str) -> str:
        """The address that stands in the log behind some words."""
        return self.wait_for_log(words).partition(words)[2].split()[0].strip('"},')

    def wait(self, seconds: float = PATIENCE) -> int:
        """Wait for the arbiter's end and return its exit code."""
        deadline = time.monotonic() + seconds
        while self._read_log(max(0.0, deadline - time.monotonic())):
            pass
        return self.process.wait(max(0.0, deadline - time.monotonic()))

    def _read_log(self, timeout: float) -> bool:
        if not select.select([self.log_end], [], [], timeout)[0]:
            return False
        data = os.read(self.log_end, 65536)
        self._log += data
        return bool(data)


def request(method: str, params: object = None, **flags: Any) -> bytes:
    return frame(encode_request(method, params, **flags))


@contextlib.contextmanager
def launched(*arguments: str, cwd: Path | None = None, env: dict[str, str] | None = None) -> Iterator[Server]:
    """A server that was started and may be ready, or not ever."""
    ours, theirs = socket.socketpair()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RPCSERVER_")}
    log, written = os.pipe()
    process = forks.start(
        "rpcserver",
        ["--link-fd", str(theirs.fileno()), *arguments],
        stderr=written,
        pass_fds=[theirs.fileno()],
        cwd=cwd,
        env={**environment, "PYTHONWARNINGS": WARNINGS, **(env or {})},
        imported=tuple(name for option, names in _IMPORTED.items() if option in arguments for name in names),
    )
    theirs.close()
    os.close(written)
    server = Server(process, ours, log)
    try:
        yield server
    finally:
        process.kill()
        process.wait(PATIENCE)
        os.close(log)
        ours.close()


@contextlib.contextmanager
def running(
    *arguments: str,
    app: str | None = PROBE_APP,
    folder: Path,
    bind: Sequence[str] = ("127.0.0.1:0",),
    env: dict[str, str] | None = None,
) -> Iterator[Server]:
    """A server that is ready.

    Args:
        arguments: more of the command line.
        app: the source of the app, or None for the demo.
        folder: where the app's file goes.
        bind: where to listen.
        env: added to the environment.
    """
    command = list(arguments)
    for address in bind:
        command += ["--bind", address]
    if app is not None:
        file = folder / "probe.py"
        file.write_text(app)
        command.append(str(file))
    with launched(*command, cwd=folder, env=env) as server:
        server.wait_until_ready()
        yield server


@contextlib.contextmanager
def watched(pids: Sequence[int]) -> Iterator[dict[int, int]]:
    """Descriptors of processes, readable when they have ended; see `all_gone`."""
    descriptors = {os.pidfd_open(pid): pid for pid in pids}
    try:
        yield descriptors
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def all_gone(descriptors: dict[int, int], seconds: float) -> bool:
    """Whether all processes end within that time."""
    deadline = time.monotonic() + seconds
    left = set(descriptors)
    while left:
        ended, _, _ = select.select(left, [], [], max(0.0, deadline - time.monotonic()))
        if not ended:
            return False
        left -= set(ended)
    return True
