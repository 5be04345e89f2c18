"""Real servers of one service that are registered in ZooKeeper, for tests that replace, stop and kill them."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Sequence
from pathlib import Path

from tests.servers import Server, running
from tests.zookeeper import Serverset

SYNC_WORKERS = 4
"""Workers of a server whose workers serve one connection each."""


class Fleet:
    """Servers of one service on machines of their own, 127.0.0.2 and so on.

    Args:
        serverset: where they register.
        folder: where they have their files.
        models: of each.
        opened: ends them.
        options: more of their command lines.
        app: what they serve.
    """

    def __init__(
        self,
        serverset: Serverset,
        folder: Path,
        models: Sequence[str],
        opened: contextlib.ExitStack,
        *options: str,
        app: str,
    ) -> None:
        self.serverset = serverset
        self._folder = folder
        self._models = models
        self._opened = opened
        self._options = options
        self._app = app
        self.servers = [self._start(number, 0) for number in range(len(models))]
        self.wait_until_registered()

    @property
    def addresses(self) -> list[str]:
        return [server.addresses[0] for server in self.servers]

    def _start(self, number: int, port: int) -> Server:
        model = self._models[number % len(self._models)]
        folder = self._folder / str(number)
        folder.mkdir(exist_ok=True)
        workers = str(SYNC_WORKERS if model == "sync" else 2)
        options = ("-m", model, "-w", workers, "--register", self.serverset.url, *self._options)
        serving = running(*options, app=self._app, folder=folder, bind=[f"127.0.0.{number + 2}:{port}"])
        return self._opened.enter_context(serving)

    def wait_until_registered(self, *but: Server) -> None:
        """Wait until exactly its servers are there, `but` for some."""
        self.serverset.wait_for_addresses(*(one.addresses[0] for one in self.servers if one not in but))

    def add(self) -> Server:
        """Start one more server."""
        self.servers.append(self._start(len(self.servers), 0))
        self.wait_until_registered()
        return self.servers[-1]

    def succeed(self, number: int) -> None:
        """Start another server, elsewhere, in place of one that is gone."""
        self.servers[number] = self._start(number, 0)
        self.wait_until_registered()

    def replace(self, number: int) -> None:
        """Stop a server, and start another in its place."""
        former = self.servers[number]
        former.signal(signal.SIGTERM)
        assert former.wait() == 0
        self.servers[number] = self._start(number, int(former.addresses[0].rpartition(":")[2]))
        self.wait_until_registered()
