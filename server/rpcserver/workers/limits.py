"""How much a connection may hold, and how long it may wait, beside what the settings say."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from rpcserver.system.settings import ServerSettings

TICK: Final = 1.0  # seconds from one look at what is due to the next, at most
SAID_AGAIN: Final = 10.0  # seconds after which a worker says again that it is short of something

_LEAST_AGE: Final = 0.8

NEVER: Final = float("inf")  # the deadline of what may take as long as it likes
READ_SIZE: Final = 64 * 1024  # how many bytes one read takes

WRITE_SIZE: Final = 256 * 1024
"""How many bytes of a batch's replies are held before they are written, and how many are encrypted at a time."""

PROGRESS: Final = 64 * 1024  # a client that takes so many bytes of a reply has the whole write timeout again

LINGER_SECONDS: Final = 2.0
"""How long a connection is read at most, and what comes thrown away, after its last reply, unless the client ends it.

Closing over unread data resets a connection, and a reset may destroy replies that the client has not read yet
(RFC 1122, 4.2.2.13).
"""

LINGER_BYTES: Final = 64 * 1024  # how much of what comes then is thrown away at most


def tick_for(*allowed: float) -> float:
    """The longest wait, in seconds, after which it is noticed in time that one of these limits is over; 0 is none."""
    return min(TICK, *(limit or TICK for limit in allowed))


def grace_allowed(settings: ServerSettings) -> float:
    """How long a client that knows nothing of `close` has for one more request, in seconds.

    That and lingering take half of the drain timeout at most, so that a worker still has time to leave by itself.
    """
    return min(settings.drain_grace, settings.drain_timeout / 4 or NEVER)


def lingering_allowed(settings: ServerSettings) -> float:
    """How long a connection is read after its last reply, in seconds."""
    return min(LINGER_SECONDS, settings.drain_timeout / 8 or NEVER)


def silence_allowed(settings: ServerSettings, *, spoken: bool) -> float:
    """How long a client may be silent, in seconds, 0 for ever; before its first request no longer than within one."""
    idle = settings.idle_timeout
    return idle if spoken or not idle else min(idle, settings.read_timeout or idle)


def old_from(settings: ServerSettings, began: float) -> float:
    """When a connection is old that began then, in monotonic seconds: the last fifth of its age is drawn by lot."""
    age = settings.max_connection_age
    return began + age * random.uniform(_LEAST_AGE, 1.0) if age else NEVER  # noqa: S311 - no secret


def age_ends(old_from: float, quiet_since: float, grace: float, *, heeds_close: bool) -> float:
    """When an idle connection ends of its age: at once where a goodbye is heeded, else after a silence of `grace`."""
    return old_from if heeds_close else max(old_from, quiet_since + grace)


def reading_allowed(settings: ServerSettings, held: int, *, hurried: bool) -> float:
    """How long a request may take to arrive, in seconds; while others wait no longer than each 64 KiB of it may."""
    limit = settings.read_timeout or NEVER
    return min(limit, settings.reclaim_idle * (1 + held // PROGRESS)) if hurried else limit


def writing_allowed(settings: ServerSettings, *, hurried: bool) -> float:
    """How long a client may take for 64 KiB of a reply, in seconds; while others wait as long as it may be idle."""
    limit = settings.write_timeout or NEVER
    return min(limit, settings.reclaim_idle) if hurried else limit
