"""Registering the server in ZooKeeper: as what, and the companion process that keeps it there.

kazoo has threads, which the arbiter must not have, and does not survive a fork; it is imported in the companion alone
(`registry_session`). What shall be registered, the arbiter decides (`rpcserver.arbiter.registration`).
"""

from __future__ import annotations

from functools import partial
from ipaddress import ip_address
from socket import AF_UNIX
from typing import TYPE_CHECKING

from rpcserver.arbiter.registration import Place, Registration
from rpcserver.ops.registry_access import RegistryAccess
from rpcserver.system.addresses import NATIVE, TcpBind, is_wildcard, with_framing
from rpcserver.system.settings import SettingsError
from rpcwire.serverset import Endpoint, ServersetAddress, member_name

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from rpcserver.arbiter.registration import Registrar
    from rpcserver.system.settings import ServerSettings
    from rpcserver.system.sockets import Listener


def place_of(
    settings: ServerSettings,
    listeners: Sequence[Listener],
    address: ServersetAddress,
    metrics: Sequence[Listener] = (),
) -> Place:
    """Say as what a server that listens there, and has metrics there, is registered.

    Raises:
        SettingsError: it listens at no address, or at several, that clients on other machines could connect to.
    """
    listener = _advertised(listeners, settings.advertise)
    host, port = listener.socket.getsockname()[:2]
    if settings.advertise is not None:
        host, port = settings.advertise.host, settings.advertise.port or port
    elif is_wildcard(host):
        reason = f"{listener.address} is no address that clients could connect to"
        raise SettingsError(f"--register needs --advertise HOST:PORT, since {reason}")
    endpoint, tls = Endpoint(host, port), settings.tls_cert is not None
    written = with_framing(f"{'tls://' if tls else ''}{endpoint}", listener.framing)
    return Place(str(address), endpoint, written, tls, _seen_from_elsewhere(metrics, host))


def registrar(
    settings: ServerSettings, listeners: Sequence[Listener], address: ServersetAddress, metrics: Sequence[Listener]
) -> Registrar:
    """Prepare the registration of a server that listens there, and has metrics there, for an arbiter.

    Raises:
        RegistryUnavailable: a package is missing.
        SettingsError: it listens at no address that clients could connect to, or the file of credentials is not fit.
        TlsError: a file for TLS cannot be used.
    """
    access = RegistryAccess(settings, address)
    place = place_of(settings, listeners, address, metrics)
    name = member_name(place.endpoint)

    def keep(end: socket.socket) -> int:
        from rpcserver.ops.registry_session import keep_registered

        return keep_registered(end, access, name)

    return partial(Registration, place, settings.model, keep)


def _seen_from_elsewhere(metrics: Sequence[Listener], host: str) -> Endpoint | None:
    """Where clients of a server with that host find its metrics; None where they cannot."""
    for listener in metrics:
        bound, port = listener.socket.getsockname()[:2]
        if is_wildcard(bound) or bound == host:
            return Endpoint(host, port)
        if not ip_address(bound.partition("%")[0]).is_loopback:
            return Endpoint(bound, port)
    return None


def _advertised(listeners: Sequence[Listener], advertise: TcpBind | None) -> Listener:
    """Find the listener that clients of the registry are sent to."""
    over_tcp = [listener for listener in listeners if listener.socket.family != AF_UNIX]
    if not over_tcp:
        raise SettingsError("--register needs a TCP address: no other machine can connect to a Unix socket")
    named = over_tcp
    if advertise is not None and advertise.port:
        named = [found for found in over_tcp if found.socket.getsockname()[1] == advertise.port] or over_tcp
    if len({found.framing for found in named}) > 1 or (len(named) > 1 and advertise is None):
        addresses = ", ".join(listener.address for listener in over_tcp)
        raise SettingsError(f"--register needs --advertise HOST:PORT, to choose one of {addresses}")
    ports = {found.socket.getsockname()[1] for found in named}
    if advertise is not None and not advertise.port and len(ports) > 1:
        raise SettingsError(f"--advertise {advertise.host} needs a port, one of {', '.join(map(str, sorted(ports)))}")
    return min(named, key=lambda found: found.framing != NATIVE)
