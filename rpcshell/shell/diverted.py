"""The output of a command whose text goes to a file or to another program."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rpcshell.shell.output import Output
from rpcshell.view.plain import plain_text

if TYPE_CHECKING:
    from rpcshell.client.errors import ShellError
    from rpcshell.shell.call import Call
    from rpcshell.view.settings import Settings


class Diverted(Output):
    """Collects results and texts; what is beside the point still goes where it would."""

    diverted = True

    def __init__(self, beside: Output, settings: Settings, *, indented: bool) -> None:
        self.collected: list[str] = []
        self._beside = beside
        self._settings = settings
        self._indented = indented

    def result(self, call: Call) -> None:
        """Collect the result."""
        self.value("", call.result)

    def value(self, name: str, value: Any) -> None:
        """Collect a value; its name is for people."""
        del name
        self.collected += plain_text(value, self._settings, indented=self._indented)

    def progress(self, text: str) -> None:
        """Pass it on."""
        self._beside.progress(text)

    def timing(self, call: Call) -> None:
        """Leave out the time."""

    def text(self, text: str) -> None:
        """Collect a text."""
        self.collected.append(text.rstrip("\n") + "\n")

    def note(self, text: str) -> None:
        """Pass it on."""
        self._beside.note(text)

    def error(self, error: ShellError) -> None:
        """Pass it on."""
        self._beside.error(error)
