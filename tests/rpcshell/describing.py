"""Peers that describe themselves, and what a session tells about them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from tests.rpcshell.peers import DEADLINE, Peer

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcshell.shell.session import Session

META = {"worker": 3, "pid": 42, "generation": 0, "model": "sync", "service_us": 5, "served": 1}


def document(*names: str, **extensions: object) -> dict[str, object]:
    """A small OpenRPC document."""
    params = [{"name": "a", "required": True, "schema": {"type": "number"}}]
    methods = [{"name": name, "params": params, **extensions} for name in names]
    return {"openrpc": "1.3.2", "info": {"title": "t", "version": "1"}, "methods": methods}


def offering(*names: str, generation: int = 0, **extensions: object) -> Callable[[Peer], None]:
    """A good server that describes itself."""

    def serve(peer: Peer) -> None:
        while (request := peer.read()) is not None:
            if request["in"] == "rpc.discover":
                peer.send({"out": "discovered", "result": document(*names, **extensions)})
            else:
                meta = {"meta": {**META, "generation": generation}} if request.get("meta") else {}
                peer.send({"out": "pong", "result": request.get("params"), **meta})

    return serve


class Told:
    """What a session told its frontend, and a way to wait for it."""

    def __init__(self, session: Session) -> None:
        self.notes: list[str] = []
        self._changed = threading.Condition()
        session.on_note(self._note)
        session.on_change(self._notify)

    def _note(self, text: str) -> None:
        self.notes.append(text)
        self._notify()

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def wait_until(self, condition: Callable[[], object]) -> None:
        with self._changed:
            assert self._changed.wait_for(condition, DEADLINE), self.notes
