"""The thread that asks; the server is real, and its end too."""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable, Iterator

import pytest

from rpcshell.lab.top.feed import Feed, News, Picture, WorkerLog
from rpcshell.servers.control import Control
from rpcshell.servers.spawn import SpawnedServer, SpawnOptions
from tests.servers import needs_server

pytestmark = needs_server


def shown(news: News) -> Picture:
    assert news.picture is not None
    return news.picture


class Watched:
    """A feed, and a way to wait for what it tells."""

    def __init__(self, server: SpawnedServer) -> None:
        self._changed = threading.Condition()
        self.connections = 0
        path = server.control
        assert path is not None

        def connect() -> Control:
            self.connections += 1
            return Control(path, timeout=5)

        self.feed = Feed(connect, self._tell)

    def _tell(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def wait(self, condition: Callable[[News], object]) -> News:
        with self._changed:
            assert self._changed.wait_for(lambda: condition(self.feed.news), 15), self.feed.news
        return self.feed.news


@pytest.fixture
def server() -> Iterator[SpawnedServer]:
    started = SpawnedServer.start(SpawnOptions(2))
    yield started
    started.stop()


@pytest.fixture
def watched(server: SpawnedServer) -> Iterator[Watched]:
    watched = Watched(server)
    watched.feed.start()
    yield watched
    watched.feed.stop()


def test_a_feed_asks_steers_and_survives_the_server(server: SpawnedServer, watched: Watched) -> None:
    feed = watched.feed
    pid = shown(watched.wait(lambda news: news.picture is not None)).status.workers[0].pid
    process = os.pidfd_open(pid)

    feed.kill(1, pid + 1, "KILL")
    assert "nothing was sent" in watched.wait(lambda news: news.said[0] == 1).said[1]
    feed.kill(1, pid, "KILL")
    assert watched.wait(lambda news: news.said[0] == 2).said[1] == f"KILL was sent to worker 1, pid {pid}"
    assert select.select([process], [], [], 10)[0]
    os.close(process)
    watched.wait(lambda news: shown(news).status.totals.died == 1 and len(shown(news).workers) == 2)

    feed.scale(1)
    assert watched.wait(lambda news: news.said[0] == 3).said[1] == "scaling to 3 workers"
    feed.scale(-3)
    assert "the least" in watched.wait(lambda news: news.said[0] == 4).said[1]
    feed.follow_log(2)
    watched.wait(lambda news: news.log == WorkerLog(2))
    feed.follow_log(1)
    log = watched.wait(lambda news: news.log is not None and news.log.worker == 1).log
    assert log is not None
    assert [record.message.partition(";")[0] for record in log.records] == [
        f"worker 1 (pid {pid}) was killed by SIGKILL"
    ]
    feed.reload()
    watched.wait(lambda news: shown(news).status.generation == 1 and not shown(news).status.reloading)
    assert watched.connections == 1

    server.stop()
    lost = watched.wait(lambda news: news.problem)
    assert lost.problem == "it has gone"
    assert lost.picture is not None
    feed.scale(1)
    assert watched.wait(lambda news: news.said[0] == 6).refused


def test_nothing_asks_once_nobody_looks(server: SpawnedServer) -> None:
    watched = Watched(server)
    watched.feed.start()
    watched.wait(lambda news: news.picture is not None)
    assert "top" in [thread.name for thread in threading.enumerate()]
    watched.feed.stop()
    assert "top" not in [thread.name for thread in threading.enumerate()]
