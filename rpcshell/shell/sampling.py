"""A model that servers of MCP may ask (`sampling/createMessage`), as a command of the user's.

It is given the request's params as JSON on its standard input, and prints the result as JSON.
"""

from __future__ import annotations

import subprocess
import weakref
from typing import TYPE_CHECKING, Any, Final

from rpcshell.client.dialects.mcp.requests import SAMPLING
from rpcshell.client.errors import CallError
from rpcwire import ErrorCode, ParseError, decode_value, encode_value

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rpcshell.client.dialects import ServerRequest

_PATIENCE: Final = 600.0
"""Seconds that a model may take."""

_SHOWN: Final = 200


def sampling_by(command: Sequence[str]) -> dict[str, Callable[[ServerRequest], Any]]:
    """What answers requests for sampling, by their method: it runs a command, once for each.

    It raises a `CallError`, which is the server's answer then, where the command cannot be run, ends with another code
    than 0, or prints no JSON.
    """

    def answer(request: ServerRequest) -> Any:
        try:
            process = subprocess.Popen(
                [*command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
        except (OSError, ValueError) as error:
            raise _failed(f"cannot be run: {error}") from error
        # Whoever leaves the shell does not wait for it.
        end = weakref.finalize(process, process.kill)
        try:
            said, complaint = process.communicate(encode_value(request.params), _PATIENCE)
        except subprocess.TimeoutExpired as error:
            raise _failed(f"said nothing within {_PATIENCE:g} s") from error
        finally:
            end()
            process.wait()
        if process.returncode:
            last = complaint.decode("utf-8", "replace").strip()[-_SHOWN:]
            raise _failed(f"ended with {process.returncode}: {last}".rstrip(": "))
        try:
            return decode_value(said)
        except ParseError as error:
            raise _failed(f"printed no JSON: {error}") from error

    return {SAMPLING: answer}


def _failed(how: str) -> CallError:
    return CallError(f"the command that asks a model {how}", code=ErrorCode.INTERNAL_ERROR)
