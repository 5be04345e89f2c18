"""The instances of a fleet that the DNS knows, by SRV records or as the addresses of a name.

https://datatracker.ietf.org/doc/html/rfc2782
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Sequence
from typing import Final

from rpcshell.client.dialling import encoded_host, streams
from rpcshell.client.errors import UsageError
from rpcshell.client.fleet.instances import Listed
from rpcshell.client.target import DnsTarget, SrvTarget, TcpTarget, TlsTarget

_AGAIN: Final = 5.0
"""Seconds after which names are asked for again that tell nothing of it, or could not be found."""

_SOONEST: Final = 1.0
_LATEST: Final = 30.0


class _Lookups:
    """Looks up again and again, in a thread of its own, as `Source` says."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._stopped = threading.Event()
        self._problem = f"the DNS does not answer for {name}"

    def start(self, tell: Callable[[Sequence[Listed]], object]) -> None:
        """Begin, as `Source` says."""
        threading.Thread(target=self._run, args=(tell,), name=f"look up {self._name}", daemon=True).start()

    def problem(self) -> str:
        """Why nothing was told yet."""
        return self._problem

    def stop(self) -> None:
        """End, as `Source` says."""
        self._stopped.set()

    def abandon(self) -> None:
        """Let go of it in a process that was forked: its thread is the parent's."""

    def _run(self, tell: Callable[[Sequence[Listed]], object]) -> None:
        told: Sequence[Listed] | None = None
        again = 0.0
        while not self._stopped.wait(again):
            found, again = self._look_up()
            if found is not None and found != told and not self._stopped.is_set():
                told = found
                tell(found)

    def _look_up(self) -> tuple[Sequence[Listed] | None, float]:
        """The instances, None where that is not known, and the seconds after which to ask again."""
        raise NotImplementedError


class AddressSource(_Lookups):
    """Watches the addresses of a name, which getaddrinfo(3) finds: in the DNS, or wherever this machine looks."""

    def __init__(self, target: DnsTarget) -> None:
        super().__init__(target.host)
        self._target = target

    def _look_up(self) -> tuple[Sequence[Listed] | None, float]:
        host, port = self._target.host, self._target.port
        try:
            found = socket.getaddrinfo(encoded_host(TcpTarget(host, port)), port, type=socket.SOCK_STREAM)
        except (UnicodeError, socket.gaierror) as error:
            away = isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN
            return None if away else [], _AGAIN
        hosts = sorted({str(address[0]) for _, address in streams(found)})
        return [Listed(TcpTarget(one, port)) for one in hosts], _AGAIN


class SrvSource(_Lookups):
    """Watches the SRV records of a service, for as long as each answer holds."""

    def __init__(self, target: SrvTarget) -> None:
        super().__init__(target.name)
        self._target = target
        try:
            import dns.resolver  # noqa: F401 - it is an extra, and found to be missing here
        except ModuleNotFoundError:
            hint = "pip install 'rpcshell[dns]'"
            raise UsageError("SRV records are looked up with dnspython, which is not installed", hint=hint) from None

    def _look_up(self) -> tuple[Sequence[Listed] | None, float]:
        import dns.exception
        import dns.resolver

        try:
            answer = dns.resolver.resolve(self._target.name, "SRV")
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return [], _AGAIN
        except (dns.exception.DNSException, OSError) as error:
            self._problem = " ".join(f"{self._target.name} cannot be found: {error}".split())
            return None, _AGAIN
        kind = TlsTarget if self._target.tls else TcpTarget
        found = [
            # A target of "." says that there is none.
            Listed(kind(host, record.port), weight=record.weight, priority=record.priority)
            for record in answer
            if (host := record.target.to_text(omit_final_dot=True)) not in (".", "@", "") and record.port
        ]
        seconds = min(max(float(answer.rrset.ttl if answer.rrset else _AGAIN), _SOONEST), _LATEST)
        return sorted(found, key=str), seconds
