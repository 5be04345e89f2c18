"""Servers started by the shell: each its own process and session, tied to the shell by a socket pair.

The shell never imports the server; it runs `python -m rpcserver` and learns from one JSON line on the link where it
listens, or why it does not. When the shell goes, however it goes, the link ends, and so does the server.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from rpcshell.client.errors import Cancelled, ConnectionLost, SpawnFailed, UsageError
from rpcshell.client.exit_status import how_it_ended, last_line
from rpcshell.client.threads import thread_for
from rpcshell.servers.directory import as_targets
from rpcshell.servers.folders import state_folder
from rpcwire.control import ServerReady, StartFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rpcshell.client.errors import ConnectionFailed

_START_TIMEOUT: Final = 75.0
"""Seconds a server has to get ready: longer than the 60 s after which it gives up on its app itself."""

DRAIN_TIMEOUT: Final = 40.0
"""Seconds a server has to answer what it has begun, once it was told to end, beside those that it serves on: longer
than the 30 s after which it ends what still runs itself."""

_QUIT_TIMEOUT: Final = 5.0
"""Seconds a server then has to end without that."""

_LAST_BREATH: Final = 0.3
"""Seconds to see whether a lost connection was the end of the server."""

_LOGS_KEPT: Final = 20
_NEW_LOG: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
_LONGEST_LINE: Final = 1024 * 1024


class SpawnOptions(msgspec.Struct, frozen=True):
    """How to start a server; None leaves a thing to the server."""

    workers: int | None = None
    app: str | None = None
    """`module:attr`, `file.py` or `file.py:attr`; None for the demo service."""
    model: str | None = None
    bind: tuple[str, ...] = ("127.0.0.1:0",)
    keep: bool = False
    """Whether it goes on when the shell leaves."""
    extra: tuple[str, ...] = ()
    """More options for the server's command line, as they are."""

    @property
    def settle(self) -> float:
        """Seconds that it serves on, once it was told to end."""
        places = [place for place, word in enumerate(self.extra[:-1]) if word == "--drain-settle"]
        return float(self.extra[places[-1] + 1]) if places else 0.0

    def command(self, link: int) -> list[str]:
        """The command line; `link` is the file descriptor of the server's end of the link."""
        # -P: the folder the shell was started in must not shadow what the server itself imports.
        command = [sys.executable, "-P", "-m", "rpcserver", "--link-fd", str(link)]
        for address in self.bind:
            command += ["--bind", address]
        if self.workers is not None:
            command += ["--workers", str(self.workers)]
        if self.model is not None:
            command += ["--model", self.model]
        command += self.extra
        if self.app is not None:
            command += ["--", self.app]
        return command


class SpawnedServer:
    """A server that was started here and is ready. Made by `SpawnedServer.start`."""

    def __init__(
        self,
        options: SpawnOptions,
        process: subprocess.Popen[bytes],
        link: socket.socket,
        ready: ServerReady,
        log: Path,
        log_problem: str | None,
    ) -> None:
        self.options = options
        self.pid = process.pid
        """Of its arbiter."""
        self.addresses = as_targets(ready.addresses)
        """Where it listens, as targets are written, those of the native protocol first."""
        self.workers = ready.workers
        """How many it started with."""
        self.model = ready.model
        self.log = log
        self.log_problem = log_problem
        """Why the log is not where logs are, in a sentence for the user; None where it is."""
        self.control = ready.control and ready.control.removeprefix("unix:")
        """The path of its control socket."""
        self.kept = False
        self._process = process
        self._link = link
        if options.keep:
            self.keep()

    @classmethod
    def start(cls, options: SpawnOptions, *, timeout: float = _START_TIMEOUT) -> SpawnedServer:
        """Start a server and wait for `timeout` seconds until all of its workers are ready.

        Raises:
            UsageError: The options make no sense.
            SpawnFailed, Cancelled: It did not get ready, or Ctrl-C was pressed; the server was ended.
        """
        if options.workers is not None and options.workers < 1:
            raise UsageError(f"a server needs at least one worker, not {options.workers}")
        log, log_file, problem = _new_log()
        link, theirs = socket.socketpair()
        try:
            with theirs, os.fdopen(log_file, "wb") as output:
                process = subprocess.Popen(
                    options.command(theirs.fileno()),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    pass_fds=(theirs.fileno(),),
                    start_new_session=True,
                )
        except OSError as error:
            link.close()
            raise SpawnFailed(f"the server cannot be started: {error.strerror}") from error
        except ValueError as error:
            link.close()
            raise UsageError(f"the server's options make no sense: {error}") from error
        try:
            ready = _await_ready(link, process, log, timeout)
            return cls(options, process, link, ready, log, problem)
        except BaseException as error:
            _kill(process)
            link.close()
            if isinstance(error, KeyboardInterrupt):
                raise Cancelled("cancelled: the server was ended before it was ready") from None
            raise

    def poll(self) -> int | None:
        """The exit status, negative for a signal, or None while it runs."""
        return self._process.poll()

    def ends_within(self, seconds: float) -> bool:
        """Wait for the end of the server; whether it came in time."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        return self.poll() is not None

    def how_it_ended(self) -> str:
        """How the process ended, in words that follow its name."""
        return how_it_ended(self._process.returncode)

    def where_it_goes_on(self) -> str:
        """Where a server that is kept can be reached once the shell is left, in words for the user."""
        return f"the server goes on at {', '.join(self.addresses)}, pid {self.pid}"

    def explain(self, error: ConnectionFailed | ConnectionLost) -> None:
        """Say in the hint of an error, where it is about this server, what has become of the server."""
        if str(error.target) not in self.addresses:
            return
        # Its connections end a moment before the process itself does.
        if self.ends_within(_LAST_BREATH):
            error.hint = f"the server {self.how_it_ended()}: :spawn starts another; its log is {self.log}"
        elif isinstance(error, ConnectionLost):
            error.hint = f"the server goes on; its log is {self.log}"

    def watch(self, callback: Callable[[SpawnedServer], None]) -> None:
        """Have `callback` called, from a thread if there is one left, once the server has ended for whatever reason."""

        def wait() -> None:
            self._process.wait()
            callback(self)

        thread_for(wait, "server-watch")

    def keep(self) -> None:
        """Have the server go on when the shell leaves."""
        with contextlib.suppress(OSError):
            self._link.sendall(b"keep\n")
        self.kept = True

    def release(self) -> None:
        """Let go of the link: a kept server goes on, any other ends."""
        self._link.close()

    def remove_log(self) -> None:
        """Remove the log of a server that has ended."""
        if self.log != Path(os.devnull):
            self.log.unlink(missing_ok=True)

    def stop(self, *, drain: float | None = None, quit_after: float = _QUIT_TIMEOUT) -> int:
        """End the server: gracefully, then quickly, then by force. Ctrl-C goes to the next step at once.

        The first two steps have `drain` seconds, if not the usual ones, and `quit_after`. Returned is the exit status,
        negative for a signal.
        """
        drain = DRAIN_TIMEOUT + self.options.settle if drain is None else drain
        for number, seconds in ((signal.SIGTERM, drain), (signal.SIGINT, quit_after)):
            if self._process.poll() is not None:
                break
            self._process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
                self._process.wait(seconds)
        _kill(self._process)
        self._link.close()
        return self._process.wait()


def _await_ready(link: socket.socket, process: subprocess.Popen[bytes], log: Path, timeout: float) -> ServerReady:
    deadline = time.monotonic() + timeout
    line = b""
    while not line.endswith(b"\n"):
        link.settimeout(max(deadline - time.monotonic(), 0.001))
        try:
            data = link.recv(_LONGEST_LINE)
        except TimeoutError:
            late = f"the server was not ready within {timeout:g} s"
            raise SpawnFailed(late, log=log, hint=f"its log is {log}") from None
        except OSError:
            data = b""
        line += data
        if not data or len(line) > _LONGEST_LINE:
            raise _died(process, log)
    link.settimeout(None)
    try:
        event = msgspec.json.decode(line, type=ServerReady | StartFailed)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SpawnFailed(f"the server's ready message makes no sense: {error}", log=log) from None
    if isinstance(event, StartFailed):
        hint = None if event.traceback else f"its log is {log}"
        message = event.message or "the server did not start"
        raise SpawnFailed(message, traceback=event.traceback, log=log, hint=hint)
    if not event.addresses:
        raise SpawnFailed("the server is ready but listens nowhere", log=log)
    return event


def _died(process: subprocess.Popen[bytes], log: Path) -> SpawnFailed:
    try:
        status = process.wait(_QUIT_TIMEOUT)
    except subprocess.TimeoutExpired:
        return SpawnFailed("the server closed its link before it was ready", log=log)
    last = ""
    with contextlib.suppress(OSError), log.open("rb") as file:
        last = last_line(file)
    said = f": {last}" if last else ""
    how = f"the server {how_it_ended(status)} before it was ready{said}"
    return SpawnFailed(how, log=log, hint=f"its log is {log}")


def _kill(process: subprocess.Popen[bytes]) -> None:
    # Before the process is reaped its id, which is that of its group, cannot belong to another.
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _new_log() -> tuple[Path, int, str | None]:
    """A new log file, its descriptor, mode 0600, and what is to be said where it is not in the state folder."""
    name = f"server-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}-{os.urandom(3).hex()}.log"
    try:
        folder = state_folder("servers")
        _prune(folder.glob("server-*.log"))
        return folder / name, os.open(folder / name, _NEW_LOG, 0o600), None
    except OSError as error:
        place = f": {error.filename}" if error.filename else ""
        problem = f"the state folder cannot be written to: {error.strerror}{place}"
    try:
        path = Path(tempfile.gettempdir(), f"rpcshell-{name}")
        return path, os.open(path, _NEW_LOG, 0o600), f"the server's log is {path}, as {problem}"
    except OSError:
        return Path(os.devnull), os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC), f"the server has no log, as {problem}"


def _prune(logs: Iterable[Path]) -> None:
    # Names begin with the time; a running server keeps writing to a log that has lost its name.
    for path in sorted(logs)[: -(_LOGS_KEPT - 1)]:
        with contextlib.suppress(OSError):
            path.unlink()
