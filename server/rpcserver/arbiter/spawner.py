"""Making workers, and stems that make workers: the fork, and what the child lets go of before it becomes one.

When one is made is the arbiter's decision; what it does then is in `rpcserver.workers`.
"""

from __future__ import annotations

import importlib
import logging
import os
from typing import TYPE_CHECKING

from rpcserver.service.loader import LoadedApp, load_service
from rpcserver.system.channel import ArbiterEnd, open_channel
from rpcserver.system.errors import ServerError
from rpcserver.system.inherited import named_folder
from rpcserver.system.process import ChildProcess, Forker
from rpcserver.workers import load_model
from rpcserver.workers.base import WorkerSetup, be_worker

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable, Sequence

    from rpcserver.system.log import LineHandler
    from rpcserver.system.process import Closeable
    from rpcserver.system.scoreboard import Scoreboard, SlotBoard
    from rpcserver.system.settings import ServerSettings
    from rpcserver.system.sockets import Listener
    from rpcserver.system.stem_link import StemEnd, StemLink
    from rpcserver.system.tls import ServerTls

logger = logging.getLogger(__name__)


class Spawner:
    """Makes workers of one server.

    It imports the worker model and whatever else workers need, so that they share its memory. Each worker enters the
    current folder by its name, and so the release that a link in that names by then.
    """

    def __init__(
        self, settings: ServerSettings, listeners: Sequence[Listener], logs: LineHandler, tls: ServerTls | None
    ) -> None:
        self._settings = settings
        self._tls = tls
        self._listeners = listeners
        self._logs = logs
        self._model = load_model(settings.model)
        if settings.access_log:
            importlib.import_module("rpcserver.service.access")
        if settings.proxy_protocol is not None:
            importlib.import_module("rpcserver.workers.proxied")
        # The demo is no user's code, and stays as it is.
        self._app = LoadedApp.of(load_service(None), None) if settings.app is None else None
        self._forker = Forker()
        self._folder = named_folder()

    def spawn(
        self, number: int, generation: int, board: SlotBoard, private: Iterable[Closeable]
    ) -> tuple[ChildProcess, ArbiterEnd]:
        """Fork a worker, which must not hold what is `private`: the arbiter's own and its ways to other processes.

        Raises:
            OSError: there is no process or no descriptor left.
        """
        arbiter_end, worker_end = open_channel()

        def become_worker() -> int:
            self._enter((*private, arbiter_end))
            setup = WorkerSetup(
                worker=number,
                generation=generation,
                settings=self._settings,
                listeners=self._listeners,
                channel=worker_end,
                logs=self._logs,
                board=board,
                tls=self._context,
                app=self._app,
            )
            return be_worker(self._model, setup)

        return self._fork(become_worker, arbiter_end, worker_end), arbiter_end

    def spawn_stem(
        self, generation: int, board: Scoreboard, private: Iterable[Closeable], link: StemLink, end: StemEnd
    ) -> ChildProcess:
        """Fork a stem at the end of a link, as `spawn` forks a worker.

        Raises:
            OSError: there is no process or no descriptor left.
        """
        # Only `--preload` has one.
        from rpcserver.workers.stem import Stem, StemSetup

        arbiter = os.getpid()

        def become_stem() -> int:
            self._enter((*private, link))
            setup = StemSetup(
                arbiter,
                generation,
                self._settings,
                self._listeners,
                end,
                self._logs,
                board,
                self._forker,
                self._model,
                self._context,
            )
            return Stem(setup).main()

        return self._fork(become_stem, link, end)

    def adopt_workers(self) -> None:
        """Become the parent of the workers that stems fork.

        Raises:
            ServerError: the kernel does not know of that.
        """
        try:
            self._forker.adopt_orphans()
        except OSError as error:
            raise ServerError(f"this kernel cannot do --preload: start without it ({error.strerror})") from error

    @property
    def _context(self) -> ssl.SSLContext | None:
        return None if self._tls is None else self._tls.context

    def _fork(self, main: Callable[[], int], ours: Closeable, theirs: Closeable) -> ChildProcess:
        try:
            return self._forker.fork(main)
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()

    def _enter(self, private: Iterable[Closeable]) -> None:
        for own in private:
            own.close()
        try:
            os.chdir(self._folder)
        except OSError as error:
            logger.warning("the app is loaded where the server was started: %s: %s", self._folder, error.strerror)
