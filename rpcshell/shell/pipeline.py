"""Where a result goes instead of the screen, the standard input of a shell command or a file; and shell commands alone.

What it looks like there is `plain`'s business.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import termios
import time
from typing import TYPE_CHECKING, Final

from rpcshell.client.errors import Cancelled, ShellError, UsageError
from rpcshell.line.language import Redirect
from rpcshell.servers.folders import user_path
from rpcshell.shell.terminal import interrupts_left_to_a_program, is_terminal
from rpcshell.view.escape import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rpcshell.line.language import Pipe, Sink
    from rpcshell.shell.output import Output

_SHELL: Final = "/bin/sh"
_PATIENCE: Final = 0.5
"""Seconds in which what was stopped together with this process goes on together with it."""

_LOOK: Final = 0.01

_BY_SIGNAL: Final = 128
"""What a shell adds to the number of the signal that ended a command."""


class PipeFailed(ShellError):
    """A shell command ended with a status other than 0, as a shell tells it."""

    def __init__(self, command: str, status: int) -> None:
        super().__init__(f"`{visible(command)}` ended with status {status}")
        self.status = status


class CommandStopped(ShellError):
    """A shell command has stopped (SIGSTOP), and not ended: its process is there until somebody has it go on."""

    def __init__(self, command: str, process: subprocess.Popen[bytes]) -> None:
        hint = f"!kill -CONT {process.pid} has it go on, !kill -KILL {process.pid} ends it"
        super().__init__(f"`{visible(command)}` has stopped", hint=hint)
        self.process = process


def check_sink(sink: Sink) -> None:
    """Refuse a path that plainly cannot be written, before anything is called for it.

    Raises:
        UsageError: The path is a folder, or is in none.
    """
    if not isinstance(sink, Redirect):
        return
    path = user_path(sink.path)
    if path.is_dir():
        raise UsageError(f"cannot write {sink.path}: it is a folder")
    if not path.parent.is_dir():
        raise UsageError(f"cannot write {sink.path}: there is no folder {path.parent}")


def deliver(sink: Sink, pieces: Iterable[str] | None, output: Output, *, interactive: bool) -> None:
    """Send a result, or nothing, as `send` does, and tell a person what came of it."""
    try:
        # A pager, for one, has the terminal to itself.
        with output.hold():
            written = send(sink, pieces)
    except Cancelled:
        if interactive:
            # The terminal shows a ^C, and whatever the command had written before it.
            output.text("")
        raise
    except PipeFailed as error:
        if not interactive:
            raise
        # Whoever sees the screen sees what the command said; a search that finds nothing is no error.
        output.note(error.message)
    else:
        if isinstance(sink, Redirect) and interactive:
            output.note(f"{written} bytes {'added ' if sink.append else ''}to {sink.path}")


def send(sink: Sink, pieces: Iterable[str] | None) -> int:
    """Write text to a file, or run a shell command on it and wait for its end; one without a text has the terminal.

    Returns the bytes that were written; a command may have read fewer.

    Raises:
        UsageError: The file cannot be written, or the command cannot be run.
        PipeFailed, CommandStopped, Cancelled: What became of the command.
    """
    return _write(sink, pieces or ()) if isinstance(sink, Redirect) else _run(sink, pieces)


def _write(sink: Redirect, pieces: Iterable[str]) -> int:
    try:
        with user_path(sink.path).open("ab" if sink.append else "wb") as file:
            return sum(file.write(_encoded(piece)) for piece in pieces)
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise UsageError(f"cannot write {visible(sink.path)}: {reason}") from error


def _run(sink: Pipe, pieces: Iterable[str] | None) -> int:
    written = 0
    # What a script reads its own lines from is not for a command of them.
    alone = None if is_terminal(sys.stdin) else subprocess.DEVNULL
    with _cooked(), interrupts_left_to_a_program():
        try:
            process = subprocess.Popen([_SHELL, "-c", sink.command], stdin=alone if pieces is None else subprocess.PIPE)
        except (OSError, ValueError) as error:
            raise UsageError(f"cannot run {visible(sink.command)}: {error}") from error
        try:
            if process.stdin is not None:
                # A command such as `head` may leave before it has read everything.
                with contextlib.suppress(BrokenPipeError), process.stdin as stream:
                    for piece in pieces or ():
                        written += stream.write(_encoded(piece))
            status = _ended(process, sink.command)
        except CommandStopped:
            raise
        except BaseException:
            process.terminate()
            process.wait()
            raise
    if status < 0:
        status = _BY_SIGNAL - status
    if status == _BY_SIGNAL + signal.SIGINT:
        raise Cancelled(f"`{visible(sink.command)}` was interrupted")
    if status not in (0, _BY_SIGNAL + signal.SIGPIPE):
        raise PipeFailed(sink.command, status)
    return written


def _ended(process: subprocess.Popen[bytes], command: str) -> int:
    """Wait for the end of a command; the status, or `CommandStopped` where nobody soon has a stopped one go on."""
    patience: float | None = None
    while True:
        looking = 0 if patience is None else os.WNOHANG
        try:
            pid, status = os.waitpid(process.pid, os.WUNTRACED | os.WCONTINUED | looking)
        except ChildProcessError:
            # Whoever started this program ignores SIGCHLD, and so the kernel keeps no status: Popen takes it for 0.
            return process.wait()
        if not pid:
            if patience is not None and time.monotonic() > patience:
                raise CommandStopped(command, process)
            time.sleep(_LOOK)
        elif os.WIFSTOPPED(status):
            # Ctrl-Z has stopped this process too, and both go on at once.
            patience = time.monotonic() + _PATIENCE
        elif os.WIFCONTINUED(status):
            patience = None
        else:
            process.returncode = os.waitstatus_to_exitcode(status)
            return process.returncode


def _encoded(piece: str) -> bytes:
    return piece.encode("utf-8", "backslashreplace")


@contextlib.contextmanager
def _cooked() -> Iterator[None]:
    """Give a command the terminal as a shell would, with echo and whole lines, and put it back; nothing without one."""
    try:
        terminal = sys.stdin.fileno() if sys.stdin is not None else -1
        modes = termios.tcgetattr(terminal)
    except (OSError, ValueError, termios.error):
        yield
        return
    if os.tcgetpgrp(terminal) != os.getpgrp():
        # In the background nobody types, and a change of modes would stop this process.
        yield
        return
    input_modes, output_modes, control_modes, local_modes, *rest = modes
    local_modes |= termios.ECHO | termios.ICANON
    termios.tcsetattr(terminal, termios.TCSADRAIN, [input_modes, output_modes, control_modes, local_modes, *rest])
    try:
        yield
    finally:
        with contextlib.suppress(OSError, termios.error):
            termios.tcsetattr(terminal, termios.TCSADRAIN, modes)
