"""What a server offers where the server itself is not asked: an OpenRPC document in a file, or printed by a command."""

from __future__ import annotations

import subprocess
from codecs import BOM_UTF8
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rpcshell.client.dialects import Description
from rpcshell.client.errors import UsageError
from rpcwire import ParseError, decode_value

_PATIENCE: Final = 30.0
_SHOWN: Final = 200


def description_from(source: str | Path | Sequence[str]) -> Description:
    """Read an OpenRPC document of a file, or of a command that prints it, as a list of its arguments.

    Raises:
        UsageError: There is no such document.
    """
    name, data = _read(source)
    try:
        return Description(decode_value(data.removeprefix(BOM_UTF8)))
    except ParseError as error:
        raise UsageError(f"what {name} has is no JSON: {error}") from error


def _read(source: str | Path | Sequence[str]) -> tuple[str, bytes]:
    if isinstance(source, str | Path):
        try:
            return str(source), Path(source).read_bytes()
        except OSError as error:
            raise UsageError(f"the OpenRPC document {source} cannot be read: {error.strerror}") from error
    name = source[0] if source else ""
    try:
        done = subprocess.run([*source], stdin=subprocess.DEVNULL, capture_output=True, timeout=_PATIENCE, check=False)
    except (OSError, ValueError, IndexError) as error:
        raise UsageError(f"the command {name!r} for the OpenRPC document cannot be run: {error}") from error
    except subprocess.TimeoutExpired as error:
        raise UsageError(f"{name} did not print an OpenRPC document within {_PATIENCE:g} s") from error
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip()[-_SHOWN:]
        raise UsageError(f"{name}, which prints the OpenRPC document, ended with {done.returncode}", hint=said or None)
    return name, done.stdout
