"""The prompt itself: prompt_toolkit's session put together from the adaptors beside this module.

It reads lines. What is done with them is the loop's business. What the first drawing does not need is imported
after it.
"""

from __future__ import annotations

import importlib
import sys
import threading
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from prompt_toolkit import PromptSession
from prompt_toolkit.application import create_app_session
from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
from prompt_toolkit.lexers import DynamicLexer, SimpleLexer
from prompt_toolkit.output.plain_text import PlainTextOutput
from prompt_toolkit.utils import is_dumb_terminal

from rpcshell.escape import visible
from rpcshell.prompt.completer import LineCompleter
from rpcshell.prompt.history import LineHistory, history_path
from rpcshell.prompt.keys import key_bindings
from rpcshell.prompt.lexer import LineLexer, MatchingBrackets
from rpcshell.prompt.loop import call_in_loop
from rpcshell.prompt.screen import Screen
from rpcshell.prompt.theme import THEME
from rpcshell.prompt.toolbar import Toolbar

if TYPE_CHECKING:
    from collections.abc import Callable

    from prompt_toolkit.application import Application
    from prompt_toolkit.formatted_text.base import StyleAndTextTuples
    from prompt_toolkit.history import History
    from prompt_toolkit.input import Input
    from prompt_toolkit.lexers import Lexer
    from prompt_toolkit.output import Output

    from rpcshell.commands import CommandRegistry
    from rpcshell.language import Line
    from rpcshell.session import Session

__all__ = ["Prompt"]

_PARSED: Final = 4
_LONGEST_NAME: Final = 40
_MENU_ROWS: Final = 6


class Prompt:
    """Reads lines from a terminal.

    Args:
        session: the target and its catalog.
        commands: gives the commands; asked when the first key is pressed, not before.
        history: where lines are kept; the user's history file if not given.
        input: where keys come from; the terminal if not given.
        output: where things are drawn; the terminal if not given.
        on_ready: called in a thread when the first prompt is there and everything is imported.

    Attributes:
        screen: shows results and messages on the same terminal.
    """

    def __init__(
        self,
        session: Session,
        commands: Callable[[], CommandRegistry],
        *,
        history: History | None = None,
        input: Input | None = None,  # noqa: A002  (prompt_toolkit's name for it)
        output: Output | None = None,
        on_ready: Callable[[], None] = lambda: None,
    ) -> None:
        read = lru_cache(_PARSED)(_parse)
        self._session = session
        self._read = read
        self._commands = commands
        self._no_lexer = SimpleLexer()
        self._warm = False
        self._on_ready = on_ready
        self._lexer: LineLexer | None = None
        self._ending: BaseException | None = None
        self._toolbar = Toolbar(read, session, commands)
        with create_app_session(output=output or _plain_output()):
            self._prompt: PromptSession[str] = PromptSession(
                self._message,
                multiline=True,
                lexer=DynamicLexer(self._current_lexer),
                completer=LineCompleter(read, session, commands),
                complete_while_typing=True,
                reserve_space_for_menu=_MENU_ROWS,
                auto_suggest=AutoSuggestFromHistory(),
                history=history or LineHistory(history_path, on_problem=self._history_problem),
                key_bindings=key_bindings(read),
                input_processors=[MatchingBrackets(read)],
                bottom_toolbar=self._bottom,
                prompt_continuation=lambda width, _row, _wrapped: " " * width,
                style=THEME,
                include_default_pygments_style=False,
                enable_suspend=True,
                input=input,
                output=output,
            )
        application = self._prompt.app
        self.screen = Screen(application.output, application.color_depth, application=application)
        application.after_render += self._warm_up
        session.on_change(self._changed)

    def read(self) -> str:
        """Read one line, which may have several rows.

        Raises:
            EOFError: Ctrl-D was pressed in an empty line, or the terminal is gone.
            KeyboardInterrupt: Ctrl-C was pressed.
        """
        self._raise_ending()
        self.screen.show_notes()
        line = self._prompt.prompt()
        self._raise_ending()
        return line

    def interrupt(self, error: BaseException) -> bool:
        """Have `read` raise an error; for signal handlers.

        Args:
            error: what to raise.

        Returns:
            Whether a line is being read.
        """
        application = self._prompt.app

        def leave() -> None:
            # A line that was accepted a moment ago has its result already; `read` raises the error then.
            if application.is_running and not application.is_done:
                application.exit(exception=error)

        if not call_in_loop(application, leave):
            return False
        self._ending = error
        return True

    def _raise_ending(self) -> None:
        if self._ending is not None:
            raise self._ending

    def _changed(self) -> None:
        """Draw the new state; any thread may call this."""
        call_in_loop(self._prompt.app, self._draw_change)

    def _draw_change(self) -> None:
        """Draw the prompt anew, and open the menu for what was typed before the catalog came."""
        self._prompt.app.invalidate()
        buffer = self._prompt.default_buffer
        if buffer.text.strip() and buffer.complete_state is None and buffer.document.is_cursor_at_the_end:
            buffer.start_completion()

    def _message(self) -> StyleAndTextTuples:
        target = self._session.target
        if target is None:
            return [("class:prompt", "rpcshell> ")]
        name = visible(str(target))
        if len(name) > _LONGEST_NAME:
            name = f"…{name[1 - _LONGEST_NAME :]}"
        if self._session.state == "lost":
            return [("class:prompt", name), ("class:prompt.lost", " (lost)"), ("class:prompt", "> ")]
        return [("class:prompt", f"{name}> ")]

    def _bottom(self) -> StyleAndTextTuples:
        document = self._prompt.default_buffer.document
        columns = self._prompt.app.output.get_size().columns
        return [(style, text[: columns - 1]) for style, text in self._toolbar(document.text, document.cursor_position)]

    def _current_lexer(self) -> Lexer:
        if not self._prompt.default_buffer.text:
            return self._no_lexer
        if self._lexer is None or self._lexer.catalog is not self._session.catalog:
            self._lexer = LineLexer(self._read, self._session.catalog)
        return self._lexer

    def _warm_up(self, _application: Application[str]) -> None:
        """Import in the background, now that the prompt is there to be seen, what its first keys and line need."""
        if self._warm:
            return
        self._warm = True
        threading.Thread(target=self._import_the_rest, name="imports", daemon=True).start()

    def _import_the_rest(self) -> None:
        for name in ("rpcshell.language", "rpcshell.hint", "rpcshell.suggest", "rpcshell.render"):
            importlib.import_module(name)
        _ = self._commands().specs
        self._on_ready()

    def _history_problem(self, text: str) -> None:
        self.screen.note(text)


def _parse(text: str) -> Line:
    from rpcshell.language import parse

    return parse(text)


def _plain_output() -> Output | None:
    """An output without escape sequences where the terminal knows none; nothing where it does."""
    return PlainTextOutput(sys.stdout) if is_dumb_terminal() else None
