"""Processes beside the workers: what they hold, how they are told apart in the log, and that they never outlive."""

from __future__ import annotations

import logging
import os
import select
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from rpcserver.arbiter.companion import Duty
from tests.rpcserver.companion_host import CompanionHost
from tests.servers import PATIENCE, all_gone, watched


class Host(CompanionHost):
    """One that keeps what they have said."""

    def __init__(self, log: Path) -> None:
        self.kept, self.other = socket.socketpair()
        self.heard: list[bytes] = []
        self.answers = {b"question": b"answer to question"}
        super().__init__(log, self.other)

    def hear(self, message: bytes) -> bytes | None:
        self.heard.append(message)
        return self.answers.get(message)

    def add(self, main: Callable[[socket.socket], int]) -> None:
        self.companions.add(Duty("probe", main, self.hear, [self.kept]))

    def close(self) -> None:
        super().close()
        self.other.close()


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    made = Host(tmp_path / "log")
    yield made
    made.close()


def wait_for_ever() -> NoReturn:
    while True:
        signal.pause()


def test_a_companion_asks_and_is_answered(host: Host) -> None:
    def ask(end: socket.socket) -> int:
        end.send(b"question")
        end.send(end.recv(100))
        wait_for_ever()

    host.add(ask)
    host.run_until(lambda: len(host.heard) == 2)
    assert host.heard == [b"question", b"answer to question"]


def test_an_answer_may_be_long_as_that_of_a_thousand_methods_is(host: Host) -> None:
    def ask(end: socket.socket) -> int:
        end.send(b"all")
        end.send(b"%d" % len(end.recv(1 << 20)))
        wait_for_ever()

    host.answers[b"all"] = bytes(300_000)
    host.add(ask)
    host.run_until(lambda: len(host.heard) == 2)
    assert host.heard == [b"all", b"300000"]


def test_a_companion_holds_what_it_keeps_and_nothing_else_of_the_arbiter(host: Host) -> None:
    def look(end: socket.socket) -> int:
        held = [host.kept.fileno() >= 0, host.other.fileno() >= 0]
        end.send(repr(held).encode())
        wait_for_ever()

    host.add(look)
    host.run_until(lambda: host.heard)
    assert host.heard == [b"[True, False]"]


def test_what_companions_keep_is_closed_in_workers_even_before_they_start(host: Host) -> None:
    host.add(lambda end: wait_for_ever())
    host.companions.close()
    assert host.kept.fileno() == -1
    assert host.companions.pids == set()


def test_a_companion_logs_under_its_own_name_and_opens_the_log_again_when_told(host: Host) -> None:
    def log(end: socket.socket) -> int:
        logger = logging.Logger("probe")
        logger.addHandler(host.handler)
        logger.info("before")
        old = os.fstat(host.handler.fileno()).st_ino
        end.send(b"logged")
        while os.fstat(host.handler.fileno()).st_ino == old:
            select.select([], [], [], 0.01)
        logger.info("after")
        end.send(b"logged")
        wait_for_ever()

    host.add(log)
    host.run_until(lambda: host.heard)
    (pid,) = host.companions.pids
    moved = host.log.rename(host.log.with_suffix(".1"))
    host.companions.send_signal(signal.SIGUSR1)
    host.run_until(lambda: len(host.heard) == 2)
    assert moved.read_text().endswith(f"[probe {pid}] before\n")
    assert host.log.read_text().endswith(f"[probe {pid}] after\n")


def test_a_companion_that_keeps_dying_is_started_less_and_less_often(
    host: Host, caplog: pytest.LogCaptureFixture
) -> None:
    host.add(lambda end: 3)
    host.run_until(lambda: caplog.text.count("exited with status 3") == 2)
    assert "a new one starts in 1 s" in caplog.text
    assert "a new one starts in 2 s" in caplog.text


def test_signals_to_a_group_do_not_end_a_companion_before_its_arbiter_does(host: Host) -> None:
    def say_when_up(end: socket.socket) -> int:
        end.send(b"up")
        wait_for_ever()

    host.add(say_when_up)
    host.run_until(lambda: host.heard)
    (pid,) = host.companions.pids
    with watched([pid]) as processes:
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM):
            os.kill(pid, number)
        assert not all_gone(processes, 0.05)
        host.companions.stop()
        assert all_gone(processes, PATIENCE)


def test_a_companion_ends_with_the_process_that_made_it(tmp_path: Path) -> None:
    reader, writer = os.pipe()

    def say_who(end: socket.socket) -> int:
        os.write(writer, b"%d" % os.getpid())
        wait_for_ever()

    pid = os.fork()
    if pid == 0:
        try:
            made = Host(tmp_path / "log")
            made.add(say_who)
            made.run_until(lambda: False)
        finally:
            os._exit(1)
    try:
        assert select.select([reader], [], [], PATIENCE)[0]
        with watched([int(os.read(reader, 20))]) as processes:
            os.kill(pid, signal.SIGKILL)
            assert all_gone(processes, PATIENCE)
    finally:
        os.waitpid(pid, 0)
        os.close(reader)
        os.close(writer)
