"""What goes into an exported file: the calls, where they went, and what is known of how they would go again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import msgspec

from rpcshell.view.escape import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rpcshell.client.tls import TlsFiles
    from rpcshell.line.catalog import Method
    from rpcshell.shell.call import Call

__all__ = ["Export", "Key", "call_key", "files_of", "introduction", "leave_out", "targets_of", "time_limit"]

Key = tuple[str, str, str]
"""What makes two calls the same: target, method and params."""

_DEEPEST: Final = 50
"""Levels of params that a file can have: Python's own parser gives up at a hundred or two."""

_LONG: Final = 30.0
"""Seconds after which a call gets a time limit of its own, since the client's may be too short for it."""


class Export(msgspec.Struct, frozen=True, kw_only=True):
    """Calls to be exported.

    Attributes:
        records: The calls, oldest first; all of them were answered.
        version: Of the shell.
        date: Of the export, as people write it.
        file: What the file will be called.
        plain: The targets that are sent nothing but a method and its params.
        methods: What is known of the methods that were called, by name.
        again: Further results of calls, by `call_key`.
        exact: Whether results are expected as they were, unless it is known that they change.
        tls: The files of TLS, by target.
    """

    records: Sequence[Call]
    version: str
    date: str
    file: str = "FILE"
    plain: frozenset[str] = frozenset()
    methods: Mapping[str, Method] = msgspec.field(default_factory=dict)
    again: Mapping[Key, Sequence[Any]] = msgspec.field(default_factory=dict)
    exact: bool = False
    tls: Mapping[str, TlsFiles] = msgspec.field(default_factory=dict)


def call_key(record: Call) -> Key:
    """What two calls have in common that are the same."""
    return record.target, record.method, json.dumps(record.params, sort_keys=True)


def leave_out(records: Iterable[Call]) -> tuple[list[Call], int]:
    """The calls that can be exported, and how many cannot: they got no reply, or their params were not kept."""
    kept: list[Call] = []
    count = 0
    for count, record in enumerate(records, 1):  # noqa: B007  (read at the end)
        if record.outcome in {"ok", "error"} and record.has_params and _depth_below(record.params, _DEEPEST):
            kept.append(record)
    return kept, count - len(kept)


def targets_of(records: Iterable[Call]) -> dict[str, str]:
    """The targets of calls in order, each with what a name for it ends in: nothing, then `_2`, `_3`."""
    targets = dict.fromkeys(record.target for record in records)
    return {target: f"_{number}" if number > 1 else "" for number, target in enumerate(targets, 1)}


def files_of(export: Export, target: str) -> dict[str, str]:
    """The files of TLS of a target that are not the system's own, by what `TlsFiles` calls them."""
    files = export.tls.get(target)
    named = {} if files is None else {"ca": files.ca, "cert": files.cert, "key": files.key}
    return {name: path for name, path in named.items() if path is not None}


def introduction(export: Export, program: str, what: str = "") -> list[str]:
    """The lines a file begins with: what it is, where the calls went, and how it is run.

    Args:
        export: The calls.
        program: What runs the file.
        what: What the calls are in it.
    """
    variables = [f"RPCSHELL_TARGET{ending}" for ending in targets_of(export.records).values()]
    names = f"{variables[0]} names another" if len(variables) == 1 else f"{' and '.join(variables)} name others"
    return [
        f"Calls of a session with rpcshell {export.version} on {export.date}{what}.",
        "",
        f"They went to {visible(', '.join(targets_of(export.records)))}; {names}.",
        f"Run it, while a server is there, with: {program} {visible(export.file)}",
    ]


def time_limit(records: Iterable[Call]) -> int | None:
    """Seconds that a call may take, where the client's own limit may be too short for what was seen."""
    longest = max((record.elapsed for record in records), default=0.0)
    return round(3 * longest) if longest > _LONG else None


def _depth_below(value: Any, limit: int) -> bool:
    level = [value]
    for _ in range(limit):
        level = [inner for item in level for inner in _inside(item)]
        if not level:
            return True
    return False


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list | tuple) else ()
