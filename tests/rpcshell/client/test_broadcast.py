"""One call on each of several servers, where what is asked for their addresses does not answer."""

from __future__ import annotations

import socket
import threading
from typing import Any

import pytest

from rpcshell import ConnectionFailed, TcpTarget
from rpcshell.client.broadcast import Broadcast
from tests.rpcshell.peers import DEADLINE


def test_nobody_waits_for_a_name_that_is_looked_up_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    given_up, lookup = threading.Event(), socket.getaddrinfo

    def hanging(host: Any, *args: Any, **options: Any) -> Any:
        if host != b"nowhere.example":
            return lookup(host, *args, **options)
        given_up.wait(DEADLINE)
        raise socket.gaierror(socket.EAI_AGAIN, "given up")

    monkeypatch.setattr(socket, "getaddrinfo", hanging)
    cast = Broadcast([TcpTarget("nowhere.example", 1)], tls=None, limit=0.1)
    cast.run("echo", None)
    assert isinstance(cast.answers[0].error, ConnectionFailed)
    waiting = [thread for thread in threading.enumerate() if thread.name == "lookup"]
    given_up.set()
    assert waiting
    for thread in waiting:
        thread.join(DEADLINE)
