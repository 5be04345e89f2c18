"""Callers: threads of this process that call beside other work, each with a client of its own.

They go by the client's rule (`rpcshell.client.fleet`): what may have run is not sent again, and is lost. Heavy load,
which this process's own work would slow down, is for load processes.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import msgspec

from rpcshell.client.client import Client
from rpcshell.client.errors import CallError, CallTimeout, ConnectionFailed, ConnectionLost, ShellError
from rpcwire import ErrorCode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rpcshell.client.target import Target, TlsFiles
    from rpcwire import Reply

_REST: Final = 0.01
"""Seconds after a call that brought no reply: a server that has gone is not asked as fast as one can."""


class EndedCall(msgspec.Struct, frozen=True):
    """A call that has come to its end; times are on `time.monotonic`'s clock."""

    method: str
    began: float
    ended: float
    reply: Reply | None = None
    """An error of the server too."""

    failure: ShellError | None = None
    """Why there is no reply."""

    @property
    def took(self) -> float:
        """In seconds."""
        return self.ended - self.began

    @property
    def error(self) -> ShellError | None:
        """Why there is no result: the failure, or the server's own error."""
        return CallError.of_reply(self.method, self.reply, self.took) if self.reply is not None else self.failure

    @property
    def fate(self) -> str:
        """What became of it: answered, busy, error, lost (may have run), unsent, refused (no connection) or timeout."""
        match self.error:
            case None:
                return "answered"
            case CallError(code=ErrorCode.BUSY):
                return "busy"
            case ConnectionLost(may_have_run=True):
                return "lost"
            case ConnectionLost():
                return "unsent"
            case ConnectionFailed():
                return "refused"
            case CallTimeout():
                return "timeout"
        return "error"


class Caller:
    """A thread that makes calls one after the other, until it has made them all or is ended.

    Args:
        timeout: Seconds for each call, connecting included.
        calls: How many it makes; None for no limit.
        pause: Seconds between two calls.
        calls_each: Calls after which it makes another connection; None to keep the one it has.
        on_end: Told of each call that has ended, in the thread.
    """

    def __init__(
        self,
        target: Target,
        method: str,
        params: object = None,
        *,
        tls: TlsFiles | None = None,
        timeout: float,
        calls: int | None = None,
        pause: float = 0.0,
        calls_each: int | None = None,
        on_end: Callable[[EndedCall], None] = lambda _ended: None,
    ) -> None:
        self.client = Client(target, timeout=timeout, connect_timeout=timeout, tls=tls)
        """Has the connection, which stays open; not to be used while the caller runs."""
        self.began: float | None = None
        """When the call under way began."""
        self.last: EndedCall | None = None
        """The last call that has ended."""
        self.longest = 0.0
        """Seconds that the longest took."""
        self.fates: Counter[str] = Counter()
        """How many calls ended in which way."""
        self._method = method
        self._params = params
        self._left = calls
        self._pause = pause
        self._calls_each = calls_each
        self._on_end = on_end
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="caller", daemon=True)

    def start(self) -> None:
        """Begin to call."""
        with small_stacks():
            self._thread.start()

    @property
    def over(self) -> bool:
        """Whether it was started, and makes no more calls."""
        return self._thread.ident is not None and not self._thread.is_alive()

    @property
    def waited(self) -> float:
        """Seconds that the call under way has waited, or else that the last one took."""
        began, last = self.began, self.last
        return time.monotonic() - began if began is not None else 0.0 if last is None else last.took

    def end(self) -> None:
        """Make no calls after the one under way, and close the connection then."""
        self._ending.set()

    def join(self, seconds: float) -> None:
        """Wait for the end of the last call."""
        self._thread.join(seconds)

    def _run(self) -> None:
        made = 0
        while not self._ending.is_set() and made != self._left:
            call = self._call()
            made += 1
            self.last, self.began = call, None
            self.longest = max(self.longest, call.took)
            self.fates[call.fate] += 1
            self._on_end(call)
            if self._calls_each is not None and made % self._calls_each == 0:
                self.client.close()
            if made != self._left:
                self._ending.wait(self._pause if call.failure is None else max(self._pause, _REST))
        if self._ending.is_set():
            self.client.close()

    def _call(self) -> EndedCall:
        self.began = began = time.monotonic()
        try:
            reply = self.client.exchange(self._method, self._params, meta=True)
        except ShellError as error:
            return EndedCall(self._method, began, time.monotonic(), failure=error)
        return EndedCall(self._method, began, time.monotonic(), reply)


@contextmanager
def small_stacks() -> Iterator[None]:
    """Threads that start meanwhile have 256 KiB: a call does not nest deeply, and there may be many."""
    former = threading.stack_size(256 * 1024)
    try:
        yield
    finally:
        threading.stack_size(former)


def end_callers(callers: Sequence[Caller], seconds: float) -> None:
    """Have no more calls made, wait so many seconds for those under way, and close the connections that have none."""
    for caller in callers:
        caller.end()
    deadline = time.monotonic() + seconds
    for caller in callers:
        caller.join(max(deadline - time.monotonic(), 0))
        if caller.over:
            caller.client.close()
