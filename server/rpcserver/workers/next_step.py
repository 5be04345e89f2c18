"""What a conversation has its driver do next."""

from __future__ import annotations

import enum


class Next(enum.Enum):
    """What a driver does next."""

    READ = "wait for bytes, and pass them to `receive`"
    ANSWER = "run what `next_request` gives, and `hold` the replies"
    WRITE = "wait until the client takes more of `outgoing`"
    LINGER = "say that no more comes, call `linger`, and read to the client's end"
    CLOSE = "close"


READ, ANSWER, WRITE, LINGER, CLOSE = Next
"""By themselves, since looking one up in its class takes longer than most of what is done in between (Python 3.11)."""
