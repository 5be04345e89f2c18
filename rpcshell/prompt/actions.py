"""What the actions do that keys can be bound to. Which keys are is `keymap`'s."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prompt_toolkit.application import run_in_terminal
from prompt_toolkit.document import Document

from rpcshell.client.errors import UsageError

if TYPE_CHECKING:
    from prompt_toolkit.buffer import Buffer
    from prompt_toolkit.key_binding.key_processor import KeyPressEvent

    from rpcshell.prompt.context import LineContext
    from rpcshell.prompt.screen import Screen

__all__ = ["Actions"]

_NEXT_FORMAT: Final = {"table": "raw", "raw": "auto"}


class Actions:
    """Does what keys are bound to.

    Args:
        context: What lines can refer to, and the settings that some keys change.
        screen: Shows what goes wrong.
    """

    def __init__(self, context: LineContext, screen: Screen) -> None:
        self._context = context
        self._screen = screen
        self._draft: Document | None = None

    def take_draft(self) -> Document | None:
        """The line that was left for another one, once."""
        draft, self._draft = self._draft, None
        return draft

    def keep_draft(self, text: str) -> None:
        """Have a text be what the next line begins with."""
        self._draft = Document(text)

    def do(self, action: str, event: KeyPressEvent) -> None:
        """Do what a key is bound to: an action by its name, or else a line."""
        settings = self._context.settings
        match action:
            case "help":
                self._run(self._question(event.current_buffer.text), event)
            case "doc":
                settings.set("doc", not settings.doc)
            case "format":
                settings.set("format", _NEXT_FORMAT.get(settings.format, "table"))
            case "editing":
                settings.set("editing", "emacs" if settings.editing == "vi" else "vi")
            case "edit":
                run_in_terminal(lambda: self._edit(event.current_buffer))
            case line:
                self._run(line, event)

    def _run(self, line: str, event: KeyPressEvent) -> None:
        """Have a line read instead of what is typed, which comes back afterwards."""
        buffer = event.current_buffer
        self._draft = buffer.document
        buffer.complete_state = None
        buffer.set_document(Document(line))
        event.app.exit(result=line, style="class:accepted")

    def _question(self, text: str) -> str:
        """The line that asks about what is being typed."""
        from rpcshell.line.language import CallLine, CommandLine, method_text

        match self._context.read(text).body:
            case CallLine(method=name) if self._context.session.method(name) is not None:
                return f":doc {method_text(name)}"
            case CommandLine(name=name) if self._context.commands.find(name) is not None:
                return f":help {name}"
        return ":help"

    def _edit(self, buffer: Buffer) -> None:
        from rpcshell.prompt.editor import edit_text

        try:
            buffer.document = Document(edit_text(buffer.text))
        except UsageError as error:
            self._screen.error(error)
