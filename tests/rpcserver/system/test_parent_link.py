"""The server's end of the link to whoever started it."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator

import pytest

from rpcserver.system.channel import ParentLink
from rpcwire.control import ServerReady, StartFailed


@pytest.fixture
def ends() -> Iterator[tuple[ParentLink, socket.socket]]:
    ours, theirs = socket.socketpair()
    ours.settimeout(10)
    link = ParentLink(theirs.detach())
    yield link, ours
    link.close()
    ours.close()


def test_events_are_lines_of_json(ends: tuple[ParentLink, socket.socket]) -> None:
    link, other = ends
    link.send(ServerReady(7, ("[::1]:80", "unix:/x"), 3, "sync", None, 0.25))
    link.send(StartFailed("no app\nat all"))
    lines = other.recv(4096).decode().splitlines()
    assert [json.loads(line) for line in lines] == [
        {
            "event": "ready",
            "pid": 7,
            "addresses": ["[::1]:80", "unix:/x"],
            "workers": 3,
            "model": "sync",
            "app": None,
            "seconds": 0.25,
            "control": None,
        },
        {"event": "failed", "message": "no app\nat all", "traceback": None},
    ]


def test_a_long_traceback_keeps_its_end(ends: tuple[ParentLink, socket.socket]) -> None:
    link, other = ends
    link.send(StartFailed("deep", "x" * 1_000_000 + "the end"))
    text = other.makefile("rb").readline()
    assert len(text) < 100_000
    assert json.loads(text)["traceback"].endswith("the end")


def test_nothing_to_read_is_no_end(ends: tuple[ParentLink, socket.socket]) -> None:
    link, _ = ends
    assert link.receive()
    assert not link.keep


def test_keep_may_arrive_in_pieces_and_after_nonsense(ends: tuple[ParentLink, socket.socket]) -> None:
    link, other = ends
    for piece in (b"what?\nke", b"ep", b"\r\n"):
        assert not link.keep
        other.sendall(piece)
        assert link.receive()
    assert link.keep
    other.close()
    assert not link.receive()


def test_an_endless_line_is_not_collected(ends: tuple[ParentLink, socket.socket]) -> None:
    link, other = ends
    for _ in range(50):
        other.sendall(b"x" * 4096)
        assert link.receive()
    other.sendall(b"\nkeep\n")
    assert link.receive()
    assert link.keep


def test_telling_somebody_who_is_gone_does_no_harm(ends: tuple[ParentLink, socket.socket]) -> None:
    link, other = ends
    other.close()
    link.send(StartFailed("too late"))
    assert not link.receive()


def test_the_link_is_not_passed_on(ends: tuple[ParentLink, socket.socket]) -> None:
    assert not os.get_inheritable(ends[0].fileno())


@pytest.mark.parametrize("kind", ["closed", "file"])
def test_what_is_no_socket_is_refused(kind: str) -> None:
    descriptor = os.open(os.devnull, os.O_RDONLY)
    if kind == "closed":
        os.close(descriptor)
    with pytest.raises(ValueError, match="stream socket"):
        ParentLink(descriptor)
    if kind == "file":
        os.close(descriptor)
