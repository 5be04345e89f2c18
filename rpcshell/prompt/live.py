"""A screen of its own for what is drawn again and again, and the screen as it was afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType
    from typing import Self

    from prompt_toolkit.output import Output

    from rpcshell.pretty import Fragment
    from rpcshell.prompt.screen import Painter

__all__ = ["LiveView"]


class LiveView:
    """Draws on the alternate screen of a terminal, where there is one; a context manager.

    Args:
        output: the terminal.
        painter: writes styled pieces.
    """

    def __init__(self, output: Output, painter: Painter) -> None:
        self._output = output
        self._painter = painter

    def __enter__(self) -> Self:
        self._output.enter_alternate_screen()
        self._output.hide_cursor()
        # What does not fit in a row is cut, so that rows stay where they are.
        self._output.disable_autowrap()
        self._output.flush()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._output.enable_autowrap()
        self._output.show_cursor()
        self._output.quit_alternate_screen()
        self._output.flush()

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns there are now."""
        size = self._output.get_size()
        return size.rows, size.columns

    def draw(self, pieces: Sequence[Fragment]) -> None:
        """Show pieces instead of what is there; they fill the screen at most.

        Args:
            pieces: what to show, without a newline at its end.
        """
        # All of it goes out in one write, so that nothing flickers.
        self._output.erase_screen()
        self._output.cursor_goto(0, 0)
        self._painter.paint(self._output, pieces)
