"""Sessions that wait: what an interrupt does at every place, and the time limits."""

from __future__ import annotations

import contextlib
import gc
import socket
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rpcshell import CallTimeout, Cancelled, ConnectionFailed, UnixTarget
from rpcshell.client import dialling
from rpcshell.shell.session import Session
from tests.interrupts import interrupted
from tests.rpcshell.describing import document, offering
from tests.rpcshell.peers import DEADLINE, Peer, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType


@pytest.fixture
def session() -> Iterator[Session]:
    session = Session()
    yield session
    session.close()


def test_an_interrupt_cancels_the_call_and_the_next_one_works(session: Session) -> None:
    arrived = threading.Event()

    def stall(peer: Peer) -> None:
        peer.answer(document("ping"))
        peer.read()
        arrived.set()
        peer.wait_for_end()

    with serving(stall, offering("ping")) as server:
        session.connect(server.target)
        with interrupted(lambda: arrived.wait(DEADLINE)), pytest.raises(Cancelled) as caught:
            session.call("ping")
        assert caught.value.exit_code == 130
        assert "may still be running" in str(caught.value)
        assert session.call("ping", 1).result == 1


def test_an_interrupt_before_the_probe_is_answered_sends_nothing(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However late the interrupt comes, the silent server is not yet asked in another dialect, nor called.
    monkeypatch.setattr("rpcshell.shell.discovery.PATIENCE", DEADLINE)
    monkeypatch.setattr("rpcshell.client.dialects.native.PROBE_TIMEOUT", DEADLINE)
    asked = threading.Event()
    requests: list[object] = []

    def slow(peer: Peer) -> None:
        while (request := peer.read()) is not None:
            requests.append(request["in"])
            asked.set()

    def connect_and_call() -> None:
        session.connect(server.target)
        session.call("ping")

    with serving(slow) as server:
        # The probe may have arrived before the call has begun, and then nothing turns the interrupt into an error.
        with interrupted(lambda: asked.wait(DEADLINE)), pytest.raises((Cancelled, KeyboardInterrupt)):
            connect_and_call()
        session.close()
    assert requests == ["rpc.discover"]


@contextlib.contextmanager
def unanswering(path: Path) -> Iterator[UnixTarget]:
    """A target that takes no connection and refuses none: its queue is full."""
    with socket.socket(socket.AF_UNIX) as listener, contextlib.ExitStack() as queued:
        listener.bind(str(path))
        listener.listen(0)
        with contextlib.suppress(BlockingIOError):
            while True:
                waiting = queued.enter_context(socket.socket(socket.AF_UNIX))
                waiting.setblocking(False)
                waiting.connect(str(path))
        yield UnixTarget(str(path))


@contextlib.contextmanager
def interrupted_in(code: CodeType) -> Iterator[None]:
    """Interrupt the main thread once it has come into a function."""
    main = threading.main_thread().ident or 0

    def there() -> None:
        deadline = time.monotonic() + DEADLINE
        while time.monotonic() < deadline and sys._current_frames()[main].f_code is not code:
            pass

    with interrupted(there):
        yield


@pytest.fixture
def _collected() -> Iterator[None]:
    """What a test leaves for the collector is collected before the next one."""
    yield
    gc.collect()


# An interrupt may come inside of a socket's own close(); the socket then ends with its last reference.
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.usefixtures("_collected")
def test_an_interrupt_while_connecting_keeps_the_target_and_sent_nothing(session: Session, tmp_path: Path) -> None:
    with unanswering(tmp_path / "s") as target:
        with interrupted_in(dialling._connect_unix.__code__), pytest.raises(Cancelled):
            session.connect(target)
        assert (session.target, session.state) == (target, "lost")
        session.settings.timeout = DEADLINE
        with interrupted_in(dialling._connect_unix.__code__), pytest.raises(Cancelled, match="was not sent"):
            session.call("ping")


def test_the_time_limit_of_the_session_holds_for_each_call(session: Session) -> None:
    def stall(peer: Peer) -> None:
        peer.answer(document("ping"))
        peer.wait_for_end()

    with serving(stall) as server:
        session.connect(server.target)
        session.settings.timeout = 0.1
        with pytest.raises(CallTimeout):
            session.call("ping")


def test_the_time_limit_of_the_session_holds_for_connecting(session: Session, tmp_path: Path) -> None:
    session.settings.timeout = 0.1
    with unanswering(tmp_path / "s") as target, pytest.raises(ConnectionFailed, match=r"within 0\.1 s"):
        session.connect(target)
