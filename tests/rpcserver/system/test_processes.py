"""Forked processes, slots, channels and the acceptor, each by itself."""

from __future__ import annotations

import os
import resource
import select
import signal
import socket
import struct
from collections.abc import Iterator

import pytest

from rpcserver.arbiter.slots import WorkerProcess, WorkerSlot
from rpcserver.system.channel import ArbiterEnd, NextWanted, WorkerEnd, WorkerFailed, WorkerReady, open_channel
from rpcserver.system.inherited import allow_descriptors
from rpcserver.system.process import ChildProcess, Exit, Forker, reap_strays
from rpcserver.system.sockets import Listener
from rpcserver.workers.acceptor import Acceptor
from tests.poverty import descriptors_below
from tests.servers import connected


def ended(child: ChildProcess) -> Exit:
    assert select.select([child.fileno()], [], [], 10)[0]
    found = child.reap()
    assert found is not None
    child.close()
    return found


def sleeping() -> int:
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    signal.pause()
    return 0


def test_a_childs_exit_code_is_its_mains_result() -> None:
    assert ended(Forker().fork(lambda: 7)) == Exit(7, by_signal=False)


def test_an_error_in_a_child_stays_there() -> None:
    def main() -> int:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        raise KeyError("nothing of this reaches the parent")

    assert ended(Forker().fork(main)) == Exit(1, by_signal=False)


def test_a_running_child_is_not_reaped() -> None:
    child = Forker().fork(sleeping)
    assert child.reap() is None
    child.send_signal(signal.SIGKILL)
    assert ended(child) == Exit(signal.SIGKILL, by_signal=True)


def test_a_signal_for_a_child_that_has_ended_goes_nowhere() -> None:
    child = Forker().fork(lambda: 0)
    assert select.select([child.fileno()], [], [], 10)[0]
    child.send_signal(signal.SIGKILL)
    assert ended(child).clean


def test_signals_are_blocked_around_a_fork_and_as_before_after_it() -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    child = Forker().fork(lambda: int(signal.SIGTERM not in signal.pthread_sigmask(signal.SIG_BLOCK, ())))
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before
    assert ended(child).clean


@pytest.mark.parametrize(
    ("end", "text"),
    [
        (Exit(0, by_signal=False), "exited with status 0"),
        (Exit(3, by_signal=False), "exited with status 3"),
        (Exit(9, by_signal=True), "was killed by SIGKILL"),
        (Exit(63, by_signal=True), "was killed by signal 63"),
    ],
)
def test_an_end_is_told_in_words(end: Exit, text: str) -> None:
    assert str(end) == text


def test_strays_are_reaped_and_own_children_are_not() -> None:
    stray = os.fork()
    if stray == 0:
        os._exit(5)
    descriptor = os.pidfd_open(stray)
    assert select.select([descriptor], [], [], 10)[0]
    own = Forker().fork(lambda: 4)
    assert select.select([own.fileno()], [], [], 10)[0]
    reap_strays({own.pid})
    assert ended(own).code == 4
    reap_strays(())
    with pytest.raises(ChildProcessError):
        os.waitid(os.P_PIDFD, descriptor, os.WEXITED | os.WNOHANG)
    os.close(descriptor)


def test_delays_grow_while_workers_die_of_their_start_and_end_when_one_lives() -> None:
    slot = WorkerSlot(1)
    delays = [slot.retry(0.0) for _ in range(12)]
    assert delays[:4] == pytest.approx([0.1, 0.2, 0.4, 0.8])
    assert delays[-1] == 30.0
    assert slot.retry_at == 30.0
    assert slot.retry(100.0, lived=True) == 0.0
    assert slot.retry_at == 100.0
    assert slot.retry(200.0) == pytest.approx(0.1)


def test_a_worker_that_gets_ready_and_dies_is_missed_for_a_second_at_most() -> None:
    slot = WorkerSlot(1)
    delays = [slot.retry(0.0, ready=True) for _ in range(12)]
    assert delays[:3] == pytest.approx([0.1, 0.2, 0.4])
    assert delays[-1] == 1.0


def worker_in(slot: WorkerSlot) -> WorkerProcess:
    arbiter, worker = open_channel()
    arbiter.close()
    worker.close()
    child = Forker().fork(lambda: 0)
    ended(child)
    made = WorkerProcess(slot, 0, 0, child, arbiter)
    slot.entered(made)
    return made


def test_a_successor_takes_the_place_when_it_is_ready_or_when_it_is_the_last() -> None:
    slot = WorkerSlot(1)
    first, second = worker_in(slot), worker_in(slot)
    assert (slot.worker, slot.successor) == (first, second)
    assert slot.promote() is first
    assert (slot.worker, slot.successor) == (second, None)
    assert not slot.left(first)
    third = worker_in(slot)
    assert slot.left(second)
    assert (slot.worker, slot.successor) == (third, None)
    fourth = worker_in(slot)
    assert slot.left(fourth)
    assert (slot.worker, slot.successor) == (third, None)
    assert slot.left(third)
    assert slot.worker is None


@pytest.fixture
def channel() -> Iterator[tuple[ArbiterEnd, WorkerEnd]]:
    arbiter, worker = open_channel()
    yield arbiter, worker
    arbiter.close()
    worker.close()


def test_reports_arrive_one_by_one(channel: tuple[ArbiterEnd, WorkerEnd]) -> None:
    arbiter, worker = channel
    assert arbiter.receive() is None
    worker.ready()
    worker.failed("no app", "Traceback \ud800")
    assert arbiter.receive() == WorkerReady()
    assert arbiter.receive() == WorkerFailed("no app", "Traceback \\ud800")
    assert arbiter.receive() is None


def test_a_huge_traceback_keeps_its_end(channel: tuple[ArbiterEnd, WorkerEnd]) -> None:
    arbiter, worker = channel
    worker.failed("deep", "x" * 1_000_000 + "the end")
    report = arbiter.receive()
    assert isinstance(report, WorkerFailed)
    assert report.traceback is not None
    assert report.traceback.endswith("the end")


def test_the_end_of_a_channel_is_an_error(channel: tuple[ArbiterEnd, WorkerEnd]) -> None:
    arbiter, worker = channel
    worker.close()
    with pytest.raises(EOFError):
        arbiter.receive()


def test_connections_are_handed_over(channel: tuple[ArbiterEnd, WorkerEnd]) -> None:
    arbiter, worker = channel
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            assert arbiter.hand_over(theirs)
        taken = worker.next_connection()
        assert arbiter.receive() == NextWanted()
        assert taken is not None
        with taken:
            taken.sendall(b"served")
            assert ours.recv(10) == b"served"
    arbiter.dismiss()
    assert worker.next_connection() is None


def test_an_arbiter_that_is_gone_has_no_more_connections(channel: tuple[ArbiterEnd, WorkerEnd]) -> None:
    arbiter, worker = channel
    arbiter.close()
    assert worker.next_connection() is None


def test_a_wait_ends_with_a_connection_a_call_or_the_time(listener: Listener) -> None:
    reader, writer = os.pipe2(os.O_NONBLOCK)
    acceptor = Acceptor([listener], reader)
    assert acceptor.accept(0.01) is None
    with connected(listener.address):
        connection = acceptor.accept(10)
        assert connection is not None
        assert connection.getblocking()
        connection.close()
    os.write(writer, b"\x0f")
    assert acceptor.accept(10) is None
    assert acceptor.accept(0.01) is None
    acceptor.close()
    assert acceptor.closed
    os.close(reader)
    os.close(writer)


def test_a_connection_that_was_reset_in_the_queue_does_no_harm(listener: Listener) -> None:
    reader, writer = os.pipe2(os.O_NONBLOCK)
    acceptor = Acceptor([listener], reader)
    with connected(listener.address) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection = acceptor.accept(0.1)
    if connection is not None:
        connection.close()
    with connected(listener.address):
        connection = acceptor.accept(10)
        assert connection is not None
        connection.close()
    os.close(reader)
    os.close(writer)


def test_a_shortage_of_descriptors_is_waited_out(listener: Listener) -> None:
    reader, writer = os.pipe2(os.O_NONBLOCK)
    acceptor = Acceptor([listener], reader)
    with connected(listener.address):
        os.close(least := os.dup(reader))
        with descriptors_below(least):
            assert acceptor.accept(1) is None
        connection = acceptor.accept(10) or acceptor.accept(10)
        assert connection is not None
        connection.close()
    os.close(reader)
    os.close(writer)


def test_the_limit_of_descriptors_is_raised_also_where_none_is_left_to_count_them() -> None:
    def have_none_left() -> int:
        least = os.dup(2)
        os.close(least)
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (least, hard))
        allow_descriptors(1)
        os.dup(2)
        return 0

    assert ended(Forker().fork(have_none_left)) == Exit(0, by_signal=False)
