"""Telling who waits for it that the server has started: the log, a service manager, and the process that started it."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

from rpcserver.arbiter.slots import number_of_workers
from rpcserver.system.settings import default_workers
from rpcwire.control import ServerReady
from rpcwire.worker_models import MODELS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rpcserver.system.channel import ParentLink
    from rpcserver.system.settings import ServerSettings
    from rpcserver.system.systemd import Notifier

logger = logging.getLogger(__name__)


def announce(
    settings: ServerSettings,
    addresses: Sequence[str],
    control: str | None,
    workers: tuple[int, int],
    *,
    seconds: float,
    notifier: Notifier,
    parent: ParentLink | None,
) -> None:
    """Say where the server listens, and by how many workers it serves.

    Args:
        settings: what it serves, and how.
        addresses: where it listens.
        control: the control socket.
        workers: how many serve, and how many there shall be.
        seconds: how long the start took.
        notifier: tells the service manager.
        parent: the process that started the server.
    """
    serving, wanted = workers
    said = number_of_workers(wanted)
    if serving < wanted:
        said = f"{serving} of {said}"
    logger.info("listening on %s, %s (%s), pid %d", ", ".join(addresses), said, settings.model, os.getpid())
    model = MODELS[settings.model]
    best = default_workers(concurrent=model.concurrent)
    # In model fork the processes of connections take all processors, however many workers there are.
    if wanted > best and model.concurrent and not model.forks:
        logger.info("model %s is at its best with one worker a processor: %d here", settings.model, best)
    if control is not None:
        logger.info("control socket: %s", control)
    notifier.ready(said)
    if parent is not None:
        ready = ServerReady(
            os.getpid(), tuple(addresses), serving, settings.model, settings.app, round(seconds, 3), control
        )
        parent.send(ready)
