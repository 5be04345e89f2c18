"""Starts programs of this repository as forks of a process that has imported them, for the price of a fork.

Each is a process of its own in a session of its own, with its own arguments, environment, folder and descriptors. It
ends as an interpreter does, except that it leaves its modules standing. All processes of a run of pytest share those
that fork.
"""

from __future__ import annotations

import atexit
import fcntl
import functools
import json
import math
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import weakref
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import IO, Self, cast
from unittest import mock

LARGEST = 1 << 20
"""Bytes of a request that can be taken."""

MEETING = "TESTS_FORKS"
"""The variable that names the folder where the processes of a run of pytest meet those that fork."""

STARTING = ("rpcshell.lab.load.process", "rpcshell.servers.spawn")
"""The modules of the product that start programs of this repository."""

PROMPT = (
    *("rpcshell.app.repl", "rpcshell.prompt", "rpcshell.line.hint", "rpcshell.line.suggest"),
    *("prompt_toolkit.key_binding.bindings.search", "prompt_toolkit.patch_stdout"),
)
"""What a shell imports beside it that has a prompt; of packages all modules."""

_HEEDED = ("LANG", "LC_", "PYTHON")
"""Variables that an interpreter heeds at its start begin with these: each set of them has its own origin."""


_SLICE = 0.05


class Process:
    """A started program, as far as a `subprocess.Popen` is used."""

    def __init__(self, wait: Callable[[int], int], pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.stdin: IO[bytes] | None = None
        self.stdout: IO[bytes] | None = None
        self._wait = wait
        self._turn = threading.Lock()
        # Threads may be waiting when it ends, so it is open for as long as anybody can.
        self._descriptor = os.pidfd_open(pid)
        weakref.finalize(self, os.close, self._descriptor)

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
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        # In slices, as `Popen.wait` does: a signal that comes just before select(2) sleeps does not end its sleep.
        left = deadline - time.monotonic()
        while not select.select([self._descriptor], [], [], min(max(left, 0.0), _SLICE))[0]:
            if left <= _SLICE:
                raise subprocess.TimeoutExpired("a fork", timeout or 0.0)
            left = deadline - time.monotonic()
        with self._turn:
            if self.returncode is None:
                self.returncode = os.waitstatus_to_exitcode(self._wait(0))
        return self.returncode

    def wait_until_stopped(self) -> None:
        """Wait until a signal has stopped it."""
        self._wait(os.WUNTRACED)

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            signal.pidfd_send_signal(self._descriptor, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class Origin:
    """The way to a process that has imported a program, and forks."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self._turn = threading.Lock()
        self._number = 0

    @classmethod
    def reach(cls, folder: Path, program: str, imported: Sequence[str], heeded: Mapping[str, str]) -> Self:
        """The way to the process that has imported all that and is met in a folder; it is launched if there is none."""
        wanted = json.dumps([program, imported, sorted(heeded.items())])
        place = folder / f"{zlib.crc32(wanted.encode()):08x}"
        link = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with locked(folder):
            try:
                link.connect(str(place))
            except OSError:
                place.unlink(missing_ok=True)
                with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
                    listener.bind(str(place))
                    listener.listen(socket.SOMAXCONN)
                    link.connect(str(place))
                    _launch(place, program, imported, heeded, listener.fileno())
        return cls(link)

    def start(
        self,
        program: str,
        arguments: Sequence[str],
        *,
        stdin: int | None,
        stdout: int,
        stderr: int,
        pass_fds: Sequence[int] = (),
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Process:
        with Path(os.devnull).open("rb") as nothing:
            descriptors = [nothing.fileno() if stdin is None else stdin, stdout, stderr, *pass_fds]
            request = {
                "program": program,
                "arguments": arguments,
                "descriptors": [0, 1, 2, *pass_fds],
                "cwd": str(cwd or Path.cwd()),
                "env": dict(os.environ if env is None else env),
            }
            pid = self.ask(request, descriptors)
        return Process(lambda options: self.ask({"program": program, "wait": pid, "options": options}), pid)

    def ask(self, request: Mapping[str, object], descriptors: Sequence[int] = ()) -> int:
        with self._turn:
            self._number += 1
            socket.send_fds(self._link, [json.dumps({**request, "number": self._number}).encode()], descriptors)
            while True:
                # An answer to what was asked before Ctrl-C is for nobody.
                number, answer = map(int, self._link.recv(LARGEST).split())
                if number == self._number:
                    return answer

    def close(self) -> None:
        """Let it end, if nobody else has a way to it."""
        self._link.close()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """While nobody else comes to or leaves the processes that are met there."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _launch(place: Path, program: str, imported: Sequence[str], heeded: Mapping[str, str], listener: int) -> None:
    lines = (
        "import os, sys",
        "os.fork() and os._exit(0)",  # tests count and kill the children of their process
        f"sys.path.insert(0, {str(Path(__file__).parents[1])!r})",
        f"from tests.forking import serve; serve({program!r}, {imported!r}, {str(place)!r}, {listener})",
    )
    subprocess.run(
        [sys.executable, "-P", "-c", "\n".join(lines)],
        check=True,
        stdin=subprocess.DEVNULL,
        pass_fds=[listener],
        env=heeded,
        start_new_session=True,
    )


@functools.cache
def _folder() -> Path:
    """Where the processes that fork are met: by all of a run of pytest, or by this process alone."""
    if place := os.environ.get(MEETING):
        return Path(place)
    folder = tempfile.mkdtemp(prefix="rpcshell-forks-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def _origin(program: str, env: Mapping[str, str] | None = None, imported: tuple[str, ...] = ()) -> Origin:
    variables = os.environ if env is None else env
    return _origin_of(
        program, tuple(sorted(item for item in variables.items() if item[0].startswith(_HEEDED))), imported
    )


@functools.cache
def _origin_of(program: str, heeded: tuple[tuple[str, str], ...], imported: tuple[str, ...]) -> Origin:
    origin = Origin.reach(_folder(), program, imported, dict(heeded))
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
    origin = _origin(program, env, imported)
    return origin.start(
        program, arguments, stdin=stdin, stdout=stdout, stderr=stderr, pass_fds=pass_fds, cwd=cwd, env=env
    )


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


class Forks:
    """Stands for `subprocess` in modules of the product that start programs of this repository: has them be forks."""

    PIPE = subprocess.PIPE
    DEVNULL = subprocess.DEVNULL
    TimeoutExpired = subprocess.TimeoutExpired

    def __init__(self, origin: Callable[[str], Origin]) -> None:
        self._origin = origin
        self._started: list[Process] = []

    def running(self) -> set[int]:
        """The processes that were started, except for those whose end was waited for."""
        self._started = [process for process in self._started if process.returncode is None]
        return {process.pid for process in self._started}

    def Popen(  # noqa: N802 - as it is called there
        self,
        command: Sequence[str],
        *,
        stdin: int,
        stdout: int | IO[bytes],
        stderr: IO[bytes],
        pass_fds: Sequence[int] = (),
        start_new_session: bool,
        bufsize: int = -1,
    ) -> Process:
        python, _, _, program, *arguments = command
        assert (python, start_new_session) == (sys.executable, True)
        typed = os.pipe() if stdin == self.PIPE else None
        told = os.pipe() if stdout == self.PIPE else None
        process = self._origin(program).start(
            program,
            arguments,
            stdin=typed and typed[0],
            stdout=told[1] if told else cast(IO[bytes], stdout).fileno(),
            stderr=stderr.fileno(),
            pass_fds=pass_fds,
        )
        self._started.append(process)
        if typed:
            os.close(typed[0])
            process.stdin = os.fdopen(typed[1], "wb", bufsize)
        if told:
            os.close(told[1])
            process.stdout = os.fdopen(told[0], "rb", bufsize)
        return process


@contextmanager
def in_place_of_interpreters() -> Iterator[Forks]:
    """Has servers and load processes that this process starts be forks."""
    forks = Forks(_origin)
    with ExitStack() as stack:
        for name in STARTING:
            stack.enter_context(mock.patch.object(import_module(name), "subprocess", forks))
        yield forks
