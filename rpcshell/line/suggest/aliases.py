"""Aliases, which stand for the method or command that a line begins with: completing them, and what they mean."""

from collections.abc import Iterator, Mapping

from rpcshell.line.language import Line, leading_word, parse
from rpcshell.line.suggest.suggestion import Suggestion


def suggest_aliases(typed: str, start: int, end: int, aliases: Mapping[str, str]) -> Iterator[Suggestion]:
    """Aliases that begin with what was typed; with what they stand for."""
    for name in sorted(aliases):
        if name.lower().startswith(typed.lower()):
            yield Suggestion(name, start, end, name, f"= {aliases[name]}", "alias")


def expand_alias(line: Line, aliases: Mapping[str, str]) -> tuple[Line, int] | None:
    """The line that one which begins with an alias stands for, and how far what follows the alias has moved."""
    meant = line
    used: set[str] = set()
    while aliases and (word := leading_word(meant)) is not None:
        start, end = word
        name = meant.text[start:end]
        if name in used or name not in aliases:
            break
        used.add(name)
        meant = parse(f"{meant.text[:start]}{aliases[name]}{meant.text[end:]}")
    return (meant, len(meant.text) - len(line.text)) if used else None
