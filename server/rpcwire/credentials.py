"""Who may read a file that holds a password, by which a server or a client is somebody to a registry. Sans-IO."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import os

LARGEST_CREDENTIALS: Final = 64 * 1024
"""Bytes that are read of such a file."""

_OTHERS: Final = stat.S_IRWXO
_GROUP_AND_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def is_exposed(status: os.stat_result) -> bool:
    """Whether others than its owner have rights to a file; root may share one with a group, as Kubernetes does.

    PostgreSQL has the same rule for keys: https://www.postgresql.org/docs/current/ssl-tcp.html
    """
    return bool(status.st_mode & (_OTHERS if status.st_uid == 0 else _GROUP_AND_OTHERS))
