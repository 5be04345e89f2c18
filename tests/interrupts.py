"""Interrupts the main thread from another one, as Ctrl-C does."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_AGAIN = 0.05


@contextmanager
def interrupted(when: Callable[[], object], number: signal.Signals = signal.SIGINT) -> Iterator[None]:
    """Have the main thread, which calls this, get a signal as soon as `when` returns, in another thread.

    It is sent until its handler runs: Python runs handlers between two steps, so one that comes just before the thread
    sleeps in the kernel does not end its sleep.
    """
    main = threading.main_thread().ident or 0
    handled = threading.Event()
    former = signal.getsignal(number)

    def handle(signum: int, frame: object) -> None:
        handled.set()
        if callable(former):
            former(signum, frame)  # type: ignore[arg-type]  # the frame is handed on as it came

    def interrupt() -> None:
        when()
        while not handled.is_set():
            signal.pthread_kill(main, number)
            handled.wait(_AGAIN)

    signal.signal(number, handle)
    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        yield
    finally:
        handled.set()
        thread.join()
        signal.signal(number, former)
