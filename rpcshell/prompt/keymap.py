"""Which keys do an action, or run a line, instead of typing: ours, and those of the configuration.

How a line is typed is `keys`'.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prompt_toolkit.enums import DEFAULT_BUFFER
from prompt_toolkit.filters import has_focus
from prompt_toolkit.key_binding import KeyBindings

from rpcshell.client.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from prompt_toolkit.key_binding.key_processor import KeyPressEvent

__all__ = ["ACTIONS", "DEFAULT_KEYS", "action_bindings", "parse_key"]

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


def parse_key(text: str) -> tuple[str, ...]:
    """A key or a sequence of keys as prompt_toolkit names them.

    Args:
        text: such as `f5`, `ctrl-o`, `alt-enter`, or `ctrl-x ctrl-l`, case aside.

    Raises:
        UsageError: there is no such key, or it is one that types a character.
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
    keys: Mapping[str, str], run: Callable[[str, KeyPressEvent], None], complain: Callable[[str], None]
) -> tuple[KeyBindings, dict[str, str]]:
    """Bind keys to actions and lines.

    Args:
        keys: actions or lines by keys; they come over `DEFAULT_KEYS`.
        run: does an action, or runs a line.
        complain: told in one line of each key that cannot be bound.

    Returns:
        The bindings, and for each action its key where that is a single one, to be shown.
    """
    bindings = KeyBindings()
    wanted: dict[tuple[str, ...], str] = {}
    for key, action in (*DEFAULT_KEYS.items(), *keys.items()):
        try:
            wanted[parse_key(key)] = action.strip()
        except UsageError as error:
            complain(f"keys: {error}")
    shown: dict[str, str] = {}
    for sequence, action in wanted.items():
        if action in {"", "none"}:
            continue
        bindings.add(*sequence, filter=has_focus(DEFAULT_BUFFER))(lambda event, action=action: run(action, event))
        if len(sequence) == 1 and action in ACTIONS:
            shown.setdefault(action, sequence[0].upper())
    return bindings, shown
