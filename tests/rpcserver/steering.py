"""Steers a server through its control socket, and waits for what it says there."""

from __future__ import annotations

import contextlib
import os
import select
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.servers import PATIENCE, Client, Server, connected


@contextlib.contextmanager
def steering(server: Server) -> Iterator[Steering]:
    """A connection to a server's control socket."""
    with control_client(server) as client:
        yield Steering(client)


def control_client(server: Server) -> Client:
    return Client(connected(server.ready["control"]))


def control_path(server: Server) -> str:
    return str(server.ready["control"]).removeprefix("unix:")


class Steering:
    """Calls the methods of the control socket."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def call(self, method: str, **params: Any) -> Any:
        reply = self.client.call(method, params)
        assert reply.fault is None, reply.fault
        return reply.result

    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = self.call("arbiter.status")
        return status

    def workers(self) -> list[dict[str, Any]]:
        workers: list[dict[str, Any]] = self.status()["workers"]
        return workers

    def ready(self, workers: int, gone: int | None = None) -> list[int]:
        """Wait until there are so many workers, all ready, and one is gone; returns their pids."""
        status = self.wait_until(
            lambda status: (
                [worker["state"] for worker in status["workers"]] == ["ready"] * workers
                and gone not in [worker["pid"] for worker in status["workers"]]
            )
        )
        return [worker["pid"] for worker in status["workers"]]

    def stem(self, after: int | None = None) -> int:
        """Wait until one stem has the app loaded, another one than the one with that pid, and return its pid."""
        status = self.wait_until(
            lambda status: (
                [stem["state"] for stem in status["stems"] if stem["state"] != "retired"] == ["ready"]
                and after not in [stem["pid"] for stem in status["stems"]]
            )
        )
        [pid] = [stem["pid"] for stem in status["stems"] if stem["state"] == "ready"]
        return int(pid)

    def wait_until(self, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Ask for the status until it is as wanted, and return it."""
        deadline = time.monotonic() + PATIENCE
        while not holds(status := self.status()):
            assert time.monotonic() < deadline, status
            # It has other things to do, and so have others on this machine.
            select.select([self.client.socket], [], [], 0.005)
        return status


class Gate:
    """A pair of FIFOs for the probe's `gate`: a call says that it has begun, and waits to be let through.

    Both are held open for reading and writing, so that nobody waits in open(2), where a signal to the worker at the
    wrong moment would let one side believe that the other is there.
    """

    def __init__(self, folder: Path, name: str = "gate") -> None:
        self.entered = folder / f"{name}-entered"
        self.leave = folder / f"{name}-leave"
        os.mkfifo(self.entered)
        os.mkfifo(self.leave)
        self._entered = os.open(self.entered, os.O_RDWR | os.O_NONBLOCK)
        self._leave = os.open(self.leave, os.O_RDWR | os.O_NONBLOCK)
        weakref.finalize(self, _close, self._entered, self._leave)

    @property
    def params(self) -> list[str]:
        return [str(self.entered), str(self.leave)]

    def wait(self) -> None:
        """Wait until a call has begun."""
        assert select.select([self._entered], [], [], PATIENCE)[0]
        assert os.read(self._entered, 1) == b"."

    def open(self) -> None:
        """Let the call through."""
        os.write(self._leave, b".")

    def hold(self, client: Client, *, close: bool = False) -> None:
        """Have a client begin a call that waits here."""
        client.send("gate", self.params, close=close)
        self.wait()

    def release(self, client: Client) -> None:
        """Let the call of a client through, and take its reply."""
        self.open()
        assert client.reply().result == "through"


def _close(*descriptors: int) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
