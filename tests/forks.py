"""Starts programs of this repository as forks of a process that has imported them, for the price of a fork.

Each is a process of its own in a session of its own, with its own arguments, environment, folder and descriptors. It
ends as an interpreter does, except that it leaves its modules standing.
"""

from __future__ import annotations

import atexit
import functools
import gc
import io
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

_LARGEST = 1 << 20
_IMPORTED = {
    "rpcserver": (
        "rpcserver.run",
        "rpcserver.arbiter",
        "rpcserver.workers.fork",
        "rpcserver.workers.pool",
        "rpcserver.workers.sync",
        "rpcserver.workers.thread",
    ),
    "rpcshell": (
        "rpcshell.app.arguments",
        "rpcshell.app.program",
        "rpcshell.app.script",
        "rpcshell.client",
        "rpcshell.client.dialects",
        "rpcshell.commands",
        "rpcshell.servers",
        "rpcshell.shell",
    ),
}
"""What runs of a program import when they come to it; of packages all modules."""

PROMPT = ("rpcshell.app.repl", "rpcshell.prompt", "rpcshell.line.hint", "rpcshell.line.suggest")
"""What a shell imports beside it that has a prompt; of packages all modules."""

_HEEDED = ("LANG", "LC_", "PYTHON")
"""Variables that an interpreter heeds at its start begin with these: each set of them has its own origin."""

_ABOVE_ALL = 200
"""No descriptor that a test hands on has so high a number."""


class Process:
    """A started program, as far as tests use a `subprocess.Popen`."""

    def __init__(self, origin: _Origin, pid: int) -> None:
        self.pid = pid
        self._origin = origin
        self._descriptor = os.pidfd_open(pid)
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The exit code, or None as long as it runs; negative for a signal."""
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end, so many seconds at most.

        Raises:
            subprocess.TimeoutExpired: it runs on.
        """
        if self.returncode is None:
            if not select.select([self._descriptor], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("a fork", timeout or 0.0)
            self.returncode = os.waitstatus_to_exitcode(self._origin.ask({"wait": self.pid, "options": 0}))
            os.close(self._descriptor)
        return self.returncode

    def wait_until_stopped(self) -> None:
        """Wait until a signal has stopped it."""
        self._origin.ask({"wait": self.pid, "options": os.WUNTRACED})

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            signal.pidfd_send_signal(self._descriptor, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class _Origin:
    """The process that has imported a program, and forks."""

    def __init__(self, program: str, imported: Sequence[str], heeded: Mapping[str, str]) -> None:
        self._turn = threading.Lock()
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        lines = (
            "import os, sys",
            "os.fork() and os._exit(0)",  # tests count and kill the children of their process
            f"sys.path.insert(0, {str(Path(__file__).parents[1])!r})",
            f"from tests.forks import serve; serve({program!r}, {imported!r}, {theirs.fileno()})",
        )
        subprocess.run(
            [sys.executable, "-P", "-c", "\n".join(lines)],
            check=True,
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            env=heeded,
            start_new_session=True,
        )
        theirs.close()

    def ask(self, request: Mapping[str, object], descriptors: Sequence[int] = ()) -> int:
        with self._turn:
            socket.send_fds(self._ours, [json.dumps(request).encode()], descriptors)
            return int(self._ours.recv(_LARGEST))

    def close(self) -> None:
        """Let it end."""
        self._ours.close()


@functools.cache
def _origin(program: str, imported: Sequence[str], heeded: tuple[tuple[str, str], ...]) -> _Origin:
    origin = _Origin(program, imported, dict(heeded))
    atexit.register(origin.close)
    return origin


def start(
    program: str,
    arguments: Sequence[str],
    *,
    stdin: int | None = None,
    stdout: int = 1,
    stderr: int = 2,
    pass_fds: Sequence[int] = (),
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    imported: tuple[str, ...] = (),
) -> Process:
    """Start a program, as `subprocess.Popen` does; without `stdin` it has nothing to read.

    A terminal as `stdin` becomes the one that controls it. What is `imported` is there beside what every run imports.
    """
    environment = dict(os.environ if env is None else env)
    heeded = tuple(sorted((name, text) for name, text in environment.items() if name.startswith(_HEEDED)))
    origin = _origin(program, imported, heeded)
    with Path(os.devnull).open("rb") as nothing:
        descriptors = [nothing.fileno() if stdin is None else stdin, stdout, stderr, *pass_fds]
        request = {
            "arguments": arguments,
            "descriptors": [0, 1, 2, *pass_fds],
            "cwd": str(cwd or Path.cwd()),
            "env": environment,
        }
        return Process(origin, origin.ask(request, descriptors))


def run(
    program: str,
    arguments: Sequence[object],
    *,
    stdin: bytes = b"",
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, with pipes for its standard streams."""
    (read, typed), (told, written), (complained, logged) = os.pipe(), os.pipe(), os.pipe()
    words = [str(word) for word in arguments]
    process = start(program, words, stdin=read, stdout=written, stderr=logged, cwd=cwd, env=env)
    for theirs in (read, written, logged):
        os.close(theirs)
    with ThreadPoolExecutor(2) as pool:
        texts = pool.map(_text_of, (told, complained))
        with suppress(BrokenPipeError), os.fdopen(typed, "wb") as file:
            file.write(stdin)
        out, err = texts
    return subprocess.CompletedProcess(words, process.wait(), out, err)


def _text_of(descriptor: int) -> str:
    with os.fdopen(descriptor, "rb") as file:
        return file.read().decode()


def serve(program: str, imported: Sequence[str], descriptor: int) -> None:
    """Fork for each request, and return in a child only: as the program."""
    for name in (f"{program}.__main__", *_IMPORTED[program], *imported):
        # What is not there is missed by who needs it.
        with suppress(ImportError):
            for inner in pkgutil.iter_modules(getattr(import_module(name), "__path__", ())):
                import_module(f"{name}.{inner.name}")
    del sys.modules[f"{program}.__main__"]
    # Else a collection in a fork would write to every object, and so copy its page.
    gc.collect()
    gc.freeze()
    with socket.socket(fileno=descriptor) as link:
        while True:
            message, received, _, _ = socket.recv_fds(link, _LARGEST, 64)
            if not message:
                return
            request = json.loads(message)
            if "wait" in request:
                link.send(b"%d" % os.waitpid(request["wait"], request["options"])[1])
            elif pid := os.fork():
                for number in received:
                    os.close(number)
                link.send(b"%d" % pid)
            else:
                break
    _become(program, request, received)


def _become(program: str, request: Mapping[str, Any], received: Sequence[int]) -> None:
    import fcntl
    import termios

    os.setsid()
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    above = [fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, _ABOVE_ALL) for number in received]
    os.closerange(3, _ABOVE_ALL)
    for number, wanted in zip(above, request["descriptors"], strict=True):
        os.dup2(number, wanted)
        os.close(number)
    if os.isatty(0):
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    if os.isatty(1) and isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
    sys.argv[1:] = request["arguments"]
    code: object = 0
    try:
        runpy.run_module(program, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = end.code
    if code is None or isinstance(code, int):
        _end(code or 0)
    raise SystemExit(code)


def _end(code: int) -> None:
    """End as an interpreter does (Py_FinalizeEx), but without taking down modules: that copies all pages they are in.

    Return where the standard streams cannot be written: an interpreter complains of that.
    """
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    with suppress(OSError, ValueError):
        for stream in (sys.stdout, sys.stderr):
            if stream is not None and not stream.closed:
                stream.flush()
        os._exit(code & 0xFF)
