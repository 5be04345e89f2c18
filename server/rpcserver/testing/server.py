"""Running a real server out of a test's own process, for a service that needs no name to be imported by.

The server is a fork of the test's process, so handlers see what the test has made, and what they change stays
theirs. It ends with the `with` block, which may be entered and left in different threads, and with the test's process,
however that ends.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import re
import select
import signal
import socket
import sys
import threading
import time
import warnings
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

import msgspec

from rpcserver.system.addresses import parse_bind
from rpcserver.system.channel import ParentLink
from rpcserver.system.errors import BootError, ServerError
from rpcserver.system.log import LineHandler
from rpcserver.system.settings import ServerSettings
from rpcserver.system.stem_link import STEM_NAME
from rpcserver.testing.client import Client
from rpcwire.control import ServerReady, StartFailed
from rpcwire.worker_models import MODELS

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator, Mapping

    from rpcserver.service.service import Service
    from rpcserver.system.process import ChildProcess

_MODULE: Final = "service_under_test"
_APP: Final = f"{_MODULE}:service"
_STOP_SECONDS: Final = 5.0
_LOG_TICK: Final = 0.02
_LOG_SHOWN: Final = 16 * 1024

_forking: Final = threading.Lock()
"""Held while one thread forks: the filters of warnings are the whole process's."""


class ServerFailed(ServerError):
    """The server under test did not start, or ended by itself.

    Its `traceback` has the frames of the service's own code, where it is to blame; `log` is what the server has logged.
    """

    def __init__(self, message: str, traceback: str | None, log: str) -> None:
        super().__init__(message, traceback, log)
        self.message = message
        self.traceback = traceback
        self.log = log

    def __str__(self) -> str:
        return "\n".join(part.rstrip("\n") for part in (self.message, self.traceback, self.log) if part)


class RunningServer:
    """A server that runs for a test.

    Attributes:
        addresses: where it listens, as targets are written.
        model: its worker model.
    """

    def __init__(self, process: ChildProcess, model: str, log: int, tls_cert: Path | None) -> None:
        self._tls_cert = tls_cert
        self._process = process
        self._log = log
        self._log_text = ""
        self._ended = False
        self.addresses: tuple[str, ...] = ()
        self.model = model

    def __repr__(self) -> str:
        return f"<server at {', '.join(self.addresses)}, pid {self.pid}>"

    @property
    def address(self) -> str:
        """Where it listens: `127.0.0.1:41873`."""
        return self.addresses[0]

    @property
    def pid(self) -> int:
        """The process id of its arbiter."""
        return self._process.pid

    @property
    def workers(self) -> list[int]:
        """The process ids of its workers."""
        try:
            children = [int(pid) for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]
        except OSError:
            return []
        return [pid for pid in children if _name_of(pid) not in {None, STEM_NAME}]

    def connect(self, timeout: float = 30.0, *, tls: ssl.SSLContext | None = None) -> Client:
        """Open a connection; close it, or use it in a `with` block.

        Args:
            timeout: seconds that each call may take.
            tls: what a server that speaks TLS is verified with, and what it is shown; unless given, its own
                certificate is trusted, for whatever name.

        Raises:
            OSError: the server listens no more.
        """
        if tls is None and self._tls_cert is not None:
            from rpcserver.testing.tls import trusting

            tls = trusting(self._tls_cert)
        return Client(self.address, timeout, tls=tls)

    def call(self, method: str, params: object = None, *, timeout: float = 30.0) -> Any:
        """Call a method on a connection of its own, in `timeout` seconds; params and errors are those of `Client`."""
        with self.connect(timeout) as client:
            return client.call(method, params)

    def signal(self, number: signal.Signals) -> None:
        """Send the arbiter a signal: SIGHUP reloads, SIGTERM stops."""
        self._process.send_signal(number)

    def log(self) -> str:
        """What the server has logged so far."""
        if self._ended:
            return self._log_text
        return os.pread(self._log, os.fstat(self._log).st_size, 0).decode("utf-8", "replace")

    def wait_for_log(self, pattern: str, seconds: float = 10.0) -> str:
        """Wait until the server has logged something: what a worker logs may come after its reply.

        Args:
            pattern: a regular expression, whose match is returned.
            seconds: how long to wait.

        Raises:
            TimeoutError: nothing that matches was logged in time.
        """
        deadline = time.monotonic() + seconds
        while not (found := re.search(pattern, self.log())):
            if time.monotonic() >= deadline or (self.wait(_LOG_TICK) and not re.search(pattern, self.log())):
                raise TimeoutError(f"{pattern!r} is not in the server's log:\n{self.log()}")
        return found[0]

    def wait(self, seconds: float) -> bool:
        """Wait for the server's end, and return whether it has come within so many seconds."""
        poll = select.poll()
        poll.register(self._process, select.POLLIN)
        return self._ended or bool(poll.poll(seconds * 1000))

    def _stop(self) -> str | None:
        """End it, if it runs yet, and let go of everything.

        Returns how it has ended, where that was by itself and with an error.
        """
        by_itself = self.wait(0)
        if not by_itself:
            self._process.send_signal(signal.SIGINT)
            if not self.wait(_STOP_SECONDS):
                self._process.send_signal(signal.SIGKILL)
                self.wait(_STOP_SECONDS)
        end = self._process.reap()
        self._log_text = self.log()
        self._ended = True
        self._process.close()
        os.close(self._log)
        return str(end) if by_itself and end is not None and not end.clean else None


@contextlib.contextmanager
def serve(
    app: Service | Mapping[str, Callable[..., Any]] | Callable[[], Any] | str | None,
    *,
    model: str = "sync",
    workers: int = 2,
    bind: str = "127.0.0.1:0",
    log_level: str = "info",
    **settings: Any,
) -> Iterator[RunningServer]:
    """Run a server with real worker processes, for as long as the block runs.

    The server is forked from this process: do not start it while other threads hold locks that handlers need. An
    exception that leaves the block gets the server's log as a note.

    Args:
        app: the service itself, or anything else that APP may be on the command line: a dict of callables, a
            function that makes the service, or text such as `module:attribute`; None for the demo.
        model: the worker model.
        workers: how many workers.
        bind: where to listen; by default at a free port of this machine.
        log_level: the least that is logged.
        settings: any other setting by its name, as in `max_frame=65536`; see `rpcserver.system.settings`.

    Raises:
        ServerFailed: the server did not start, for instance because a handler cannot be served as it is written;
            or it had ended by itself, with an error, when the block ended.
        TypeError: there is no such setting.
        ValueError: a setting's value is none that can be served.
    """
    if sys.platform != "linux":
        raise ServerFailed("rpcserver needs Linux", None, "")
    if model not in MODELS:
        raise ValueError(f"there is no worker model {model!r}: choose one of {', '.join(MODELS)}")
    name = app if app is None or isinstance(app, str) else _APP
    options = {"control": "none", **settings}
    chosen = ServerSettings(app=name, model=model, workers=workers, bind=(parse_bind(bind),), **options)
    if workers < 1:
        raise ValueError("a server needs at least one worker")
    if chosen.metrics is not None or chosen.reload or chosen.register is not None:
        raise ValueError("metrics, reload and register are not for tests: start the rpcserver command for them")
    server, parent = _fork(chosen, app, log_level)
    try:
        try:
            server.addresses = _await_start(parent, server, chosen.start_timeout)
            yield server
        finally:
            ended = server._stop()
            parent.close()
    except ServerFailed:
        raise
    except Exception as error:
        if text := server.log():
            error.add_note(f"The server's log:\n{text[-_LOG_SHOWN:]}")
        raise
    if ended is not None:
        raise ServerFailed(f"the server {ended} while it was tested", None, server.log())


def _name_of(pid: int) -> str | None:
    """What ps(1) calls a process; None where it has gone."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().rstrip("\n")
    except OSError:
        return None


def _fork(settings: ServerSettings, app: object, log_level: str) -> tuple[RunningServer, socket.socket]:
    # Only on Linux can this and what runs the server be imported.
    from rpcserver.system.process import Forker

    ours, theirs = socket.socketpair()
    log = os.memfd_create("rpcserver-log")
    process = os.getpid()

    def be_arbiter() -> int:
        _forking.release()
        ours.close()
        return _arbitrate(settings, app, theirs.detach(), process, log, log_level)

    try:
        with _forking, warnings.catch_warnings():
            # Python 3.12 warns of forking beside threads, which test runners have; the child runs none of their code.
            warnings.filterwarnings("ignore", message=".*fork", category=DeprecationWarning)
            arbiter = Forker().fork(be_arbiter)
    except OSError:
        ours.close()
        os.close(log)
        raise
    finally:
        if theirs.fileno() >= 0:
            theirs.close()
    return RunningServer(arbiter, settings.model, log, settings.tls_cert), ours


def _await_start(parent: socket.socket, server: RunningServer, seconds: float) -> tuple[str, ...]:
    held = b""
    # The arbiter keeps that time itself, and says so.
    parent.settimeout(seconds + _STOP_SECONDS if seconds else None)
    while not held.endswith(b"\n"):
        try:
            data = parent.recv(65536)
        except TimeoutError:
            raise ServerFailed(f"the server was not ready after {seconds:g} s", None, server.log()) from None
        if not data:
            raise ServerFailed("the server ended before it was ready", None, server.log())
        held += data
    start = msgspec.json.decode(held, type=ServerReady | StartFailed)
    if isinstance(start, StartFailed):
        raise ServerFailed(start.message, start.traceback, server.log())
    return start.addresses


def _arbitrate(
    settings: ServerSettings, app: object, link_descriptor: int, process: int, log: int, log_level: str
) -> int:
    """Be the arbiter, in the forked child."""
    from rpcserver.run import run_server

    started = time.monotonic()
    _leave_the_test()
    logs = LineHandler(log, as_json=False)
    root = logging.getLogger()
    root.handlers[:] = [logs]
    root.setLevel(log_level.upper())
    if settings.app == _APP:
        module = ModuleType(_MODULE)
        module.__dict__["service"] = app
        # Where the loader finds it, in each worker.
        sys.modules[_MODULE] = module
    parent = ParentLink(link_descriptor, process)
    try:
        run_server(settings, logs, parent, started=started, managed=False)
    except BootError as error:
        parent.send(StartFailed(error.message, error.traceback))
        return 3
    except ServerError as error:
        parent.send(StartFailed(str(error)))
        return 1
    return 0


def _leave_the_test() -> None:
    """Part with what the test's process has set up for itself."""
    # What it has left for the garbage collector to finish is not for this process to finish.
    gc.freeze()
    os.setsid()
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    signal.set_wakeup_fd(-1)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
