"""Clients that wait in threads of their own, so that the lesson can watch them wait."""

from __future__ import annotations

import abc
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from rpcshell.client.client import Client
from rpcshell.client.errors import CallError, ShellError

if TYPE_CHECKING:
    from rpcshell.client.target import Target
    from rpcwire import Reply

__all__ = ["PATIENCE", "Caller", "Looper"]

PATIENCE: Final = 20.0
"""Seconds after which a call has no answer any more; far more than any step takes."""

_STACK: Final = 256 * 1024
"""Bytes; a call does not nest deeply, and there are many threads."""


class _Background(abc.ABC):
    """Something that runs in a thread from when it is made."""

    def __init__(self) -> None:
        former = threading.stack_size(_STACK)
        try:
            self._thread = threading.Thread(target=self._run, name="lesson-client", daemon=True)
            self._thread.start()
        finally:
            threading.stack_size(former)

    def join(self, seconds: float = PATIENCE) -> None:
        """Wait for its end.

        Args:
            seconds: For how long.
        """
        self._thread.join(seconds)

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return not self._thread.is_alive()

    @abc.abstractmethod
    def _run(self) -> None:
        """Do it."""


class Caller(_Background):
    """One call on a connection of its own.

    Args:
        target: Where to.
        method: What to call.
        params: With what.
        stays: Whether the connection is kept after the call, until it is closed.

    Attributes:
        client: Has the connection; not to be used before the call is over.
        took: Seconds from the start to the answer or the end, or None while there is none.
        reply: The answer, or None.
        error: What came instead: an error of the server too.
    """

    def __init__(self, target: Target, method: str, params: object = None, *, stays: bool = True) -> None:
        self.client = Client(target, timeout=PATIENCE)
        self.took: float | None = None
        self.reply: Reply | None = None
        self.error: ShellError | None = None
        self._method = method
        self._params = params
        self._stays = stays
        self._began = time.monotonic()
        super().__init__()

    def answer(self) -> Reply:
        """Wait for the answer.

        Raises:
            ShellError: There was none.
        """
        self.join()
        if self.error is not None:
            raise self.error
        if self.reply is None:
            raise ShellError(f"a call of {self._method} had no answer within {PATIENCE:g} s")
        return self.reply

    @property
    def waited(self) -> float:
        """Seconds until the call was over, or until now."""
        return time.monotonic() - self._began if self.took is None else self.took

    def _run(self) -> None:
        try:
            reply = self.client.exchange(self._method, self._params, meta=True)
            if (error := CallError.of_reply(self._method, reply, 0)) is not None:
                self.error = error
            else:
                self.reply = reply
        except ShellError as error:
            self.error = error
        self.took = time.monotonic() - self._began
        if not self._stays:
            self.client.close()


class Looper(_Background):
    """Calls of `ping` in a closed loop on one connection, until it is ended.

    Args:
        target: Where to.

    Attributes:
        calls: How many were answered.
        lost: How many were not.
        longest: Seconds that the longest took.
    """

    def __init__(self, target: Target) -> None:
        self.calls = 0
        self.lost = 0
        self.longest = 0.0
        self._client = Client(target, timeout=PATIENCE)
        self._end = threading.Event()
        super().__init__()

    def end(self) -> None:
        """Make no more calls."""
        self._end.set()

    def _run(self) -> None:
        params: dict[str, Any] = {"a": 1}
        with self._client:
            while not self._end.is_set():
                began = time.monotonic()
                try:
                    self._client.call("ping", params)
                except ShellError:
                    self.lost += 1
                    # A server that has gone is not asked as fast as one can.
                    self._end.wait(0.01)
                else:
                    self.calls += 1
                self.longest = max(self.longest, time.monotonic() - began)
