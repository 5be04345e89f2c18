"""A real pseudo-terminal with a screen: runs a program in it, types, and reads what a person would see."""

from __future__ import annotations

import os
import re
import select
import signal
import sys
import termios
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import pexpect
import pyte

from tests import forks
from tests.e2e.screen import Screen

SHELL = (sys.executable, "-m", "rpcshell")

ENTER = "\r"
TAB = "\t"
ALT_ENTER = "\x1b\r"
CTRL_C = "\x03"
CTRL_D = "\x04"
CTRL_L = "\x0c"
CTRL_R = "\x12"
UP = "\x1b[A"
RIGHT = "\x1b[C"


# What ends a redraw: the cursor is shown again (DECTCEM, in xterm's control sequences).
DRAWN = b"\x1b[?25h"

PATIENCE = 30.0


class _Fork:
    """A shell that is forked from a process which has imported it, as far as a `pexpect.spawn` is used here."""

    def __init__(self, arguments: Sequence[str], cwd: Path, env: dict[str, str], dimensions: tuple[int, int]) -> None:
        self.child_fd, theirs = os.openpty()
        self.setwinsize(*dimensions)
        self._process = forks.start(
            "rpcshell",
            arguments,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=cwd,
            env=env,
            imported=forks.PROMPT,
        )
        os.close(theirs)
        self.pid = self._process.pid

    def setwinsize(self, rows: int, columns: int) -> None:
        termios.tcsetwinsize(self.child_fd, (rows, columns))

    def send(self, keys: str) -> None:
        os.write(self.child_fd, keys.encode())

    def isalive(self) -> bool:
        return self._process.poll() is None

    def close(self, *, force: bool) -> None:
        if force:
            self._process.kill()
        self.wait()
        os.close(self.child_fd)

    def wait(self) -> None:
        self._process.wait()

    @property
    def exitstatus(self) -> int | None:
        code = self._process.returncode
        return code if code is not None and code >= 0 else None

    @property
    def signalstatus(self) -> int | None:
        code = self._process.returncode
        return -code if code is not None and code < 0 else None


def _started(
    command: Sequence[str], home: Path, variables: dict[str, str], dimensions: tuple[int, int]
) -> pexpect.spawn[str]:
    process = pexpect.spawn(
        command[0], list(command[1:]), cwd=str(home), env=variables, dimensions=dimensions, timeout=None
    )
    process.delaybeforesend = None
    return process


class Terminal:
    """A program in a terminal of its own, with a home folder of its own.

    Waiting looks at every screen that the program drew, in their order, and at what has scrolled off. What was there
    before the last `mark()` does not count.

    Args:
        home: Where all of the program's files go; also its working folder.
        command: The program and its arguments. A shell is a fork of one that has been imported.
        afresh: Start an interpreter for a shell too.
        environment: Variables beside the few that every program gets.
        background: What a program is told that asks on what colour it draws, as `rgb:ffff/ffff/ffff`; nothing if empty.
    """

    def __init__(
        self,
        home: Path,
        command: tuple[str, ...] = SHELL,
        *,
        environment: dict[str, str] | None = None,
        rows: int = 24,
        columns: int = 80,
        afresh: bool = False,
        background: str = "",
    ) -> None:
        self.home = home
        variables = {
            "HOME": str(home),
            "XDG_STATE_HOME": str(home / "state"),
            "XDG_CONFIG_HOME": str(home / "config"),
            "XDG_RUNTIME_DIR": str(home),
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "TERM": "xterm-256color",
            **(environment or {}),
        }
        self._screen = Screen(columns, rows, background)
        self._stream = pyte.ByteStream(self._screen)
        self.raw = b""
        self._unseen = b""
        forked = command[: len(SHELL)] == SHELL and not afresh
        self.process = (
            _Fork(command[len(SHELL) :], home, variables, (rows, columns))
            if forked
            else _started(command, home, variables, (rows, columns))
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.isalive():
            # pexpect asks and kills too, but gives up after tenths of a second, which are nothing to a busy machine.
            self.hang_up()
            try:
                wait_until_ended({self.pid})
            except AssertionError:
                self.kill()
                wait_until_ended({self.pid})
        try:
            self.process.close(force=True)
        except pexpect.ExceptionPexpect:
            # It is killed by now, and a busy machine takes longer to bury it than pexpect waits.
            self.process.wait()

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    @property
    def lines(self) -> list[str]:
        """The rows of the screen, without the blanks at their ends, except for those before the cursor."""
        cursor = self._screen.cursor
        return [
            self._screen.row(number).ljust(cursor.x if number == cursor.y else 0)
            for number in range(self._screen.lines)
        ]

    @property
    def text(self) -> str:
        """The screen as one text."""
        return "\n".join(self.lines)

    @property
    def all_text(self) -> str:
        """What has scrolled off and the screen, since the last `mark()`."""
        return "\n".join([*self._screen.scrollback, *self.lines][self._screen.mark :])

    def mark(self) -> None:
        """Let only the row of the cursor and what comes after it count from here on."""
        # While a screen is drawn the cursor is hidden, and may be rows below the place it is to come to.
        deadline = time.monotonic() + PATIENCE
        while self._screen.cursor.hidden:
            assert self._read(deadline), f"the cursor stays hidden; the screen:\n{self.text}"
        self._screen.mark = len(self._screen.scrollback) + self._screen.cursor.y

    def style_at(self, text: str) -> pyte.screens.Char:
        """How the first character of a text on the screen is drawn."""
        for row, line in enumerate(self.lines):
            if (column := line.find(text)) >= 0:
                return self._screen.buffer[row][column]
        raise AssertionError(f"{text!r} is not on the screen:\n{self.text}")

    def wait_for_style(self, text: str, holds: Callable[[pyte.screens.Char], bool]) -> None:
        """Read until the first character of a text on the screen is drawn so, which may come after the text."""
        deadline = time.monotonic() + PATIENCE
        while not holds(found := self.style_at(text)):
            assert self._read(deadline), f"{text!r} is drawn as {found}; the screen:\n{self.text}"

    def column_of(self, text: str) -> int:
        """The column of the screen where a text begins, in the first row that has it; wide characters take two."""
        for row in range(self._screen.lines):
            cells = [self._screen.buffer[row][column].data for column in range(self._screen.columns)]
            if (found := "".join(cells).find(text)) >= 0:
                return next(column for column in range(len(cells)) if len("".join(cells[:column])) >= found)
        raise AssertionError(f"{text!r} is not on the screen:\n{self.text}")

    def send(self, keys: str) -> None:
        """Press keys."""
        self.process.send(keys)

    def resize(self, rows: int, columns: int) -> None:
        """Change the size of the screen."""
        self._screen.resize(rows, columns)
        self.process.setwinsize(rows, columns)

    def wait_for(self, pattern: str, timeout: float = PATIENCE) -> re.Match[str]:
        """Read until a pattern is on the screen or has been and scrolled off."""
        deadline = time.monotonic() + timeout
        while (found := re.search(pattern, self.all_text, re.MULTILINE)) is None:
            if not self._read(deadline):
                raise AssertionError(f"{pattern!r} did not come; what was seen:\n{self.all_text}")
        return found

    def wait_until_gone(self, pattern: str, timeout: float = PATIENCE) -> None:
        """Read until a pattern is not on the screen."""
        deadline = time.monotonic() + timeout
        while re.search(pattern, self.text, re.MULTILINE):
            if not self._read(deadline):
                raise AssertionError(f"{pattern!r} stayed; the screen:\n{self.text}")

    def wait_until_quiet(self, seconds: float) -> None:
        """Read until nothing has come for some time."""
        while self._read(time.monotonic() + seconds):
            pass

    def press_until(self, keys: str, pattern: str, timeout: float = PATIENCE) -> None:
        """Press keys, again where they got lost, until a pattern is on the screen."""
        deadline = time.monotonic() + timeout
        while True:
            self.send(keys)
            try:
                self.wait_for(pattern, min(deadline - time.monotonic(), 1))
            except AssertionError:
                if time.monotonic() > deadline:
                    raise
            else:
                return

    def wait_until_keys(self, timeout: float = PATIENCE) -> None:
        """Read until a program reads keys, as a prompt does."""
        self._wait_for_mode(keys=True, timeout=timeout)

    def wait_until_signals(self, timeout: float = PATIENCE) -> None:
        """Read until the terminal makes signals of keys such as Ctrl-C, as it does while nobody reads keys."""
        self._wait_for_mode(keys=False, timeout=timeout)

    def _wait_for_mode(self, *, keys: bool, timeout: float) -> None:
        # No event tells of a change of mode, so it is looked at after whatever the program writes, and often.
        deadline = time.monotonic() + timeout
        while bool(termios.tcgetattr(self.process.child_fd)[3] & termios.ISIG) == keys:
            assert time.monotonic() < deadline, f"the mode stays; the screen:\n{self.text}"
            self._read(min(deadline, time.monotonic() + 0.01))

    def wait_for_exit(self, timeout: float = PATIENCE) -> int:
        """Read until the program has ended; its exit code, or 128 and the number of the signal."""
        deadline = time.monotonic() + timeout
        while self._read(deadline):
            pass
        if time.monotonic() > deadline:
            raise AssertionError(f"the program did not end; the screen:\n{self.text}")
        self.process.wait()
        if self.process.signalstatus is not None:
            return 128 + self.process.signalstatus
        assert self.process.exitstatus is not None
        return self.process.exitstatus

    def hang_up(self) -> None:
        """Close the terminal, as a window manager does with a window."""
        # pexpect goes on to own the descriptor, so that something else takes its place.
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, self.process.child_fd)
        os.close(nothing)

    def kill(self) -> None:
        """Kill the program with SIGKILL."""
        os.kill(self.pid, signal.SIGKILL)

    def _read(self, deadline: float) -> bool:
        """Show the next screen of what the program has written; false at its end or at the deadline."""
        if not self._unseen:
            ready, _, _ = select.select([self.process.child_fd], [], [], max(deadline - time.monotonic(), 0))
            if not ready:
                return False
            try:
                self._unseen = os.read(self.process.child_fd, 1 << 16)
            except OSError:
                # EIO: the last program that had the terminal open has ended (pty(7)).
                return False
        drawn, shown, self._unseen = self._unseen.partition(DRAWN)
        self.raw += drawn + shown
        self._stream.feed(drawn + shown)
        if self._screen.answers:
            os.write(self.process.child_fd, self._screen.answers)
            self._screen.answers = b""
        return bool(drawn + shown)


def processes_of(home: Path) -> dict[int, str]:
    """The processes that were started with a home folder, which is their working folder, and their command lines."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                if (entry / "cwd").readlink() == home:
                    state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
                    if state != "Z":
                        found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
    return found


def servers_of(home: Path) -> set[int]:
    """The server processes among them."""
    return {pid for pid, command in processes_of(home).items() if "rpcserver" in command}


def arbiter_of(servers: set[int]) -> int:
    """The process of a server that started the others; ids begin anew at some time, so it need not be the least."""
    (arbiter,) = (pid for pid in servers if int(Path(f"/proc/{pid}/stat").read_text().split()[3]) not in servers)
    return arbiter


def wait_until_ended(pids: set[int], timeout: float = PATIENCE) -> None:
    """Wait until processes have ended."""
    deadline = time.monotonic() + timeout
    for pid in pids:
        try:
            process = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            ready, _, _ = select.select([process], [], [], max(deadline - time.monotonic(), 0))
            assert ready, f"process {pid} still runs after {timeout} s"
        finally:
            os.close(process)
