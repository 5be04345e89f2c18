"""The line at the bottom: how the method being typed is called, or what is wrong first. The words are `hint`'s."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rpcshell.escape import visible

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcshell.catalog import Catalog
    from rpcshell.commands import CommandRegistry
    from rpcshell.language import Line
    from rpcshell.pretty import Fragment
    from rpcshell.session import Session

__all__ = ["Toolbar"]

_IDLE: Final = "Tab completes · Ctrl-R searches · Ctrl-D leaves · :help"


class Toolbar:
    """Makes the toolbar's text. It is asked at every drawing, so it remembers its last answer.

    Args:
        read: parses a text.
        session: has the catalog.
        commands: gives the commands.
    """

    def __init__(self, read: Callable[[str], Line], session: Session, commands: Callable[[], CommandRegistry]) -> None:
        self._read = read
        self._session = session
        self._commands = commands
        self._asked: tuple[str, int, Catalog] | None = None
        self._answer: list[Fragment] = []

    def __call__(self, text: str, cursor: int) -> list[Fragment]:
        """What to say about a text.

        Args:
            text: what is being typed.
            cursor: where the cursor is in it, in characters from 0.
        """
        if not text.strip():
            return [("", self._idle())]
        catalog = self._session.catalog
        asked = (text, cursor, catalog)
        if self._asked is None or self._asked[:2] != asked[:2] or self._asked[2] is not catalog:
            self._asked, self._answer = asked, [self._about(text, cursor, catalog)]
        return self._answer

    def _about(self, text: str, cursor: int, catalog: Catalog) -> Fragment:
        from rpcshell.hint import hint
        from rpcshell.language import statements

        line = self._read(text)
        if (several := len(statements(line, catalog.methods.__contains__))) > 1:
            return "", f"{several} lines; Enter runs one after the other"
        found = hint(line, cursor, catalog, self._commands().specs)
        style = "class:bottom-toolbar.problem" if found.problem else ""
        place = f"column {found.column + 1}: " if found.problem and found.column is not None else ""
        return style, place + visible(found.text)

    def _idle(self) -> str:
        session = self._session
        if session.discovering:
            return f"asking {session.target} what it offers…"
        if session.target is None:
            return ":spawn 10 starts a server, :connect HOST:PORT joins one · :help"
        if session.state == "lost":
            return f"no connection to {session.target}; the next call tries again"
        return _IDLE
