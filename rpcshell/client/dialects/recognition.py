"""How a server that nobody has named is told by its first bytes: what dialects say to it, and what they make of those.

A dialect that wants to be found without its name has two attributes, which `FramedDialect` leaves empty: `guesses` and
`recognises`. Who moves the bytes is `rpcshell.client.detecting`, who says when `rpcshell.client.detection`.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final, Protocol

import msgspec

from rpcshell.client.dialects.lenient import as_mapping
from rpcwire import FrameError, ParseError, decode_value, encode_request
from rpcwire.framing import PREFIX_SIZE, frame
from rpcwire.framings import FRAMINGS

MOST_FIRST_BYTES: Final = 64 * 1024
"""How much of what a server says on one connection is looked at."""

_MOST_MESSAGES: Final = 32
"""Messages among which one has to tell what is spoken; others, such as events, may come before it."""

HTTP: Final = "http"
"""What is recognised of a server of HTTP before it is known what it speaks over that."""

NATIVE: Final = "native"
"""rpcshell's own protocol, whose name may be left out before an address."""

_NUL: Final = b"\0"
_HEADER: Final = b"content-length"
_REPLY: Final = re.compile(rb'\s*\{\s*"(?:out|close)"\s*:')


class Guess(msgspec.Struct, frozen=True):
    """What is said to a server that nobody knows, on a connection of its own, for it to show by its answer what it is.

    Attributes:
        said: The bytes; with `refines=HTTP` the body of a POST, or none for a GET. They should ask for little and
            change nothing.
        name: What they are, in a few words for people: "a line of JSON-RPC".
        rank: Guesses are made from the lowest rank on: what most servers answer tellingly comes first.
        refines: Where it is made only once this has been recognised, as `NAME` or `NAME+FRAMING`, or `HTTP`.
        beside: Whether it may be made while others of its rank, which may be so as well, still wait for their answers.
    """

    said: bytes
    name: str
    rank: int = 50
    refines: str = ""
    beside: bool = False


class Recognition(msgspec.Struct, frozen=True):
    """What a server's first bytes tell of it.

    Attributes:
        spoken: The dialect as it stands before an address, `NAME` or `NAME+FRAMING`.
        certain: Whether it is just that, and no dialect of which that is only the common part: then it stands though
            another one recognises the bytes as well, and no guess refines it.
    """

    spoken: str
    certain: bool = True


class Recogniser(Protocol):
    """The part of a dialect, of its class or an instance, that detection uses."""

    @property
    def guesses(self) -> tuple[Guess, ...]:
        """What is to be said, where what others say does not show such a server."""

    def recognises(self, first: bytes, guess: Guess) -> Recognition | None:
        """What the first bytes of a server tell, or None where they do not, or not yet.

        It is called again with all that has come whenever more has, for the guesses of other dialects too.

        Args:
            first: All that has come so far, up to `MOST_FIRST_BYTES`; a server may have said it unasked.
            guess: What was said to it on this connection.
        """


class NativeSigns:
    """The recogniser of the native protocol, whose dialect is loaded for every call and should not need this."""

    # Simple servers die of a method that they do not know, and all that there are know this one.
    guesses: Final = (Guess(frame(encode_request("ping")), "a ping of rpcshell's own protocol", rank=0),)

    @staticmethod
    def recognises(first: bytes, guess: Guess) -> Recognition | None:
        """A reply, of which the beginning is enough."""
        begun = framing_seen(first) == "u32le" and _REPLY.match(first, PREFIX_SIZE)
        return Recognition(NATIVE) if begun else None


def framing_seen(first: bytes) -> str | None:
    """The framing that the beginning of a stream shows, one of `rpcwire.framings.FRAMINGS`, if it is one of JSON.

    Lines are told as "stream", which reads them too.
    """
    if first[: len(_HEADER)].lower() == _HEADER:
        return "content-length"
    prefix, rest = first[:PREFIX_SIZE], first[PREFIX_SIZE:]
    # A length may look like the beginning of JSON, but JSON has no NUL in it, and no length of what is read here none.
    if _NUL in prefix and _begins_value(rest):
        return "u32le" if int.from_bytes(prefix, "little") <= int.from_bytes(prefix, "big") else "u32be"
    if _begins_value(first):
        return "nul" if _NUL in first else "stream"
    return None


def messages_in(first: bytes, framing: str) -> Iterator[Any]:
    """The whole messages of JSON that a stream in this framing begins with, decoded; of many the first."""
    try:
        for body in _bodies(first, framing):
            yield decode_value(body)
    except ParseError:
        return


def first_object(first: bytes, framing: str) -> dict[str, Any]:
    """The first whole message in this framing where it is an object, or else an empty one."""
    return as_mapping(next(messages_in(first, framing), None))


# Each recogniser takes the same bytes apart, and a server may say much that takes long to.
@lru_cache(maxsize=8)
def _bodies(first: bytes, framing: str) -> tuple[bytes | bytearray, ...]:
    decoder = FRAMINGS[framing].decoder(MOST_FIRST_BYTES)
    decoder.feed(first)
    found: list[bytes | bytearray] = []
    with contextlib.suppress(FrameError):
        while len(found) < _MOST_MESSAGES and (body := decoder.next_frame()) is not None:
            found.append(body)
    return tuple(found)


def _begins_value(data: bytes) -> bool:
    return data.lstrip(b" \t\r\n")[:1] in (b"{", b"[")
