"""Completion of method names."""

from collections.abc import Iterator

from rpcshell.line.catalog import Catalog
from rpcshell.line.language import method_text
from rpcshell.line.suggest.suggestion import Suggestion


def suggest_methods(typed: str, start: int, end: int, catalog: Catalog, limit: int) -> Iterator[Suggestion]:
    """Methods for what was typed so far, to replace `start` to `end`; deprecated ones last."""
    methods = [catalog.methods[name] for name in catalog.index.search(typed, limit)]
    for method in sorted(methods, key=lambda method: method.deprecated):
        text = method_text(method.name)
        meta = f"deprecated · {method.summary}".rstrip(" ·") if method.deprecated else method.summary
        yield Suggestion(text, start, end, text, meta, "method")
