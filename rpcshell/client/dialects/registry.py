"""Dialects loaded by their names: what makes one for a connection, how it is framed, and what else it says of itself.

Which names there are is `dialect_names`' to say; nothing here speaks a dialect.

Those that a configuration names are given along, as `dialects`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from functools import partial
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal

from rpcshell.client.dialect_names import OWN, in_other_packages, unknown_dialect
from rpcshell.client.errors import UsageError

if TYPE_CHECKING:
    from rpcshell.client.dialects import DialectFactory
    from rpcwire import Floats

Trait = Literal["announces", "serves_one"]
"""Whether servers are told what else their client can be asked for, as MCP's are of a model; or serve one at a time."""

_NONE: Final[Mapping[str, DialectFactory]] = MappingProxyType({})


def prefixes(typed: str, dialects: Mapping[str, DialectFactory] = _NONE) -> list[str]:
    """What a target may begin with that begins as typed: each dialect, the framings of one that is named, and after its
    colon the kinds of addresses at which it may be spoken.
    """
    spoken, colon, _ = typed.partition(":")
    if colon:
        return [prefix for prefix in _addresses(spoken, dialects) if prefix.startswith(typed)]
    name, plus, _ = typed.partition("+")
    found = [] if plus else [f"{known}:" for known in sorted({*OWN, *dialects, *in_other_packages()})]
    if name:
        with contextlib.suppress(UsageError):
            found += [f"{name}+{framing}:" for framing in getattr(load_dialect(name, dialects), "framings", ())[1:]]
    return [prefix for prefix in found if prefix.startswith(typed)]


def _addresses(spoken: str, dialects: Mapping[str, DialectFactory]) -> list[str]:
    name, _, framing = spoken.partition("+")
    with contextlib.suppress(UsageError):
        dialect = load_dialect(name, dialects)
        kinds = ["unix:", "tls://"]
        if getattr(dialect, "listens", True):
            kinds.append("exec:")
        if getattr(dialect, "over_http", False) and not framing:
            kinds.append("https://")
        return [f"{spoken}:{kind}" for kind in kinds]
    return []


def dialect_factory(
    spoken: str,
    *,
    given: DialectFactory | None = None,
    http: bool = False,
    answers: Iterable[str] = (),
    options: Mapping[str, Any] | None = None,
) -> DialectFactory:
    """What makes the dialect that a target's prefix names, `NAME` or `NAME+FRAMING`, for each connection.

    Where no dialect here has that name it is the one `given`; messages may be bodies of `http`. Servers are told of the
    methods that the client's program `answers`, where the dialect `announces` them.

    Raises:
        UsageError: There is no such dialect, or it has no such framing or no options.
    """
    name, _, framing = spoken.partition("+")
    dialect: Any = load_dialect(name) if given is None else given
    name = name or getattr(dialect, "__name__", type(dialect).__name__)
    framings: tuple[str, ...] = getattr(dialect, "framings", ())
    if framing and framing not in framings:
        hint = f"it has {', '.join(framings)}" if framings else "it has only one"
        raise UsageError(f"the dialect {name} has no framing {framing!r}", hint=hint)
    if http:
        if framing or not getattr(dialect, "over_http", False):
            hint = "over a socket, TLS, or a child's standard streams it may be"
            raise UsageError(f"{spoken or name} is not spoken over HTTP", hint=hint)
        framing = "stream"
    fixed: dict[str, Any] = {"framing": framing} if framing else {}
    if getattr(dialect, "announces", False) and (asked := frozenset(answers)):
        fixed["answers"] = asked
    factory: DialectFactory = partial(dialect, **fixed) if fixed else dialect
    if not options:
        return factory
    if not hasattr(dialect, "configure"):
        raise UsageError(f"the dialect {name} has no options")

    def configured(max_reply: int, floats: Floats) -> Any:
        made: Any = factory(max_reply, floats)
        made.configure(options)
        return made

    return configured


def has_trait(spoken: str, trait: Trait, dialects: Mapping[str, DialectFactory] = _NONE) -> bool:
    """Whether a dialect says that of itself; raises `UsageError` where there is none of that name."""
    return bool(getattr(load_dialect(spoken.partition("+")[0], dialects), trait, False))


def framing_of(spoken: str, dialects: Mapping[str, DialectFactory] = _NONE) -> str:
    """How messages are told apart in a stream where this is spoken, one of `rpcwire.framings.FRAMINGS`.

    That is nothing where the dialect does not say. If nothing is spoken, it is the native protocol.

    Raises:
        UsageError: There is no such dialect.
    """
    if not spoken:
        return "u32le"
    name, _, framing = spoken.partition("+")
    framings: tuple[str, ...] = getattr(load_dialect(name, dialects), "framings", ())
    return framing or next(iter(framings), "")


def load_dialect(name: str, dialects: Mapping[str, DialectFactory] = _NONE) -> Any:
    """The dialect of a name; raises `UsageError` where there is none, or it cannot be loaded."""
    if (own := OWN.get(name)) is not None:
        module, _, attribute = own.partition(":")
        return getattr(import_module(f"rpcshell.client.dialects.{module}"), attribute)
    if (named := dialects.get(name)) is not None:
        return named
    others = in_other_packages()
    if name not in others:
        raise unknown_dialect(name, dialects)
    try:
        return others[name].load()
    except Exception as error:
        # Another package's module may raise anything.
        raise UsageError(f"the dialect {name} cannot be loaded: {type(error).__name__}: {error}") from error
