"""The instances of a fleet that are the addresses of a name, and looking up names again and again."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Sequence
from typing import Final

from rpcshell.client.dialling import encoded_host, streams
from rpcshell.client.fleet.instances import Listed
from rpcshell.client.target import DnsTarget, TcpTarget

AGAIN: Final = 5.0
"""Seconds after which names are asked for again that tell nothing of it, or could not be found."""


class Lookups:
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


class AddressSource(Lookups):
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
            return None if away else [], AGAIN
        hosts = sorted({str(address[0]) for _, address in streams(found)})
        return [Listed(TcpTarget(one, port)) for one in hosts], AGAIN
