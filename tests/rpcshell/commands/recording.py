"""An output that keeps what it is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rpcshell.shell.output import Output

if TYPE_CHECKING:
    from rpcshell.client.errors import ShellError
    from rpcshell.shell.call import Call


class Recording(Output):
    """Keeps results, values, texts, notes and errors."""

    def __init__(self) -> None:
        self.results: list[Call] = []
        self.values: list[tuple[str, Any]] = []
        self.timings: list[Call] = []
        self.texts: list[str] = []
        self.notes: list[str] = []
        self.errors: list[ShellError] = []

    def result(self, call: Call) -> None:
        self.results.append(call)

    def value(self, name: str, value: Any) -> None:
        self.values.append((name, value))

    def timing(self, call: Call) -> None:
        self.timings.append(call)

    def text(self, text: str) -> None:
        self.texts.append(text)

    def note(self, text: str) -> None:
        self.notes.append(text)

    def error(self, error: ShellError) -> None:
        self.errors.append(error)
