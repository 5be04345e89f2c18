"""An output that keeps what it is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rpcshell.client.errors import ShellError
    from rpcshell.shell.session import CallOutcome


class Recording:
    """Keeps results, values, texts, notes and errors."""

    def __init__(self) -> None:
        self.results: list[CallOutcome] = []
        self.values: list[tuple[str, Any]] = []
        self.timings: list[CallOutcome] = []
        self.texts: list[str] = []
        self.notes: list[str] = []
        self.errors: list[ShellError] = []

    def result(self, outcome: CallOutcome) -> None:
        self.results.append(outcome)

    def value(self, name: str, value: Any) -> None:
        self.values.append((name, value))

    def timing(self, outcome: CallOutcome) -> None:
        self.timings.append(outcome)

    def text(self, text: str) -> None:
        self.texts.append(text)

    def note(self, text: str) -> None:
        self.notes.append(text)

    def error(self, error: ShellError) -> None:
        self.errors.append(error)
