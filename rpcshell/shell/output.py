"""What shows results and messages, as the executor and the commands see it.

The screen of the prompt and the plain streams of a script both implement this; neither lives here. What does is the
output of a command whose text goes to a file or another program.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from contextlib import AbstractContextManager

    from rpcshell.client.errors import ShellError
    from rpcshell.shell.session import CallOutcome
    from rpcshell.view.pretty import Fragment
    from rpcshell.view.settings import Settings

__all__ = ["Diverted", "Output", "Styled", "show_pieces"]


class Output(Protocol):
    """A place for results, texts, notes and errors."""

    def result(self, outcome: CallOutcome) -> None:
        """Show a reply that is not an error."""

    def value(self, name: str, value: Any) -> None:
        """Show a value that no call brought just now, under a name such as `$u.items`."""

    def timing(self, outcome: CallOutcome) -> None:
        """Tell how long a call took whose result went elsewhere."""

    def text(self, text: str) -> None:
        """Show what a command has to say; whoever made the text has escaped what came from a server."""

    def note(self, text: str) -> None:
        """Show one line beside the point, such as where a server was started."""

    def error(self, error: ShellError) -> None:
        """Show an error that does not end the run."""


@runtime_checkable
class Styled(Protocol):
    """An output that has colours, and a prompt that things can be shown above."""

    def pieces(self, pieces: Iterable[Fragment], *, paged: bool = True) -> None:
        """Show styled text, which is safe for a terminal; it ends in a newline.

        Args:
            pieces: The text.
            paged: Whether what is longer than the screen goes to the pager, after which it is gone.
        """

    def above(self, pieces: Sequence[Fragment]) -> bool:
        """Show lines of styled text without spoiling what is being typed; any thread may call this.

        Returns:
            Whether they were taken; not where too much waits to be shown already.
        """

    def hold(self) -> AbstractContextManager[None]:
        """Keep what other threads show back until something else that has the terminal lets go of it."""


def show_pieces(output: Output, pieces: Iterable[Fragment], *, paged: bool = True) -> None:
    """Show styled text, with its styles where the output has any.

    Args:
        output: Where.
        pieces: Text that is safe for a terminal; it ends in a newline.
        paged: Whether what is longer than the screen goes to the pager; not where it should stay to be seen later.
    """
    if isinstance(output, Styled):
        output.pieces(pieces, paged=paged)
    else:
        output.text("".join(text for _, text in pieces).removesuffix("\n"))


class Diverted:
    """Collects results and texts; what is beside the point still goes where it would.

    Args:
        beside: Takes notes and errors.
        settings: How results look.
        indented: Whether JSON is for people, over several lines.

    Attributes:
        pieces: What was collected.
    """

    def __init__(self, beside: Output, settings: Settings, *, indented: bool) -> None:
        self.pieces: list[str] = []
        self._beside = beside
        self._settings = settings
        self._indented = indented

    def result(self, outcome: CallOutcome) -> None:
        """Collect the result."""
        self.value("", outcome.reply.result)

    def value(self, name: str, value: Any) -> None:
        """Collect a value; its name is for people."""
        from rpcshell.view.plain import plain_text

        self.pieces += plain_text(value, self._settings, indented=self._indented)

    def timing(self, outcome: CallOutcome) -> None:
        """Leave out the time."""

    def text(self, text: str) -> None:
        """Collect a text."""
        self.pieces.append(text.rstrip("\n") + "\n")

    def note(self, text: str) -> None:
        """Pass it on."""
        self._beside.note(text)

    def error(self, error: ShellError) -> None:
        """Pass it on."""
        self._beside.error(error)
