"""Watching a server that is restarted, falls silent, or is looked at by a thread that shall end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rpcshell.client.errors import ConnectionFailed, ConnectionLost
from rpcshell.servers.control import Control
from rpcshell.servers.spawn import SpawnedServer, SpawnOptions
from rpcshell.servers.watch import LocalServerWatch
from tests.servers import needs_server

PATIENCE = 15.0


@pytest.fixture
def spawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], SpawnedServer]]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    started: list[SpawnedServer] = []

    def spawn() -> SpawnedServer:
        started.append(SpawnedServer.start(SpawnOptions(1)))
        return started[-1]

    yield spawn
    for server in started:
        server.stop(drain=0)


@needs_server
@pytest.mark.usefixtures("forked")
def test_a_watch_hands_on_what_is_new_and_goes_on_with_a_restarted_server(spawn: Callable[[], SpawnedServer]) -> None:
    servers = [spawn()]
    with LocalServerWatch(lambda: Control(str(servers[-1].control))) as watch:
        pid = watch.status().pid
        assert [event.kind for event in watch.new_events().events][:2] == ["forked", "ready"]
        assert watch.new_events().events == []
        assert len(watch.new_log(100).lines) > 0
        assert watch.new_log(100).lines == []
        watch.control.reload()
        assert "reloading" in {event.kind for event in watch.new_events().events}

        servers[0].stop(drain=0)
        with pytest.raises((ConnectionFailed, ConnectionLost)):
            watch.status()
        assert watch.status_if_told() is None

        servers.append(spawn())
        assert watch.status().pid == servers[1].pid != pid
        assert [event.kind for event in watch.new_events().events][:2] == ["forked", "ready"]


class Counted:
    """Counts looks, and lets a test wait for them."""

    def __init__(self) -> None:
        self.looks = 0
        self._changed = threading.Condition()

    def __call__(self) -> None:
        with self._changed:
            self.looks += 1
            self._changed.notify_all()

    def wait_for(self, looks: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.looks >= looks, PATIENCE)


def nowhere() -> Control:
    raise ConnectionRefusedError


def test_a_thread_looks_at_once_in_its_rhythm_and_when_it_is_told_to() -> None:
    look = Counted()
    often, seldom = LocalServerWatch(nowhere), LocalServerWatch(nowhere)
    often.start(look, 0.001, "often")
    look.wait_for(5)
    often.stop(PATIENCE)

    look = Counted()
    seldom.start(look, 3600, "seldom")
    look.wait_for(1)
    seldom.look_now()
    look.wait_for(2)
    seldom.look_now()
    seldom.stop(PATIENCE)
    assert look.looks == 3, "what was asked for before the end is still done"
    assert {"often", "seldom"}.isdisjoint(thread.name for thread in threading.enumerate())


def test_a_look_may_end_its_own_thread() -> None:
    watch = LocalServerWatch(nowhere)
    watch.run(watch.stop, 3600)
