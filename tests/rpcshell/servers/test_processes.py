"""Which process has the other end of a connection, and what processes use; with real sockets and the real proc(5)."""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys

import pytest

from rpcshell.servers.processes import (
    find_server_end,
    process_state,
    processes_under,
    processor_time,
    proportional_memory,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="proc(5) is Linux's")


@pytest.mark.parametrize(
    ("family", "host", "address"),
    [
        (socket.AF_INET, "127.0.0.1", "127.0.0.1"),
        (socket.AF_INET6, "::1", "::1"),
        (socket.AF_INET6, "::", "127.0.0.1"),
    ],
    ids=["IPv4", "IPv6", "IPv4 to a listener for both"],
)
def test_a_connection_waits_in_the_queue_until_a_process_has_it(
    family: socket.AddressFamily, host: str, address: str
) -> None:
    with (
        socket.create_server((host, 0), family=family, dualstack_ipv6=host == "::") as listener,
        socket.create_connection((address, listener.getsockname()[1])) as client,
    ):
        ends = client.getsockname(), client.getpeername()
        waiting = find_server_end(ends, [os.getpid()])
        assert waiting is not None
        assert (waiting.queued, waiting.pid) == (True, None)
        accepted, _ = listener.accept()
        with accepted:
            held = find_server_end(ends, [1 << 22, os.getpid()])
            assert held is not None
            assert (held.queued, held.pid) == (False, os.getpid())
            assert find_server_end(ends, []) is None, "none of those that were asked about"
    assert find_server_end(("/a", "/b"), [os.getpid()]) is None, "Unix sockets are not paired"


def test_the_state_of_a_process_is_that_of_proc() -> None:
    assert process_state(os.getpid()) in {"R", "S"}
    assert process_state(1 << 22) == ""


_BURN = "import time\nwhile time.process_time() < 0.1: pass\n"
_FAMILY = f"""
import subprocess, sys
subprocess.run([sys.executable, "-c", {_BURN!r}])
child = subprocess.Popen([sys.executable, "-c", {_BURN + "print(flush=True); input()"!r}], stdin=-1, stdout=-1)
child.stdout.readline()
print(child.pid, flush=True)
input()
child.communicate(b'\\n')
"""


def time_of_children() -> float:
    """Seconds of processor time of this process's children that have ended, and of theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_the_time_of_processes_that_came_and_went_is_not_missed() -> None:
    command, before = [sys.executable, "-c", _FAMILY], time_of_children()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as family:
        assert family.stdout is not None
        child = int(family.stdout.readline())
        assert processes_under(family.pid) == [family.pid, child]
        told = sum(map(processor_time, processes_under(family.pid)))
        assert 1_000_000 < (proportional_memory(child) or 0) < 100_000_000
        family.communicate(b"\n")
    assert 0.18 <= told <= time_of_children() - before
    assert processor_time(child) == 0
    assert proportional_memory(child) == 0


def test_a_process_that_has_ended_while_it_was_looked_for_has_no_children() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert processes_under(ended.pid) == [ended.pid]
