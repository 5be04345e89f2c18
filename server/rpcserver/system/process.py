"""Processes: forking workers that cannot outlive their parent, signalling and reaping them without races.

What a worker does is the business of `rpcserver.workers`; when one is started or stopped, of the arbiter.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import logging
import os
import select
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn, Protocol

import msgspec

from rpcserver.system.errors import QuickStop
from rpcserver.system.lifeline import held, hold, is_parted, tie
from rpcserver.system.signals import signal_text

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from contextlib import AbstractContextManager

logger = logging.getLogger(__name__)

# linux/prctl.h
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_NAME: Final = 15
_PR_GET_NAME: Final = 16
_PR_SET_CHILD_SUBREAPER: Final = 36
_SIGNALS: Final = frozenset(signal.Signals)

NO_MORE_PROCESSES: Final = "the limits of processes allow no more (ulimit -u, pids.max)"
"""RLIMIT_NPROC (getrlimit(2)), or pids.max of a control group (cgroups(7)): threads count too."""


class Closeable(Protocol):
    """Anything that holds descriptors."""

    def close(self) -> None:
        """Close them."""


class Exit(msgspec.Struct, frozen=True):
    """How a process ended: by a signal, or with an exit code."""

    code: int
    by_signal: bool

    def __str__(self) -> str:
        if not self.by_signal:
            return f"exited with status {self.code}"
        return f"was killed by {signal_text(self.code)}"

    @property
    def signal_name(self) -> str | None:
        """The name, without SIG, of the signal that it died of; None where it ended by itself."""
        if not self.by_signal:
            return None
        return signal_text(self.code).removeprefix("SIG").removeprefix("signal ")

    @property
    def clean(self) -> bool:
        """Whether the process ended by itself and without an error."""
        return not self.by_signal and self.code == 0


class ChildProcess:
    """A forked child, held by a descriptor, so that no other process is ever signalled or reaped in its place.

    The descriptor becomes readable when the child has ended: pidfd_open(2).

    Args:
        lifeline: descriptors with which the child lives and dies; closed with this object.
        pid: 0 where another process is to fork it for this one, and has not yet done so.

    Raises:
        OSError: the child cannot be watched.
    """

    def __init__(self, *lifeline: int, pid: int = 0) -> None:
        self.pid = 0
        self._pidfd = -1
        self._lifeline = lifeline
        self._early_signals: list[signal.Signals] = []
        if pid:
            self.attach(pid)

    def attach(self, pid: int) -> None:
        """Note which process it is, and send it the signals that it had been sent before.

        Raises:
            OSError: the child cannot be watched.
        """
        self._pidfd = os.pidfd_open(pid)
        self.pid = pid
        for number in self._early_signals:
            self.send_signal(number)

    def fileno(self) -> int:
        """Return the process's descriptor; -1 where there is no process yet."""
        return self._pidfd

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal; one that has ended is left alone, one that is not forked yet gets it then."""
        if self._pidfd < 0:
            self._early_signals.append(number)
            return
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, number)

    def reap(self) -> Exit | None:
        """Take the child's exit status, or return None while it runs."""
        try:
            info = os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED | os.WNOHANG)
        except ChildProcessError:
            # Only something else in this process that waits for any child can have taken it.
            return Exit(0, by_signal=False)
        if info is None:
            return None
        return Exit(info.si_status, by_signal=info.si_code != os.CLD_EXITED)

    def close(self) -> None:
        """Close the descriptors; a child that runs yet is killed, unless this is a copy of its parent's."""
        if self._pidfd >= 0:
            os.close(self._pidfd)
        for descriptor in self._lifeline:
            os.close(descriptor)


class Forker:
    """Forks children that are killed when their parent dies, however it dies, and whatever user they have become.

    Of the two ways PR_SET_PDEATHSIG is the quicker one, but a child has to ask for it, the kernel forgets it with a
    change of user, and it is the parent's thread whose death counts. So each child also has a lifeline, which its
    parent holds. Children must close their copies of their siblings'.

    Make the object before the first fork: it loads what children need.

    Raises:
        OSError: the C library cannot be loaded.
    """

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._libc.prctl.argtypes = [ctypes.c_int, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong]

    def fork(self, main: Callable[[], int]) -> ChildProcess:
        """Run `main` in a new process, which ends with the exit code that it returns.

        Signals are blocked in the child until `main` unblocks them, so that none meets the parent's handlers.

        Raises:
            OSError: no process can be made, or none can be watched: EAGAIN, ENOMEM, EMFILE.
        """
        parent = os.getpid()
        in_main_thread = threading.get_native_id() == parent
        _flush_output()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            pid = os.fork()
            if pid == 0:
                self._run(main, parent, in_main_thread)
        except OSError as error:
            if error.errno == errno.EAGAIN:
                raise BlockingIOError(errno.EAGAIN, NO_MORE_PROCESSES) from error
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        lifeline: tuple[int, ...] = ()
        try:
            lifeline = hold(pid)
            return ChildProcess(*lifeline, pid=pid)
        except OSError:
            # A child that cannot be watched must not be.
            for descriptor in lifeline:
                os.close(descriptor)
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise

    def adopt_orphans(self) -> None:
        """Become the parent of every descendant whose own parent ends: PR_SET_CHILD_SUBREAPER.

        Raises:
            OSError: the kernel does not know of that.
        """
        self._control(_PR_SET_CHILD_SUBREAPER, 1, "PR_SET_CHILD_SUBREAPER")

    def name_process(self, name: bytes) -> bytes:
        """Name this process as ps(1) and top(1) show it, in 15 bytes, and its children to come: PR_SET_NAME.

        Returns what it was called before.
        """
        former, buffer = ctypes.create_string_buffer(16), ctypes.create_string_buffer(name[:15])
        self._libc.prctl(_PR_GET_NAME, ctypes.addressof(former), 0, 0, 0)
        self._libc.prctl(_PR_SET_NAME, ctypes.addressof(buffer), 0, 0, 0)
        return former.value

    def fork_for(
        self, adopter: int, end: int, main: Callable[[], int], forks: Callable[[], AbstractContextManager[None]]
    ) -> None:
        """Run `main` in a new process that is a child of an ancestor of this one, which adopts orphans.

        A process in between forks it, and ends at once.

        Args:
            adopter: the pid of that ancestor.
            end: the reading end of the lifeline that the ancestor holds; see `open_lifeline`. It is closed here.
            main: is called when the new process has its parent, as by `fork`.
            forks: is entered around each fork.

        Raises:
            OSError: no process can be made: EAGAIN, ENOMEM, EMFILE.
        """
        _flush_output()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            with forks():
                between = os.fork()
            if between == 0:
                self._fork_and_end(adopter, end, main, forks)
            with held(between):
                code = await_child(between)
        finally:
            os.close(end)
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if code:
            number = code if code > 0 else errno.ECHILD
            raise OSError(number, NO_MORE_PROCESSES if number == errno.EAGAIN else os.strerror(number))

    def _fork_and_end(
        self, adopter: int, end: int, main: Callable[[], int], forks: Callable[[], AbstractContextManager[None]]
    ) -> NoReturn:
        code = errno.EPROTO
        try:
            itself = os.pidfd_open(os.getpid())
            with forks():
                worker = os.fork()
            if worker == 0:
                # The kernel says that a process has ended when its children have their new parent.
                poll = select.poll()
                poll.register(itself, select.POLLIN)
                poll.poll()
                os.close(itself)
                tie(end, os.getpid())
                # The ancestor may have closed the other end before that could count.
                self._run(lambda: 1 if is_parted(end) else main(), adopter, in_main_thread=True)
            tie(end, worker)
            code = 0
        except OSError as error:
            code = error.errno or code
        finally:
            os._exit(code)

    def _run(self, main: Callable[[], int], parent: int, in_main_thread: bool) -> NoReturn:
        status, witness = 1, -1
        try:
            with contextlib.suppress(OSError):
                # Nothing but an app that closes what is not its own closes this.
                witness = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
            if in_main_thread:
                self._control(_PR_SET_PDEATHSIG, signal.SIGKILL, "PR_SET_PDEATHSIG")
            # The parent may have died before that could count.
            if os.getppid() == parent:
                status = main()
        except BaseException as error:
            # The parent's code is further up this stack: nothing may be raised into it.
            closed = isinstance(error, OSError) and error.errno == errno.EBADF
            if closed and witness >= 0 and not _is_open(witness):
                logger.critical("this process ends: the app has closed a descriptor that is not its own")
                logger.debug("what met it", exc_info=True)
            else:
                perhaps = "; perhaps the app has closed a descriptor that is not its own" if closed else ""
                logger.critical("this process ends by an exception that nothing has caught%s", perhaps, exc_info=True)
        finally:
            try:
                _flush_output()
            finally:
                os._exit(status)

    def _control(self, option: int, value: int, name: str) -> None:
        if self._libc.prctl(option, value, 0, 0, 0) != 0:
            code = ctypes.get_errno()
            raise OSError(code, f"{name}: {os.strerror(code)}")


def await_child(pid: int) -> int:
    """Wait until a child has ended; returns its exit code, as `os.waitstatus_to_exitcode` does.

    It is 0 where a user's code has taken the exit status: it ignores SIGCHLD, or waits for any child.
    """
    try:
        _, status = os.waitpid(pid, 0)
    except ChildProcessError:
        return 0
    return os.waitstatus_to_exitcode(status)


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def _flush_output() -> None:
    """Flush what was printed; a user's code may have closed the streams, or put anything in their place."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except QuickStop:
            raise
        except BaseException:
            logger.debug("what was printed cannot be flushed", exc_info=True)


def reap_strays(known: Collection[int]) -> None:
    """Reap ended children that this program never forked: orphans handed to PID 1, children from before an exec.

    The exit status of a known pid is not touched: it is reaped elsewhere.
    """
    with contextlib.suppress(ChildProcessError):
        while info := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            if info.si_pid in known:
                return
            os.waitid(os.P_PID, info.si_pid, os.WEXITED | os.WNOHANG)
            logger.debug("reaped process %d, which is none of ours", info.si_pid)


def is_stopped(pid: int) -> bool:
    """Whether a process is stopped by a signal or a debugger: proc(5), the third field of stat."""
    try:
        # The name before it may hold anything, parentheses too.
        state = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0]
    except (OSError, IndexError):
        return False
    return state in {b"T", b"t"}
