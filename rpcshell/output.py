"""What shows results and messages, as the executor and the commands see it.

The screen of the prompt and the plain streams of a script both implement this; neither lives here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rpcshell.errors import ShellError
    from rpcshell.session import CallOutcome

__all__ = ["Output"]


class Output(Protocol):
    """A place for results, texts, notes and errors."""

    def result(self, outcome: CallOutcome) -> None:
        """Show a reply that is not an error."""

    def text(self, text: str) -> None:
        """Show what a command has to say; whoever made the text has escaped what came from a server."""

    def note(self, text: str) -> None:
        """Show one line beside the point, such as where a server was started."""

    def error(self, error: ShellError) -> None:
        """Show an error that does not end the run."""
