"""Threads that nobody waits for at the end: what hangs in them, such as getaddrinfo(3), cannot be broken off."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final

from rpcshell.client.threads import thread_for

_MANY: Final = 1 << 30


class DaemonThreads(ThreadPoolExecutor):
    """An executor whose threads end with the process; those of its base are joined then, however long they take.

    At the same time no more than `most` of them run.
    """

    def __init__(self, name: str, most: int = _MANY) -> None:
        super().__init__(1)
        self._name, self._most = name, most
        self._running = 0
        self._waiting: deque[tuple[Future[Any], Callable[[], None]]] = deque()
        self._turn = threading.Lock()

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Have a function called; in this thread where the system allows no other."""
        found: Future[Any] = Future()

        def call() -> None:
            if not found.set_running_or_notify_cancel():
                return
            try:
                found.set_result(function(*args, **kwargs))
            except Exception as error:  # noqa: BLE001 - whoever waits for it raises it
                found.set_exception(error)

        with self._turn:
            self._waiting.append((found, call))
            if self._running >= self._most:
                return found
            self._running += 1
        if thread_for(self._run, self._name) is None:
            self._run()
        return found

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Return at once; with `cancel_futures` calls that have not begun are dropped."""
        with self._turn:
            while cancel_futures and self._waiting:
                self._waiting.popleft()[0].cancel()

    def _run(self) -> None:
        while True:
            with self._turn:
                if not self._waiting:
                    self._running -= 1
                    return
                _, call = self._waiting.popleft()
            call()
