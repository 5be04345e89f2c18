"""The variables of a session: results under the names that lines gave them, and the last one as `$_`.

How a line names a variable and a place in it is the language's business.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rpcshell.line.language import VariableNode

__all__ = ["LAST", "Variables"]

LAST: Final = "_"
"""The name of the last result."""


class Variables(Mapping[str, Any]):
    """Names and their values, in the order in which they were first given."""

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __setitem__(self, name: str, value: Any) -> None:
        self._values[name] = value

    def names(self) -> tuple[str, ...]:
        """All names, without the dollar sign."""
        return tuple(self._values)

    def clear(self) -> None:
        """Forget all of them."""
        self._values.clear()

    def lookup(self, path: VariableNode) -> Any:
        """The value at a path such as `$u.items[0].id`.

        Raises:
            LineError: There is no such variable, or no such place in it: the column, and what there is.
        """
        from rpcshell.line.language import walk

        return walk(self._values, path)
