"""Completion of variables and of paths into them: `$u`, `$u.items[0].id`, also between `${` and `}` in a text."""

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from rpcshell.line.json_text import json_text
from rpcshell.line.language import Line, TokenKind
from rpcshell.line.masking import MASKED
from rpcshell.line.secrets import is_secret
from rpcshell.line.suggest.names import Suggestion, matching

_STEPS = r"""(?:\.[\w-]*|\[(?:"(?:[^"\\\n]|\\[^\n])*(?:"\]?)?|'(?:[^'\\\n]|\\[^\n])*(?:'\]?)?|[^\[\]"'\s]*\]?))*"""
_REFERENCE = re.compile(rf"""\$(?P<brace>\{{\s*)?(?P<name>[^\W\d]\w*)?(?P<steps>{_STEPS})""")
_STEP = re.compile(r"""\.(?P<key>[\w-]*)|\[(?P<inside>"(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?|[^\]"']*)(?P<closed>\]?)""")
_PLAIN_KEY = re.compile(r"[\w-]+")
_MOST_KEYS = 100
_FEW_ITEMS = 10
_LONGEST_PREVIEW = 40
_LONGEST_PATH = 1000


def preview(value: Any) -> str:
    """A value in a few words."""
    match value:
        case dict():
            keys = ", ".join(str(key) for key in islice(value, 3))
            return f"{{{keys}{', …' if len(value) > 3 else ''}}}"[:_LONGEST_PREVIEW]
        case list():
            return f"[{len(value)} item{'' if len(value) == 1 else 's'}]"
        case str() if len(value) > _LONGEST_PREVIEW:
            return json_text(value[:_LONGEST_PREVIEW])[:-1] + '…"'
        case int() if abs(value) >= 10**_LONGEST_PREVIEW:
            return "a large number"
        case _:
            return json_text(value)


def suggest_variables(line: Line, cursor: int, variables: Mapping[str, Any]) -> list[Suggestion] | None:
    """What could stand at a cursor in the name of a variable or in a path; None if it is in neither."""
    text = line.text
    dollar = text.rfind("$", max(cursor - _LONGEST_PATH, 0), cursor)
    if dollar < 0:
        return None
    reference = _REFERENCE.fullmatch(text, dollar, cursor)
    if reference is None or not _is_reference(line, dollar, in_text=reference["brace"] is not None):
        return None
    name = reference["name"] or ""
    if not reference["steps"]:
        return [*_names(name, reference, cursor, variables), *_inside(variables.get(name), cursor, cursor, "")]
    if name not in variables:
        return []
    return list(_steps(variables[name], reference, cursor))


def _is_reference(line: Line, dollar: int, *, in_text: bool) -> bool:
    token = next((token for token in line.tokens if token.start <= dollar < token.end), None)
    if token is None or token.kind in {TokenKind.COMMENT, TokenKind.COMMAND}:
        return False
    # In a text that does not ask for variables a dollar sign is one.
    return token.kind is TokenKind.VARIABLE if in_text else line.text[token.start] not in "\"'"


def _names(typed: str, reference: re.Match[str], cursor: int, variables: Mapping[str, Any]) -> Iterator[Suggestion]:
    start = reference.end("brace") if reference["brace"] is not None else reference.start() + 1
    # Those that were set last come first, as they are wanted most.
    for name in matching(reversed(list(variables)), typed):
        yield Suggestion(name, start, cursor, f"${name}", preview(variables[name]), "variable")


def _steps(value: Any, reference: re.Match[str], cursor: int) -> Iterator[Suggestion]:
    """What the last step of a path could be, and what comes after one that is there."""
    text = reference.string
    steps = list(_STEP.finditer(text, reference.start("steps"), cursor))
    if not steps or steps[-1].end() != cursor:
        return
    for step in steps[:-1]:
        value = _enter(value, step)
    last = steps[-1]
    if not last["closed"]:
        typed = last["key"] if last["key"] is not None else last["inside"].strip("\"'")
        yield from _inside(value, last.start(), cursor, typed, bracket=last["key"] is None)
    if last["closed"] or last["key"]:
        yield from _inside(_enter(value, last), cursor, cursor, "")


def _enter(value: Any, step: re.Match[str]) -> Any:
    key = step["key"] if step["key"] is not None else step["inside"].strip("\"'")
    if isinstance(value, dict):
        return value.get(key)
    if isinstance(value, list) and re.fullmatch(r"-?[0-9]{1,9}", key) and -len(value) <= int(key) < len(value):
        return value[int(key)]
    return None


def _inside(value: Any, start: int, end: int, typed: str, *, bracket: bool = False) -> Iterator[Suggestion]:
    """The steps into a value; dotted where they can be."""
    if isinstance(value, dict):
        for key in matching(islice(value, _MOST_KEYS), typed):
            plain = _PLAIN_KEY.fullmatch(key) and not bracket
            text = f".{key}" if plain else f"[{json_text(key)}]"
            meta = MASKED if is_secret(key) else preview(value[key])
            yield Suggestion(text, start, end, text, meta, "variable")
    elif isinstance(value, list):
        for index, item in enumerate(value[:_FEW_ITEMS]):
            if str(index).startswith(typed):
                yield Suggestion(f"[{index}]", start, end, f"[{index}]", preview(item), "variable")
