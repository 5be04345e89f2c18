"""Errors of servers in the words of the shell, where a server speaks to programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rpcshell.client.errors import CallError
from rpcwire import ErrorCode

if TYPE_CHECKING:
    from rpcshell.client.errors import ShellError

__all__ = ["worded"]

_FOR_PROGRAMS: Final = "; rpc.discover lists the methods"
"""What our server advises where it knows no near name."""


def worded(error: ShellError) -> tuple[str, str | None]:
    """The message and the hint of an error as the shell says them.

    Returns:
        The error's own, but for a method that is not there: then the hint is how to find one.
    """
    if not isinstance(error, CallError) or error.code != ErrorCode.METHOD_NOT_FOUND or error.hint:
        return error.message, error.hint
    near = error.data.get("suggestions") if isinstance(error.data, dict) else None
    return error.message.removesuffix(_FOR_PROGRAMS), None if near else ":methods lists what there is"
