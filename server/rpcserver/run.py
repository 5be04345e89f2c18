"""Putting a server together from its settings, and running it until it stops.

The `rpcserver` command and the testing kit both run their servers here; why one does not start, each says in its own
way.
"""

from __future__ import annotations

import contextlib
import logging
from functools import partial
from typing import TYPE_CHECKING, Final

from rpcserver.arbiter.arbiter import Arbiter
from rpcserver.arbiter.control import ControlSocket, open_control
from rpcserver.service.loader import LoadedApp, load_service
from rpcserver.system.addresses import BindError
from rpcserver.system.errors import ServerError
from rpcserver.system.inherited import named_folder
from rpcserver.system.sockets import open_listeners
from rpcserver.system.systemd import Notifier, inherited_listeners

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rpcserver.arbiter.companion import Duty
    from rpcserver.arbiter.control import Answer
    from rpcserver.arbiter.health import HealthServer, Judge
    from rpcserver.arbiter.registration import Registrar
    from rpcserver.system.channel import ParentLink
    from rpcserver.system.log import LineHandler
    from rpcserver.system.loop import Reactor
    from rpcserver.system.settings import ServerSettings
    from rpcserver.system.sockets import Listener
    from rpcserver.system.tls import ServerTls

logger = logging.getLogger(__name__)

_HEALTH_BACKLOG: Final = 64


def run_server(
    settings: ServerSettings, logs: LineHandler, parent: ParentLink | None, *, started: float, managed: bool
) -> None:
    """Run a server until it is stopped.

    The program has `started` at that time, in monotonic seconds; a service manager's environment is heeded where the
    server is `managed`.

    Raises:
        TlsError: a certificate or a key cannot be used.
        BindError: an address cannot be listened on.
        MetricsUnavailable, WatchUnavailable, RegistryUnavailable: what the settings ask for cannot be had.
        SettingsError: the settings do not say as what the server is registered, or by whom.
        BootError: a worker did not become ready.
        ServerError: there is no descriptor left.
    """
    tls = _tls(settings)
    metrics, made = _metrics(settings)
    made += _reload(settings)
    # A server that does not start leaves no socket behind.
    with contextlib.ExitStack() as opened:
        try:
            health = _health(settings, opened)
            listeners = (inherited_listeners() if managed else []) or open_listeners(
                settings.bind, backlog=settings.backlog, unix_mode=settings.unix_mode
            )
            _close_all_with(opened, listeners)
            arbiter = Arbiter(
                settings,
                listeners,
                logs,
                parent=parent,
                control=_control(settings, opened),
                health=health,
                registration=_registrar(settings, listeners, metrics),
                notifier=Notifier.from_environment() if managed else Notifier(),
                tls=tls,
                started=started,
            )
        except OSError as error:
            # What can be said of an address or a file is an error of its own by now.
            raise ServerError(f"the server cannot start: {error}") from error
        opened.pop_all()
    for make in made:
        arbiter.companions.add(make(arbiter))
    arbiter.run()


def check_server(settings: ServerSettings) -> str:
    """Say in one line what would be served where: import it and read the certificates, without listening anywhere.

    Raises:
        AppNotFound, AppFailed: the app cannot be loaded.
        ServiceError: a handler cannot be served as it is written.
        TlsError: a certificate or a key cannot be used.
        MetricsUnavailable, WatchUnavailable, RegistryUnavailable: what the settings ask for cannot be had.
        SettingsError: the file that says by whom the server is registered cannot be used.
    """
    _tls(settings)
    _check_companions(settings)
    methods = len(LoadedApp.of(load_service(settings.app), settings.app).service.methods())
    served = f"{settings.app or 'the demo'}, {methods} {'method' if methods == 1 else 'methods'}"
    workers = f"{settings.workers} {settings.model} {'worker' if settings.workers == 1 else 'workers'}"
    return f"ok: {served}, {workers} on {', '.join(map(str, settings.bind))}"


def _check_companions(settings: ServerSettings) -> None:
    if settings.metrics is not None:
        from rpcserver.ops.metrics import check_metrics

        check_metrics()
    if settings.reload:
        from rpcserver.ops.watch import watched_by

        watched_by(settings.app, named_folder())
    if settings.register is not None:
        from rpcserver.ops.registry_access import RegistryAccess

        RegistryAccess(settings, settings.register)


def _tls(settings: ServerSettings) -> ServerTls | None:
    if settings.tls_cert is None:
        return None
    from rpcserver.system.tls import ServerTls

    # Read again at a reload, when the folder's name may lead elsewhere.
    folder = named_folder()
    key, client_ca = (None if file is None else folder / file for file in (settings.tls_key, settings.tls_client_ca))
    return ServerTls(folder / settings.tls_cert, key, client_ca)


def _close_all_with(opened: contextlib.ExitStack, listeners: Sequence[Listener]) -> None:
    for listener in listeners:
        opened.callback(listener.close)


def _health(settings: ServerSettings, opened: contextlib.ExitStack) -> Callable[[Reactor, Judge], HealthServer] | None:
    """Listen for balancers, and prepare what answers them, where the settings ask for that."""
    if settings.health is None:
        return None
    from rpcserver.arbiter.health import HealthServer

    listeners = open_listeners([settings.health], backlog=_HEALTH_BACKLOG, unix_mode=settings.unix_mode)
    _close_all_with(opened, listeners)
    return partial(HealthServer, listeners)


def _metrics(settings: ServerSettings) -> tuple[Sequence[Listener], list[Callable[[Arbiter], Duty]]]:
    """Listen for scrapers, and prepare the companion that answers them, where the settings ask for that."""
    if settings.metrics is None:
        return (), []
    from rpcserver.ops.metrics import arbiters_metrics, open_metrics

    listeners = open_metrics(settings.metrics)
    return listeners, [partial(arbiters_metrics, listeners)]


def _reload(settings: ServerSettings) -> list[Callable[[Arbiter], Duty]]:
    """Prepare the companion that watches files, where the settings ask for that."""
    if not settings.reload:
        return []
    from rpcserver.ops.watch import watch_duty, watched_by, write_no_bytecode

    find = partial(watched_by, settings.app, named_folder())
    find()
    write_no_bytecode()
    return [lambda arbiter: watch_duty(find, arbiter.reload)]


def _registrar(
    settings: ServerSettings, listeners: Sequence[Listener], metrics: Sequence[Listener]
) -> Registrar | None:
    if settings.register is None:
        return None
    from rpcserver.ops.registrar import registrar

    return registrar(settings, listeners, settings.register, metrics)


def _control(settings: ServerSettings, opened: contextlib.ExitStack) -> ControlSocket | None:
    """Open the control socket; where nobody has asked for one in so many words, the server can do without."""
    try:
        listener = open_control(settings.control)
    except BindError as error:
        if settings.control != "auto":
            raise
        logger.warning("there will be no control socket: %s", error)
        return None
    if listener is None:
        return None
    _close_all_with(opened, [listener])
    return ControlSocket(listener, settings.control, _answer_for)


def _answer_for(arbiter: Arbiter) -> Answer:
    # When the first client asks for something, and the workers have started.
    from rpcserver.arbiter.control_service import control_answer

    return control_answer(arbiter)
