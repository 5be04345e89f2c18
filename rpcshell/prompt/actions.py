"""What keys do instead of typing: the actions, and which keys do them or run a line, ours and the configuration's.

How a line is typed is `keys`'.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from prompt_toolkit.application import run_in_terminal
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.document import Document
from prompt_toolkit.enums import DEFAULT_BUFFER
from prompt_toolkit.filters import has_focus
from prompt_toolkit.key_binding import KeyBindings
from prompt_toolkit.key_binding.key_processor import KeyPressEvent

from rpcshell.client.errors import UsageError
from rpcshell.prompt.context import LineContext
from rpcshell.prompt.programs import edit_text
from rpcshell.prompt.screen import Screen

ACTIONS: Final = {
    "help": "say how the method or command being typed is used",
    "doc": "show or hide what the method being typed does",
    "format": "show results as JSON, as tables, or raw",
    "editing": "keys as in emacs or as in vi",
    "edit": "open the line in $EDITOR",
    "none": "nothing",
}
"""What each action does, by the names that the configuration uses."""

DEFAULT_KEYS: Final = {"f1": "help", "f2": "doc", "f3": "format", "f4": "editing", "ctrl-x ctrl-e": "edit"}
"""Actions by keys, where the configuration does not say otherwise."""

_MODIFIERS: Final = {"ctrl": "c", "control": "c", "shift": "s"}
_ALT: Final = ("alt", "meta", "m", "a")
_NEXT_FORMAT: Final = {"table": "raw", "raw": "auto"}


def parse_key(text: str) -> tuple[str, ...]:
    """A key or a sequence of keys, such as `f5`, `Alt-Enter` or `ctrl-x ctrl-l`, as prompt_toolkit names them.

    Raises `UsageError` where there is no such key, or it is one that types a character.
    """
    keys = tuple(key for word in text.split() for key in _parse_one(word))
    if not keys or len(keys[0]) == 1:
        raise UsageError(f"{text!r} is no key to bind", hint="f5, ctrl-o, alt-x and ctrl-x ctrl-o are")
    try:
        KeyBindings().add(*keys)(lambda _event: None)
    except ValueError:
        raise UsageError(f"there is no key {text!r}", hint="f5, ctrl-o, alt-x and ctrl-x ctrl-o are some") from None
    return keys


def _parse_one(word: str) -> Iterator[str]:
    *modifiers, key = word.lower().rsplit("-", 1)
    modifiers = modifiers[0].split("-") if modifiers else []
    kept = [_MODIFIERS.get(modifier, modifier) for modifier in modifiers if modifier not in _ALT]
    if len(kept) < len(modifiers):
        yield "escape"
    yield "-".join([*kept, key])


def action_bindings(
    keys: Mapping[str, str],
    run: Callable[[str, KeyPressEvent], None],
    complain: Callable[[str, UsageError], None],
) -> tuple[KeyBindings, dict[str, str]]:
    """Bind keys to actions and lines; they come over `DEFAULT_KEYS`.

    Beside the bindings is returned, to be shown, the key of each action that has a single one. `complain` is told of
    each key that cannot be bound.
    """
    bindings = KeyBindings()
    wanted: dict[tuple[str, ...], str] = {}
    for key, action in (*DEFAULT_KEYS.items(), *keys.items()):
        try:
            wanted[parse_key(key)] = action.strip()
        except UsageError as error:
            complain(key, error)
    shown: dict[str, str] = {}
    for sequence, action in wanted.items():
        if action in {"", "none"}:
            continue
        bindings.add(*sequence, filter=has_focus(DEFAULT_BUFFER))(lambda event, action=action: run(action, event))
        if len(sequence) == 1 and action in ACTIONS:
            shown.setdefault(action, sequence[0].upper())
    return bindings, shown


class Actions:
    """Does what keys are bound to."""

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
                from rpcshell.prompt.reading import question

                self._run(question(self._context, event.current_buffer.text), event)
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

    def _edit(self, buffer: Buffer) -> None:
        try:
            buffer.document = Document(edit_text(buffer.text))
        except UsageError as error:
            self._screen.error(error)
