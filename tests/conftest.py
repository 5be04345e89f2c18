"""What every test may rely on, however the run was started."""

import signal
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def _signals_arrive() -> Iterator[None]:
    # A shell without job control starts what it puts in the background with SIGINT ignored, nohup(1) ignores SIGHUP,
    # and programs inherit that.
    interrupt = signal.signal(signal.SIGINT, signal.default_int_handler)
    hangup = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGHUP, hangup)
