"""Runs drills on a server, and finds things in what they report."""

from __future__ import annotations

from typing import Any

import msgspec

from rpcshell.shell.shell import Shell
from rpcwire.control import ServerStatus
from tests.rpcshell.commands.recording import Recording


class Report:
    """The timeline of a drill, and its summary, as a program gets them."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        *self.rows, self.summary = rows
        assert self.summary["event"] == "summary"
        assert [row["ms"] for row in self.rows] == sorted(row["ms"] for row in self.rows)
        assert all(row["text"] for row in rows)

    def of(self, event: str) -> list[dict[str, Any]]:
        return [row for row in self.rows if row["event"] == event]

    def one(self, event: str) -> dict[str, Any]:
        (row,) = self.of(event)
        return row

    def order(self, *events: str) -> list[str]:
        """Which of some events came, in order."""
        return [row["event"] for row in self.rows if row["event"] in events]

    def passes(self, *events: str) -> bool:
        """Whether some events came one after the other, whatever came between them."""
        came = iter([row["event"] for row in self.rows])
        return all(event in came for event in events)


class Drilled:
    """A shell and its server."""

    def __init__(self, shell: Shell, output: Recording) -> None:
        self.shell = shell
        self.output = output

    def status(self) -> ServerStatus:
        with self.shell.supervisor.control() as control:
            return control.status()

    def pids(self) -> dict[int, int]:
        return {worker.worker: worker.pid for worker in self.status().workers}

    def run(self, line: str) -> Report:
        """Run a drill, with its report for programs."""
        self.shell.settings.set("format", "json")
        self.shell.execute(line)
        _, rows = self.output.values[-1]
        assert msgspec.json.encode(rows)
        return Report(rows)
