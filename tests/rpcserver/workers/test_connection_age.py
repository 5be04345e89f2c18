"""Connections that are too old, in every model: no call is lost with them, whether clients heed `close` or not."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rpcserver.system.settings import ServerSettings
from rpcserver.workers.conversation import Conversation
from rpcserver.workers.limits import NEVER, old_from
from rpcserver.workers.next_step import Next
from rpcwire import GOODBYE, Goodbye, Reply
from tests.models import EACH_KIND
from tests.rpcserver.steering import Gate
from tests.rpcserver.workers.test_conversation import ONE, answer_all, write_all
from tests.rpcserver.workers.test_framings import call, connect
from tests.servers import Server, running

AGE = 0.1
OLD = ServerSettings(max_connection_age=1e-9, drain_grace=5.0)


@pytest.fixture(scope="module", params=EACH_KIND)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    options = ("-m", request.param, "-w", "2", "--max-connection-age", str(AGE), "--drain-grace", "0.1")
    bind = ("127.0.0.1:0", "line+tcp://127.0.0.1:0")
    with running(*options, folder=tmp_path_factory.mktemp(request.param), bind=bind) as server:
        yield server


@pytest.mark.samples(1)
def test_a_busy_client_that_heeds_it_is_told_to_go_on_elsewhere(server: Server, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    replies = ends = 0
    while ends < 3:
        with server.connect() as client:
            for call_number in itertools.count():
                client.send("count", [str(marks)], close=True)
                received = client.receive()
                if received is None:
                    # The bare end of the stream proves nothing; on a busy machine its first call comes too late.
                    assert call_number == 0
                    break
                replies += isinstance(received, Reply)
                if isinstance(received, Goodbye) or received.close:
                    assert client.receive() is None
                    ends += 1
                    break
    assert marks.stat().st_size == replies


def test_a_connection_grows_old_on_a_loop_while_its_call_runs(tmp_path: Path, gate: Gate) -> None:
    options = ("-m", "async", "-w", "1", "--max-connection-age", str(AGE))
    with running(*options, folder=tmp_path) as server, server.connect() as client:
        gate.hold(client, close=True)
        client.send("echo", [1], close=True)
        for _ in range(2):
            with server.connect() as younger:
                younger.send("echo", close=True)
                while younger.receive() is not None:
                    pass
        gate.open()
        first, last = client.receive(), client.receive()
        assert isinstance(first, Reply)
        assert isinstance(last, Reply)
        assert (first.result, first.close) == ("through", False)
        assert (last.result, last.close) == ([1], True)
        assert client.receive() is None


@pytest.mark.samples(1)
def test_an_idle_client_that_heeds_it_is_told_goodbye(server: Server) -> None:
    while True:
        with server.connect() as client:
            client.send("echo", close=True)
            received = client.receive()
            if received is None or (isinstance(received, Reply) and received.close):
                # On a busy machine it was old before its call came.
                continue
            assert isinstance(received, Reply)
            assert isinstance(client.receive(), Goodbye)
            assert client.receive() is None
            return


@pytest.mark.samples(1)
def test_a_client_that_knows_nothing_of_it_is_let_go_once_it_is_silent(server: Server) -> None:
    with server.connect() as client:
        end = time.monotonic() + 2 * AGE
        while time.monotonic() < end:
            client.send("echo", 1)
            if not isinstance(received := client.receive(), Reply):
                # On a busy machine it was silent already.
                assert received is None
                return
            assert received.result == 1
        assert client.receive() is None


@pytest.mark.samples(1)
def test_a_client_of_another_framing_is_let_go_once_it_is_silent(server: Server) -> None:
    with connect(server, "line") as client:
        end = time.monotonic() + 2 * AGE
        while time.monotonic() < end:
            client.send(call(1, "echo", [1]))
            if (received := client.receive()) is None:
                return
            assert received["result"] == [1]
        assert client.receive() is None


def test_connections_are_old_within_the_last_fifth_of_their_age_and_never_later() -> None:
    drawn = [old_from(ServerSettings(max_connection_age=100.0), 1000.0) for _ in range(200)]
    assert 1080 <= min(drawn) < max(drawn) <= 1100
    assert old_from(ServerSettings(), 1000.0) == NEVER


def test_an_old_connection_answers_what_has_come_and_the_reply_says_close() -> None:
    conversation = Conversation(OLD)
    conversation.peer.heeds_close = True
    conversation.receive(ONE * 2)
    conversation.note_age(time.monotonic())
    assert answer_all(conversation) == [False, True]
    write_all(conversation)
    assert conversation.next() is Next.LINGER


def test_an_old_connection_that_is_idle_ends_with_a_goodbye() -> None:
    conversation = Conversation(OLD)
    conversation.peer.heeds_close = True
    assert conversation.deadline <= time.monotonic()
    conversation.expire()
    assert write_all(conversation) == GOODBYE


def test_a_client_that_heeds_nothing_has_the_grace_after_each_request() -> None:
    conversation = Conversation(OLD)
    conversation.receive(ONE)
    conversation.note_age(time.monotonic())
    assert answer_all(conversation) == [False]
    write_all(conversation)
    assert conversation.deadline == NEVER
    since = time.monotonic()
    conversation.note_silence(since)
    assert conversation.deadline == since + OLD.drain_grace
    conversation.expire()
    assert conversation.next() is Next.LINGER
