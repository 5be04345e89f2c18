"""What goes along with a call: times in order, the bytes that went over the wire, and long silences."""

from __future__ import annotations

import threading

import pytest

from rpcshell.client.client import Client
from rpcshell.client.errors import CallTimeout, ConnectionFailed, ConnectionLost
from rpcshell.client.target import TcpTarget
from rpcshell.client.trace import KEPT, CallTrace
from rpcshell.shell.timing import Timing
from rpcwire import decode_reply, decode_request
from tests.rpcshell.peers import DEADLINE, Peer, echo, free_port, serving

PARTS = ("before", "connect", "send", "wait", "transfer", "after")


def parts_add_up(timing: Timing) -> bool:
    whole: float = sum(getattr(timing, part) for part in PARTS)
    return abs(whole - timing.total) < 1e-6


def test_a_call_leaves_its_times_and_its_bytes() -> None:
    exchange = CallTrace()
    with serving(echo) as server, Client(server.target, timeout=DEADLINE) as client:
        client.exchange("ping", {"a": 1}, trace=exchange)
        exchange.end()
        again = CallTrace()
        client.exchange("ping", 2, trace=again)
        again.end()
    moments = [getattr(exchange, name) for name in ("began", "dialled", "connected", "sending", "sent", "first")]
    assert moments == sorted(moments)
    assert all(moments)
    assert exchange.first <= exchange.last <= exchange.ended
    assert decode_request(exchange.request[4:]).method == "ping"
    reply = decode_reply(b"".join(exchange.received)[4:])
    assert getattr(reply, "result", None) == {"a": 1}
    assert exchange.received_size == len(b"".join(exchange.received))
    timing = Timing.of(exchange, None)
    assert timing.dialled
    assert timing.connect > 0
    assert parts_add_up(timing)
    assert not Timing.of(again, None).dialled
    assert again.ends is None, "nobody looks at the addresses of a call that goes well"


def test_of_what_is_large_only_the_beginning_is_kept() -> None:
    exchange = CallTrace()
    with serving(echo) as server, Client(server.target, timeout=DEADLINE) as client:
        client.exchange("ping", "x" * (3 * KEPT), trace=exchange)
        exchange.end()
    assert exchange.request_size > 3 * KEPT
    assert exchange.received_size > 3 * KEPT
    assert len(exchange.request) == len(b"".join(exchange.received)) == KEPT


def test_what_is_sent_again_has_the_times_of_the_last_attempt() -> None:
    def turn_away(peer: Peer) -> None:
        peer.read()
        peer.send({"close": True})

    exchange = CallTrace()
    with serving(turn_away, echo) as server, Client(server.target, timeout=DEADLINE) as client:
        client.exchange("ping", trace=exchange)
        exchange.end()
    assert exchange.attempts == 2
    assert len(exchange.received) == 1
    timing = Timing.of(exchange, None)
    assert timing.attempts == 2
    assert parts_add_up(timing)


def test_a_silent_call_is_told_of_more_and_more_seldom() -> None:
    told: list[float] = []
    exchange = CallTrace(lambda exchange: told.append(exchange.patience))
    exchange.patience = 0.02
    hold = threading.Event()
    with serving(lambda _: hold.wait(DEADLINE)) as server, Client(server.target, timeout=0.3) as client:
        with pytest.raises(CallTimeout):
            client.exchange("ping", trace=exchange)
        exchange.end()
        port = server.target.port if isinstance(server.target, TcpTarget) else 0
        hold.set()
    assert told == [0.04, 0.08, 0.16]
    assert exchange.ends is not None
    assert exchange.ends[1] == ("127.0.0.1", port)
    timing = Timing.of(exchange, None)
    assert timing.sent
    assert not timing.answered
    assert timing.wait > 0
    assert parts_add_up(timing)


@pytest.mark.parametrize("end", ["refused", "lost"])
def test_a_call_that_fails_tells_how_far_it_got(end: str) -> None:
    exchange = CallTrace()
    if end == "refused":
        client = Client(TcpTarget("127.0.0.1", free_port()))
        with pytest.raises(ConnectionFailed):
            client.exchange("ping", trace=exchange)
    else:
        with (
            serving(lambda peer: peer.read()) as server,
            Client(server.target) as client,
            pytest.raises(ConnectionLost),
        ):
            client.exchange("ping", trace=exchange)
    exchange.end()
    timing = Timing.of(exchange, None)
    assert (timing.connected, timing.sent, timing.attempts) == (
        (False, False, 0) if end == "refused" else (True, True, 1)
    )
    assert parts_add_up(timing)
