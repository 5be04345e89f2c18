"""The instances of a fleet that SRV records in the DNS name. It takes dnspython, which is an extra.

https://datatracker.ietf.org/doc/html/rfc2782
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import dns.exception
import dns.resolver

from rpcshell.client.fleet.dns_source import AGAIN, Lookups
from rpcshell.client.fleet.instances import Listed
from rpcshell.client.target import SrvTarget, TcpTarget, TlsTarget

_SOONEST: Final = 1.0
_LATEST: Final = 30.0


class SrvSource(Lookups):
    """Watches the SRV records of a service, for as long as each answer holds.

    Raises:
        UsageError: dnspython is not installed.
    """

    def __init__(self, target: SrvTarget) -> None:
        super().__init__(target.name)
        self._target = target

    def _look_up(self) -> tuple[Sequence[Listed] | None, float]:
        try:
            answer = dns.resolver.resolve(self._target.name, "SRV")
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return [], AGAIN
        except (dns.exception.DNSException, OSError) as error:
            self._problem = " ".join(f"{self._target.name} cannot be found: {error}".split())
            return None, AGAIN
        kind = TlsTarget if self._target.tls else TcpTarget
        found = [
            # A target of "." says that there is none.
            Listed(kind(host, record.port), weight=record.weight, priority=record.priority)
            for record in answer
            if (host := record.target.to_text(omit_final_dot=True)) not in (".", "@", "") and record.port
        ]
        seconds = min(max(float(answer.rrset.ttl if answer.rrset else AGAIN), _SOONEST), _LATEST)
        return sorted(found, key=str), seconds
