"""Commands that show what the connected server offers: `:methods` and `:doc`."""

from __future__ import annotations

import fnmatch
import re
from typing import TYPE_CHECKING, Final

import click

from rpcshell.client.errors import NotConnected, UsageError
from rpcshell.commands.groups import TALK
from rpcshell.commands.method_page import columns, describe_method
from rpcshell.line.language import method_text
from rpcshell.shell.command import METHOD, command

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcshell.line.catalog import Catalog, Method
    from rpcshell.shell.session import Session
    from rpcshell.shell.shell import Shell

_MOST_LISTED: Final = 20_000


@command("methods", group=TALK, examples=(":methods", ":methods order", ":methods *.get"))
@click.argument("pattern", required=False)
def methods(shell: Shell, *, pattern: str | None) -> None:
    """List the methods of the server.

    With PATTERN only those whose names or summaries hold it, or match it where it has a *, ? or [; those that match by
    name come first.
    """
    catalog = _known_catalog(shell.session)
    names = sorted(catalog.methods)
    if pattern is not None:
        fits = matcher(pattern)
        by_name = [name for name in names if fits(name)]
        names = [*by_name, *(name for name in names if not fits(name) and fits(catalog.methods[name].summary))]
    if not names and pattern is None:
        raise UsageError("the server has no methods")
    if not names:
        raise UsageError(f"no method matches {pattern!r}", hint=":methods lists all")
    rows = columns([(name, _summary(catalog.methods[name])) for name in names[:_MOST_LISTED]])
    if len(names) > _MOST_LISTED:
        rows.append(f"  … {len(names) - _MOST_LISTED:,} more; :methods PATTERN finds them")
    shell.output.text("\n".join(rows))


@command("doc", group=TALK, examples=(":doc ping", ":doc order.place"))
@click.argument("method", type=METHOD)
def doc(shell: Shell, *, method: str) -> None:
    """Explain a METHOD, with a call of it to start from.

    Its text, its params with their types, defaults and limits, what it brings, its errors, and examples.
    """
    catalog = _known_catalog(shell.session)
    # Its name may be typed in the quotes that it needs, which are not in the word.
    spelled = (known for name, known in catalog.methods.items() if method_text(name) == f'"{method}"')
    found = catalog.methods.get(method) or next(spelled, None)
    if found is None:
        raise unknown_method(catalog, method)
    shell.output.text(describe_method(found))


def unknown_method(catalog: Catalog, method: str) -> UsageError:
    """The error for a method that the server does not have."""
    near = catalog.index.near(method)[:2]
    hint = f"did you mean {' or '.join(near)}?" if near else ":methods lists what there is"
    return UsageError(f"the server has no method {method!r}", hint=hint)


def _known_catalog(session: Session) -> Catalog:
    """What the target offers, once it has told.

    Raises:
        NotConnected: There is no target.
        UsageError: The target does not tell, or the connection to it is lost.
    """
    if session.target is None:
        raise NotConnected
    if not session.catalog.methods:
        # A connection that is only just made may not have told yet; this waits for that.
        session.method("")
    if session.catalog.methods:
        return session.catalog
    if session.plain:
        unsaid = f"{session.target} does not say what it offers; calls work all the same"
        raise UsageError(unsaid, hint=f":connect {session.target} --refresh asks again")
    if session.state == "lost":
        raise UsageError(f"the connection to {session.target} is lost", hint=f":connect {session.target} tries again")
    return session.catalog


def _summary(method: Method) -> str:
    return f"deprecated · {method.summary}".rstrip(" ·") if method.deprecated else method.summary


def matcher(pattern: str) -> Callable[[str], bool]:
    """Tells whether a text holds a pattern or, where that has a `*`, `?` or `[`, matches it as a file name does.

    Case makes no difference.
    """
    if any(character in pattern for character in "*?["):
        found = re.compile(fnmatch.translate(pattern), re.IGNORECASE)
        return lambda text: found.match(text) is not None
    plain = pattern.lower()
    return lambda text: plain in text.lower()
