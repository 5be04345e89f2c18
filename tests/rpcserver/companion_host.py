"""An arbiter as far as companions know it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from rpcserver.arbiter.companion import Companions
from rpcserver.system.log import LineHandler
from rpcserver.system.loop import Reactor
from rpcserver.system.process import Closeable
from tests.servers import PATIENCE


class CompanionHost:
    """Its loop, its log and its companions, which must not hold what is `private`."""

    def __init__(self, log: Path = Path(os.devnull), *private: Closeable) -> None:
        self.log = log
        self._descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self.handler = LineHandler(self._descriptor, as_json=False, path=log)
        self.reactor = Reactor()
        self.companions = Companions(self.reactor, self.handler, lambda: [self.reactor, *private])

    def run_until(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline
            self.turn(0.02)

    def turn(self, seconds: float) -> None:
        """Let the loop go round once, and wait no longer than that."""
        self.reactor.wait(seconds)
        self.companions.run_due(time.monotonic())

    def close(self) -> None:
        self.companions.stop()
        self.reactor.close()
        os.close(self._descriptor)
