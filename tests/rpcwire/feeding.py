"""Ways to bring the same bytes to a decoder: whole, byte by byte, and cut where a test says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rpcwire.framings import Decoder


def cut(data: bytes, places: Sequence[int]) -> Iterator[bytes]:
    """Cut `data` at each of `places` that lies inside it; pieces may be empty."""
    ends = sorted(min(place, len(data)) for place in places)
    start = 0
    for end in [*ends, len(data)]:
        yield data[start:end]
        start = end


def single_bytes(data: bytes) -> Iterator[bytes]:
    """One byte at a time."""
    for place in range(len(data)):
        yield data[place : place + 1]


def decode(decoder: Decoder, pieces: Iterator[bytes] | Sequence[bytes]) -> list[bytes]:
    """Feed the pieces and take every frame as soon as it is there."""
    bodies = []
    for piece in pieces:
        decoder.feed(piece)
        while (body := decoder.next_frame()) is not None:
            bodies.append(bytes(body))
    return bodies
