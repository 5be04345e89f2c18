"""What shows results and messages, as the shell and the commands see it.

The screen of the prompt and the plain streams of a script both are one, and the output of a command whose text goes to
a file or to another program. None of them lives here.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from contextlib import AbstractContextManager

    from rpcshell.client.errors import ShellError, SyntaxProblem
    from rpcshell.shell.call import Call
    from rpcshell.view.pretty import Fragment


class Canvas(Protocol):
    """A place where things are drawn over each other."""

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns."""

    def draw(self, pieces: Sequence[Fragment]) -> None:
        """Show pieces instead of what is there."""


class Output(Protocol):
    """A place for results, texts, notes and errors; to be inherited from.

    What has a terminal overrides what is beyond plain text.
    """

    diverted: ClassVar[bool] = False
    """Whether it goes to a file or another program, although a person may have typed the line."""

    def result(self, call: Call) -> None:
        """Show a reply that is not an error."""

    def value(self, name: str, value: Any) -> None:
        """Show a value that no call brought just now, under a name such as `$u.items`."""

    def part(self, number: int, value: Any) -> None:
        """Show a part of a result that has not come whole yet; they are counted from 1."""
        self.value(f"part {number}", value)

    def progress(self, text: str) -> None:
        """Show in place how far the call is that is being made, or nothing of that any more; where there is a place."""
        del text

    def timing(self, call: Call) -> None:
        """Tell how long a call took whose result went elsewhere."""

    def text(self, text: str) -> None:
        """Show what a command has to say; whoever made the text has escaped what came from a server."""

    def note(self, text: str) -> None:
        """Show one line beside the point, such as where a server was started."""

    def doubt(self, problem: SyntaxProblem) -> None:
        """Show what is doubtful in a line that is run all the same."""
        self.note(f"column {problem.column + 1}: {problem}")

    def error(self, error: ShellError) -> None:
        """Show an error that does not end the run."""

    def pieces(self, pieces: Iterable[Fragment], *, paged: bool = True) -> None:
        """Show styled text that is safe for a terminal and ends in a newline, with its styles where there are any.

        What is longer than the screen goes to the pager, after which it is gone, unless it is not to be paged.
        """
        del paged
        self.text("".join(text for _, text in pieces).removesuffix("\n"))

    def above(self, pieces: Sequence[Fragment]) -> bool:
        """Show lines of styled text without spoiling what is being typed; any thread may call this.

        False where they were not taken, as too much waits to be shown already.
        """
        self.text("".join(text for _, text in pieces))
        return True

    def hold(self) -> AbstractContextManager[None]:
        """Keep what other threads show back until something else that has the terminal lets go of it."""
        return nullcontext()

    def live(self) -> AbstractContextManager[Canvas] | None:
        """A place where things are drawn over each other until it is left, or None where there is none."""
        return None

    def lend(self) -> AbstractContextManager[Any] | None:
        """The terminal for something that has the whole of it until it is left, or None where it cannot be drawn on."""
        return None
