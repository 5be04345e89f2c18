"""A session's tie to one target: the client, the catalog, and the lock that lets one thread at a time use them.

When to ask for the catalog and whom to tell about it is the session's decision.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcshell.client.client import Client
    from rpcshell.line.catalog import Catalog, Method
    from rpcshell.servers.state import TargetMemory
    from rpcshell.shell.address_book import Destination
    from rpcshell.shell.discovery import Discovery

__all__ = ["Link"]


class Link:
    """A client and what its target has told about itself.

    Attributes:
        client: The client; to be used with `lock` held.
        name: What the user calls the target.
        timeout: Seconds for a call to it, or None for no limit of its own.
        lock: Held by whoever uses the client.
        catalog: What the target offers, replaced whole, or None until it has told.
        described: Set once it is known whether the target describes itself.
        refreshing: Whether the target is being asked.
        generation: Of the worker that served last, where that is known.

    Args:
        client: Leads to the target.
        memory: Gives the place where plain targets are remembered, or None for nowhere.
        where: The target as it was found.
    """

    def __init__(self, client: Client, memory: Callable[[], TargetMemory] | None, where: Destination) -> None:
        self.client = client
        self.name = where.name
        self.timeout = where.timeout
        self.lock = threading.Lock()
        self.catalog: Catalog | None = None
        self.described = threading.Event()
        self.refreshing = False
        self.generation: int | None = None
        self._memory = memory
        self._retired = False

    def method(self, name: str) -> Method | None:
        """What the target has told about a method."""
        return self.catalog.methods.get(name) if self.catalog else None

    def describe(self, *, probe_again: bool) -> Discovery:
        """Ask the target what it offers, after whatever uses the client now.

        Args:
            probe_again: Ask even a target that could not say before.
        """
        with self.lock:
            self.refreshing = True
            return self._ask(probe_again)

    def describe_in_background(self, done: Callable[[Link, Discovery], None], *, probe_again: bool) -> None:
        """Ask the target what it offers in a thread; calls that begin from now on wait for it.

        Args:
            done: Called from the thread afterwards.
            probe_again: Ask even a target that could not say before.
        """
        begun = threading.Event()

        def run() -> None:
            try:
                with self.lock:
                    self.refreshing = True
                    begun.set()
                    found = self._ask(probe_again)
            finally:
                # Not before the lock is free: `retire` may have tried it until then.
                if self._retired:
                    self.retire()
            done(self, found)

        threading.Thread(target=run, name="catalog", daemon=True).start()
        # No call may come before the probe. An interrupt here leaves the lock to the thread that took it.
        begun.wait()

    def retire(self) -> None:
        """Close the connection, or leave that to the thread that is using it."""
        self._retired = True
        if self.lock.acquire(blocking=False):
            try:
                self.client.close()
            finally:
                self.lock.release()

    def _ask(self, probe_again: bool) -> Discovery:
        from rpcshell.shell.discovery import describe

        try:
            if probe_again:
                self.client.plain = False
            found = describe(self.client, self._memory and self._memory(), probe_again=probe_again)
            self.catalog = found.catalog
            self.client.plain = found.plain
        finally:
            self.refreshing = False
            self.described.set()
        return found
