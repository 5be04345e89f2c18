"""Who a client is to ZooKeeper: the user and the password of a file that nobody else may read."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

import msgspec

from rpcshell.client.errors import UsageError
from rpcwire.credentials import LARGEST_CREDENTIALS, is_exposed

__all__ = ["read_credentials"]

_HINT: Final = 'it has user = "..." and password = "..."'


class _Credentials(msgspec.Struct, forbid_unknown_fields=True):
    """What such a file holds; the ACL is for those who register, and may use the same file."""

    user: str
    password: str
    acl: list[str] = []


def read_credentials(file: str) -> str:
    """The user and the password of a TOML file, with a colon between them, as ZooKeeper's scheme `digest` takes them.

    Raises:
        UsageError: It cannot be read, others may read it, or it holds something else.
    """
    import tomllib

    try:
        found = msgspec.convert(tomllib.loads(_secret(Path(file))), _Credentials)
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        # Also of msgspec and tomllib, which repeat no more than a key or a character; it may be no text at all.
        problem = "is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else f"has no credentials: {error}"
        raise UsageError(f"{file} {problem}", hint=_HINT) from None
    if not found.user or ":" in found.user:
        raise UsageError(f"the user in {file} has to be a name without a colon", hint=_HINT)
    return f"{found.user}:{found.password}"


def _secret(path: Path) -> str:
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        if stat.S_ISREG(status.st_mode) and is_exposed(status):
            raise UsageError(f"{path} holds a password, and others may read it", hint=f"chmod 600 {path}")
        return file.read(LARGEST_CREDENTIALS).decode("utf-8-sig")
