"""What a server speaks, sans-IO: the class of a dialect makes one for each connection.

`native`, which answers and says nothing else, is read only while a call waits, by whoever makes the call. Every other
one listens: its connection is read all the time, replies find their calls by number, and events and requests of the
server arrive between them. Such a dialect is a class derived from `rpcshell.client.dialects.framed.FramedDialect`,
which does the framing; `registry` finds it by its name, also in other packages. What only one dialect needs has that
one's name in its own, or is in a folder of that name. The guide `own-dialect.md` shows a whole one, `jsonrpc` is the
one to read here. It brings

- `encode_call`, and `read`, which says what a message of the server is: a `Reply` or `Partial` with the number of its
  call, an `Event`, or a `ServerRequest`;
- `hello`, `describe` and `bye`: `Steps`, which ask, tell and hear what the handshake, discovery and leaving take;
- `cancel`, `answer` and `default_answer`: the bytes that end a call early and answer the server's requests.

Whatever moves the bytes, and in whichever thread or loop, is nothing to a dialect.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rpcshell.client.dialects.messages import (
    Event,
    Form,
    FormAction,
    Message,
    Partial,
    Progress,
    ServerRequest,
    Stray,
    TextReply,
)
from rpcshell.client.dialects.steps import (
    Ask,
    Description,
    HandshakeFailed,
    Hear,
    HttpRequest,
    Step,
    Steps,
    Tell,
    follow,
    follow_async,
)
from rpcwire import Floats

if TYPE_CHECKING:
    from rpcshell.client.dialects.framed import FramedDialect
    from rpcshell.client.dialects.native import Native

__all__ = [
    "Ask",
    "Description",
    "DialectFactory",
    "Event",
    "Form",
    "FormAction",
    "HandshakeFailed",
    "Hear",
    "HttpRequest",
    "Message",
    "Partial",
    "Progress",
    "ServerRequest",
    "Step",
    "Steps",
    "Stray",
    "Tell",
    "TextReply",
    "follow",
    "follow_async",
]

DialectFactory = Callable[[int, Floats], "Native | FramedDialect"]
"""Makes the dialect of a new connection; it is given the most bytes that a reply may have, and what floats become."""
