"""Interrupts the main thread from another one, as Ctrl-C does."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_AGAIN = 0.05


@contextmanager
def interrupted(when: Callable[[], object], number: signal.Signals = signal.SIGINT) -> Iterator[None]:
    """Have the main thread, which calls this, get a signal as soon as `when` returns, in another thread.

    Python runs handlers between two steps, so a signal that comes just before the thread sleeps in the kernel does not
    end its sleep; another one does, whose own handler does nothing. The first keeps its handler, by which asyncio knows
    whether it may take its place.
    """
    main = threading.main_thread().ident or 0
    over = threading.Event()

    def interrupt() -> None:
        when()
        signal.pthread_kill(main, number)
        while not over.wait(_AGAIN):
            signal.pthread_kill(main, signal.SIGURG)

    former = signal.signal(signal.SIGURG, lambda _number, _frame: None)
    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        signal.signal(signal.SIGURG, former)
