"""Where the instances of a fleet come from: a list is there at once, registries are watched by a `Source`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from rpcshell.client.errors import UsageError
from rpcshell.client.fleet.dns_source import AddressSource
from rpcshell.client.fleet.instances import Listed
from rpcshell.client.target import DnsTarget, FleetTarget, ListTarget, ServersetTarget, SrvTarget, TlsFiles


class Source(Protocol):
    """Watches a registry, in threads of its own, for one process."""

    def start(self, tell: Callable[[Sequence[Listed]], object]) -> None:
        """Begin; `tell` is given all instances, at first and whenever they are others, also if there are none."""

    def problem(self) -> str:
        """Why nothing was told yet, in a few words."""

    def stop(self) -> None:
        """End; nothing is told from now on. It may not wait for whoever is telling."""

    def abandon(self) -> None:
        """Let go of it in a process that was forked, and leave the parent's as it is."""


def listed_in(target: FleetTarget) -> tuple[Listed, ...]:
    """The instances that a target names by itself."""
    return tuple(map(Listed, target.targets)) if isinstance(target, ListTarget) else ()


def source_of(target: FleetTarget, tls: TlsFiles | None) -> Source | None:
    """What watches the registry of a target, or None where it has none.

    Raises:
        UsageError: A package is missing for it, which is named, or its file of credentials cannot be used.
        TlsFailed: A file for TLS to the registry cannot be used.
    """
    match target:
        case ServersetTarget():
            try:
                from rpcshell.client.fleet.serverset_source import ServersetSource
            except ModuleNotFoundError as error:
                raise _missing(error, "kazoo", "ZooKeeper is asked with kazoo", "zookeeper") from None
            return ServersetSource(target, tls)
        case SrvTarget():
            try:
                from rpcshell.client.fleet.srv_source import SrvSource
            except ModuleNotFoundError as error:
                raise _missing(error, "dns", "SRV records are looked up with dnspython", "dns") from None
            return SrvSource(target)
        case DnsTarget():
            return AddressSource(target)
    return None


def _missing(error: ModuleNotFoundError, package: str, what: str, extra: str) -> Exception:
    """What to tell of a package that is not installed; the error itself where it is about another one."""
    if (error.name or "").partition(".")[0] != package:
        return error
    return UsageError(f"{what}, which is not installed", hint=f"pip install 'rpcshell[{extra}]'")
