"""A server that is a child of this process, talked to over its standard input and output as over a socket.

What it prints to standard error goes, line by line, to whoever wants it, and never into the protocol.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import socket
import subprocess
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Final

from rpcshell.client.errors import ConnectionFailed
from rpcshell.client.exchange import Dropped
from rpcshell.client.exit_status import how_it_ended

if TYPE_CHECKING:
    from types import FrameType

    from rpcshell.client.target import ChildTarget

_GRACE: Final = 1.0
"""Seconds that a child has to end by itself, and then those after SIGTERM."""

_WATCH: Final = """\
read -r word
[ "$word" = over ] && exit
sleep "$2"
kill -s TERM -- "-$1" && sleep "$2"
kill -s KILL -- "-$1"
"""
"""What sh(1) runs beside a child: whoever is to say "over" may be killed, and the child would go on without it."""

_LEAVING: Final = 0.3
"""Seconds between a child's last word and its end, for which it is worth waiting to tell how it ended."""

_HELD: Final = 1.0
"""Seconds of silence after a child's end until the processes that it has left are not listened to any more."""

_ERROR: Final = re.compile(
    r"[\w.]*(?:Error|Exception)\b.*:|(?:error|fatal|panic)\b.*:"
    r"|npm (?:error|ERR!) (?:code |404 Not Found|network request)"
)
"""How a line begins that says why a program of Python, Node, Java or Go ended, or npm; others may follow it."""

_LAST_LINES: Final = 200
_LONGEST_LINE: Final = 16 * 1024


class ChildStream:
    """A running child, with the methods of a non-blocking socket.

    It runs in a session of its own, so that Ctrl-C at the terminal is this side's to handle, and everything that it has
    started ends with it. That it ends when this process is killed is seen to by another one. `on_log` is called, in a
    thread of its own, with each line that the child prints to standard error.

    Raises:
        ConnectionFailed: It cannot be started.
    """

    def __init__(self, target: ChildTarget, on_log: Callable[[str], None]) -> None:
        self._on_log = on_log
        self._last: deque[str] = deque(maxlen=_LAST_LINES)
        self._closed_input = False
        try:
            with _interrupts_held_back():
                self._start(target)
        except KeyboardInterrupt:
            self.close()
            raise
        self._input.setblocking(False)
        self._output.setblocking(False)
        self.fileno: Callable[[], int] = self._output.fileno
        self.send: Callable[[memoryview], int] = self._input.send
        # It tells of room, and also ends where the child closes its standard input.
        self.sends_on: Callable[[], int] = self._input.fileno

    def _start(self, target: ChildTarget) -> None:
        # Sockets, as libuv has them for the children of Node; one each, so that the end of either is seen.
        self._input, stdin = socket.socketpair()
        self._output, stdout = socket.socketpair()
        with stdin, stdout:
            try:
                self._process = subprocess.Popen(
                    target.argv,
                    stdin=stdin.fileno(),
                    stdout=stdout.fileno(),
                    stderr=subprocess.PIPE,
                    cwd=target.cwd,
                    env={**os.environ, **dict(target.env)} if target.env else None,
                    start_new_session=True,
                )
            except (OSError, ValueError) as error:
                self._input.close()
                self._output.close()
                raise _not_started(target, error) from error
        self._listener = threading.Thread(target=self._read_log, name="child's log", daemon=True)
        self._listener.start()
        self._heard_at = time.monotonic()
        if hasattr(os, "waitid"):
            threading.Thread(target=self._await_end, name="child's end", daemon=True).start()
        self._watcher = _watched(self._process.pid)
        self._end = weakref.finalize(self, _end, self._process, self._watcher, os.getpid())

    def input_ended(self, *, unsent: bool) -> None:
        """The child has closed its standard input; where it leaves something `unsent` or unread, hear it no more."""
        try:
            lost = bool(self._input.recv(1)) or unsent
        except BlockingIOError:
            return
        except OSError:
            lost = True
        if lost:
            self._closed_input = True
            with contextlib.suppress(OSError):
                self._output.shutdown(socket.SHUT_RD)

    def recv(self, size: int) -> bytes:
        """Receive what the child has written; nothing once it has ended.

        Raises:
            BlockingIOError: Nothing has come.
        """
        try:
            data = self._output.recv(size)
        except ConnectionResetError:
            # It left something of ours unread.
            return b""
        self._heard_at = time.monotonic()
        return data

    def why_ended(self) -> Exception | None:
        """How the child ended and what it said last, or which of its ends it has closed."""
        try:
            status = self._process.wait(_LEAVING)
        except subprocess.TimeoutExpired:
            end = "input, and does not take what is sent" if self._closed_input else "output, and goes on"
            return Dropped(f"the child has closed its standard {end}", not_run=False)
        self._listener.join(_LEAVING)
        said = _most_telling(self._last)
        return Dropped(f"the child {how_it_ended(status)}", not_run=False, hint=f"it said: {said}" if said else None)

    def close(self) -> None:
        """End the child: close its standard input, and if it stays, ask it (SIGTERM) and then make it (SIGKILL)."""
        deadline = time.monotonic() + _GRACE
        with contextlib.suppress(OSError):
            self._input.shutdown(socket.SHUT_WR)
            self._discard_output(deadline)
        self._input.close()
        self._output.close()
        if self._end.alive:
            _end(self._process, self._watcher, os.getpid(), patience=max(deadline - time.monotonic(), 0))
            self._end.detach()
        self._listener.join(_GRACE)

    def abandon(self) -> None:
        """Close the descriptors, and leave the child to the process that has started it."""
        self._input.close()
        self._output.close()
        if self._watcher is not None and self._watcher.stdin is not None:
            self._watcher.stdin.close()

    def _discard_output(self, deadline: float) -> None:
        """Read what still comes until it is over, as who cannot write cannot end well."""
        poll = select.poll()
        poll.register(self._output, select.POLLIN)
        while (remaining := deadline - time.monotonic()) > 0 and poll.poll(remaining * 1000):
            if not self._output.recv(65536):
                return

    def _await_end(self) -> None:
        """Stop listening once the child has ended, even where a process that it started holds its output open."""
        # WNOWAIT leaves the exit status to whoever reaps the child.
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
        ended = time.monotonic()
        while (left := max(ended, self._heard_at) + _HELD - time.monotonic()) > 0:
            time.sleep(left)
        with contextlib.suppress(OSError):
            self._output.shutdown(socket.SHUT_RD)

    def _read_log(self) -> None:
        stream = self._process.stderr
        if stream is None:
            return
        with stream:
            while line := stream.readline(_LONGEST_LINE):
                text = line.decode("utf-8", "replace").rstrip("\r\n")
                self._last.append(text)
                self._on_log(text)


def _most_telling(lines: Iterable[str]) -> str:
    """Of what a child has said, the last line that is an error's, or else the last one."""
    said = [stripped for line in lines if (stripped := line.strip())]
    return next((line for line in reversed(said) if _ERROR.match(line)), said[-1] if said else "")


@contextlib.contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Have Ctrl-C wait until it is known whom to end: Popen, left by it, says nothing of what it has started."""
    before = signal.getsignal(signal.SIGINT)
    if not callable(before) or threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[tuple[int, FrameType | None]] = []
    signal.signal(signal.SIGINT, lambda number, frame: came.append((number, frame)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if came:
        before(*came[0])


def _watched(pid: int) -> subprocess.Popen[bytes] | None:
    """Have a child ended when this process is no more; None where the system has no sh(1)."""
    try:
        return subprocess.Popen(
            ("/bin/sh", "-c", _WATCH, "rpcshell-child", str(pid), f"{_GRACE:g}"),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            start_new_session=True,
        )
    except OSError:
        return None


def _end(
    process: subprocess.Popen[bytes], watcher: subprocess.Popen[bytes] | None, parent: int, *, patience: float = _GRACE
) -> None:
    """Have a child end whose standard input is closed; also at the end of this process, unless it was forked.

    It has `patience` seconds to end by itself.
    """
    if os.getpid() != parent:
        return
    for number, seconds in ((None, patience), (signal.SIGTERM, _GRACE), (signal.SIGKILL, None)):
        if number is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
            break
    # What it has started and left behind.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    if watcher is not None:
        with contextlib.suppress(BrokenPipeError):
            watcher.communicate(b"over\n")


def _not_started(target: ChildTarget, error: OSError | ValueError) -> ConnectionFailed:
    program = target.argv[0]
    match error:
        case FileNotFoundError() if error.filename == target.cwd:
            return ConnectionFailed(target, f"there is no folder {target.cwd}")
        case FileNotFoundError():
            return ConnectionFailed(target, f"there is no program {program}", hint="is it installed, and on the PATH?")
        case PermissionError():
            return ConnectionFailed(target, f"{program} may not be run", hint="it has to be executable")
    why = error.strerror if isinstance(error, OSError) else error
    return ConnectionFailed(target, f"{program} cannot be run: {why}")
