"""The terminal as the place where results, texts, notes and errors are shown: styled, and paged where they are long.

What they say is `render`'s. While the prompt is up, what other threads say goes above it.
"""

from __future__ import annotations

import threading
from collections import deque
from contextlib import contextmanager
from functools import cache, cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from prompt_toolkit.output.plain_text import PlainTextOutput
from prompt_toolkit.output.vt100 import Vt100_Output

from rpcshell.prompt.programs import find_pager
from rpcshell.prompt.theme import THEME
from rpcshell.shell.output import Output
from rpcshell.view.escape import visible
from rpcshell.view.settings import Settings
from rpcshell.view.styles import FAINT
from rpcshell.view.width import cells, cut
from rpcshell.view.wrap import wrapped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from typing import Self, TextIO

    from prompt_toolkit.application import Application
    from prompt_toolkit.output import ColorDepth
    from prompt_toolkit.output import Output as Terminal
    from prompt_toolkit.styles import BaseStyle

    from rpcshell.client.errors import ShellError
    from rpcshell.prompt.screen_pieces import ScreenPieces
    from rpcshell.shell.call import Call
    from rpcshell.view.pretty import Fragment

_FLUSH_AFTER_CHARACTERS: Final = 1 << 14
_MOST_NOTES: Final = 1000
"""Pieces of notes that wait, as they do while something else has the screen, before others are not taken."""

_ROWS_BELOW: Final = 3
"""What is kept free below a text: the dim line after it and the prompt."""


class Lent(NamedTuple):
    """A terminal, and how things look on it."""

    output: Terminal
    depth: ColorDepth
    style: BaseStyle


class Screen(Output):
    """Shows things on a terminal: above the prompt while that is up, and in a pager what is longer than the screen."""

    def __init__(
        self,
        output: Terminal,
        depth: ColorDepth,
        *,
        style: BaseStyle = THEME,
        settings: Settings | None = None,
        application: Application[str] | None = None,
    ) -> None:
        self._output = output
        self._draws = not isinstance(output, PlainTextOutput)
        self._depth = depth
        self._painter = Painter(style, depth)
        self._settings = settings if settings is not None else Settings()
        self._application = application
        self._notes: deque[Fragment] = deque()
        # prompt_toolkit's outputs lose text when two threads write. A thread may hold it twice: a pager that cannot
        # be started is a note too.
        self._writing = threading.RLock()
        self._has_progress = False

    def result(self, call: Call) -> None:
        """Show a reply, and one dim line with its time, worker and pid, if they are to be told."""
        with self.hold():
            self._page(self._pieces.result(call))
            self._show_footer(call)

    def value(self, name: str, value: Any) -> None:
        """Show a value that no call brought just now, under a name of its own."""
        self.pieces(self._pieces.value(name, value))

    def progress(self, text: str) -> None:
        """Draw over the dim line from before; any thread may call this. Not while something else has the terminal."""
        if not self._draws or not self._writing.acquire(blocking=False):
            # Whoever has the terminal may wait for the thread that tells this.
            return
        try:
            self._clear_progress()
            if text:
                self._painter.paint(self._output, [(FAINT, cut(visible(text), self._columns - 1))])
                self._has_progress = True
        finally:
            self._writing.release()

    def timing(self, call: Call) -> None:
        """Show the dim line of a reply whose result went elsewhere."""
        with self.hold():
            self._show_footer(call)

    def text(self, text: str) -> None:
        """Show what a command has to say."""
        self.pieces([("", text.rstrip("\n") + "\n")])

    def pieces(self, pieces: Iterable[Fragment], *, paged: bool = True) -> None:
        """Show styled text, which ends in a newline; in the pager where it is longer than the screen, and may be."""
        with self.hold():
            if paged:
                self._page(pieces)
            else:
                self._paint(pieces)

    def note(self, text: str) -> None:
        """Show one dim line; any thread may call this. What is being shown, in a pager too, is finished first."""
        self._add_notes(tuple(wrapped([("class:note", visible(text) + "\n")], self._columns)))

    def above(self, pieces: Sequence[Fragment]) -> bool:
        """Show lines of styled text as notes are shown; any thread may call this. False where too many wait already."""
        if len(self._notes) > _MOST_NOTES:
            return False
        self._add_notes(pieces)
        return True

    def show_notes(self) -> None:
        """Show the notes that had to wait."""
        # Whoever is writing shows them at its end, and so does a thread that let go while this one looked.
        while self._notes and self._writing.acquire(blocking=False):
            try:
                self._paint(self._notes.popleft() for _ in range(len(self._notes)))
            finally:
                self._writing.release()

    def error(self, error: ShellError) -> None:
        """Show an error."""
        self.pieces(self._pieces.error(error))

    def restyle(self, style: BaseStyle) -> None:
        """Give styles another look, for what is shown from now on."""
        self._painter = Painter(style, self._depth)

    def live(self) -> AbstractContextManager[LiveView] | None:
        """A place to draw things over each other until it is left, which notes wait for; None where there is none."""
        return self._live() if self._draws else None

    def lend(self) -> AbstractContextManager[Lent] | None:
        """The whole terminal until it is given back, which notes wait for; None where it cannot be drawn on."""
        return self._lend() if self._draws else None

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Have notes wait until something else that has the terminal lets go of it."""
        try:
            with self._writing:
                self._clear_progress()
                yield
        finally:
            self.show_notes()

    @contextmanager
    def _lend(self) -> Iterator[Lent]:
        with self.hold():
            yield Lent(self._output, self._depth, self._painter.style)

    @contextmanager
    def _live(self) -> Iterator[LiveView]:
        with self.hold(), LiveView(self._output, self._painter) as view:
            yield view

    @property
    def _columns(self) -> int:
        return max(self._output.get_size().columns, 20)

    @cached_property
    def _pieces(self) -> ScreenPieces:
        # The first prompt comes before anything to render.
        from rpcshell.prompt.screen_pieces import ScreenPieces

        return ScreenPieces(self._settings, lambda: self._columns)

    def _show_footer(self, call: Call) -> None:
        if footer := self._pieces.footer(call):
            self._paint(footer)

    def _add_notes(self, pieces: Sequence[Fragment]) -> None:
        # At once, so that no line of another thread comes between them.
        self._notes.extend(pieces)
        if self._application is None or not call_in_loop(self._application, self._show_notes_above):
            self.show_notes()

    def _show_notes_above(self) -> None:
        # prompt_toolkit's own way has the terminal echo the keys that are pressed meanwhile, which spoils the line.
        application = self._application
        if application is None or not application.is_running:
            self.show_notes()
            return
        application.renderer.erase()
        self.show_notes()
        application.renderer.reset()
        application.renderer.request_absolute_cursor_position()
        application.invalidate()

    def _page(self, fragments: Iterable[Fragment]) -> None:
        pieces = iter(fragments)
        first: list[Fragment] = []
        fits = not self._settings.pager or self._fits(pieces, first)
        pieces = chain(first, pieces)
        pager = None if fits else find_pager()
        if pager is None:
            self._paint(pieces)
            return
        painter = self._painter if pager.colours else None
        size = self._output.get_size()

        def write(stream: TextIO) -> None:
            if painter is None:
                stream.writelines(text for _, text in pieces)
            else:
                painter.paint(Vt100_Output(stream, lambda: size, enable_cpr=False), pieces)

        try:
            pager.show(write)
        except OSError as error:
            self.note(f"the pager {pager.command[0]} cannot be started: {error.strerror}")
            self._paint(pieces)

    def _paint(self, pieces: Iterable[Fragment]) -> None:
        self._clear_progress()
        self._painter.paint(self._output, pieces)

    def _clear_progress(self) -> None:
        if self._has_progress:
            self._has_progress = False
            self._output.write_raw("\r")
            self._output.erase_end_of_line()
            self._output.flush()

    def _fits(self, pieces: Iterator[Fragment], taken: list[Fragment]) -> bool:
        """Whether pieces fit on the screen with the prompt below them; those it took to tell are put in `taken`."""
        size = self._output.get_size()
        rows = size.rows - _ROWS_BELOW
        column = 0
        for piece in pieces:
            taken.append(piece)
            for place, part in enumerate(piece[1].split("\n")):
                if place:
                    rows -= 1
                    column = 0
                column += cells(part)
                rows -= column // size.columns
                column %= size.columns
            if rows < 0:
                return False
        return True


class Painter:
    """Writes styled pieces to an output."""

    def __init__(self, style: BaseStyle, depth: ColorDepth) -> None:
        self.style = style
        self._depth = depth
        self._look = cache(style.get_attrs_for_style_str)

    def paint(self, output: Terminal, fragments: Iterable[Fragment]) -> None:
        """Write the pieces, and leave the output without any style."""
        current = None
        written = 0
        try:
            for style, text in fragments:
                if style != current:
                    if style:
                        output.set_attributes(self._look(style), self._depth)
                    elif current:
                        output.reset_attributes()
                    current = style
                output.write(text)
                written += len(text)
                if written > _FLUSH_AFTER_CHARACTERS:
                    written = 0
                    output.flush()
        finally:
            if current:
                output.reset_attributes()
            output.flush()


class LiveView:
    """Draws on the alternate screen of a terminal, where there is one; a context manager."""

    def __init__(self, output: Terminal, painter: Painter) -> None:
        self._output = output
        self._painter = painter

    def __enter__(self) -> Self:
        self._output.enter_alternate_screen()
        self._output.hide_cursor()
        # What does not fit in a row is cut, so that rows stay where they are.
        self._output.disable_autowrap()
        self._output.flush()
        return self

    def __exit__(self, *_: object) -> None:
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
        """Show pieces, with no newline at their end, instead of what is there; they fill the screen at most."""
        # All of it goes out in one write, so that nothing flickers.
        self._output.erase_screen()
        self._output.cursor_goto(0, 0)
        self._painter.paint(self._output, pieces)


def call_in_loop(application: Application[Any], callback: Callable[[], object]) -> bool:
    """Have something called in the event loop of a prompt; any thread may call this.

    False where there is no loop to call it in: none is left once a line was read. The prompt may also end before its
    loop comes to it, so nothing must depend on the callback alone.
    """
    loop = application.loop
    if loop is None or not application.is_running:
        return False
    try:
        loop.call_soon_threadsafe(callback)
    except RuntimeError:
        # The loop was closed since it was looked at.
        return False
    return True
