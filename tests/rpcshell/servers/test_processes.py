"""Which process has the other end of a connection; with real sockets and the real proc(5)."""

from __future__ import annotations

import os
import socket
import sys

import pytest

from rpcshell.servers.processes import find_server_end, process_state

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
