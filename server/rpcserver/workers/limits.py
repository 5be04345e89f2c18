"""How much a connection may hold, and how long it may wait, where no setting says so."""

from __future__ import annotations

from time import monotonic
from typing import Final

NEVER: Final = float("inf")
"""The deadline of what may take as long as it likes."""

READ_SIZE: Final = 64 * 1024
"""How much one read takes."""

WRITE_SIZE: Final = 256 * 1024
"""How much of a batch's replies is held before it is written, and how much is encrypted at a time."""

PROGRESS: Final = 64 * 1024
"""A client that takes so many bytes of a reply has the whole write timeout again."""

LINGER_SECONDS: Final = 2.0
"""How long a connection is read, and what comes thrown away, after its last reply, unless the client ends it.

Closing over unread data resets a connection, and a reset may destroy replies that the client has not read yet
(RFC 1122, 4.2.2.13).
"""

LINGER_BYTES: Final = 64 * 1024
"""How much is thrown away then."""


def deadline_in(limit: float) -> float:
    """Return when that many seconds are over, in monotonic seconds; 0 is without end."""
    return monotonic() + limit if limit else NEVER
