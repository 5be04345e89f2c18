"""Bare prefork servers, each with one part more of what a call takes: `stages STAGE PORT WORKERS`.

`echo` sends back what it reads. `messages` also reads the request, calls a handler and writes the reply, with the same
libraries as the server. `counted` writes what the scoreboard shows as well. What our server costs beyond the last
one is what it has to do besides: deadlines, draining, errors.
"""

from __future__ import annotations

import gc
import mmap
import os
import socket
import struct
import sys
from collections.abc import Callable, Iterator
from time import monotonic_ns

import msgspec

from rpcwire import PREFIX_SIZE, ReplyEncoder, Request

_READ = 65536
_BEGAN = struct.Struct("2q")
_ENDED = struct.Struct("5q")
_SLOT = 256

Stage = Callable[[socket.socket, memoryview], None]


def echo(connection: socket.socket, _slot: memoryview) -> None:
    while data := connection.recv(_READ):
        connection.send(data)


def messages(connection: socket.socket, _slot: memoryview) -> None:
    read = msgspec.json.Decoder(Request).decode
    endpoints = _endpoints()
    for body in _bodies(connection):
        request = read(body)
        decode, call, encode = endpoints[request.method]
        connection.send(encode(call(decode(request.params))))


def counted(connection: socket.socket, slot: memoryview) -> None:
    read = msgspec.json.Decoder(Request).decode
    endpoints = _endpoints()
    began_into, ended_into = _BEGAN.pack_into, _ENDED.pack_into
    busy = bytes_in = bytes_out = 0
    for served, body in enumerate(_bodies(connection), 1):
        began = monotonic_ns()
        began_into(slot, 0, began, served)
        request = read(body)
        decode, call, encode = endpoints[request.method]
        reply = encode(call(decode(request.params)))
        ended = monotonic_ns()
        busy += ended - began
        bytes_in += PREFIX_SIZE + len(body)
        bytes_out += len(reply)
        ended_into(slot, _BEGAN.size, ended, served, busy, bytes_in, bytes_out)
        connection.send(reply)


def _bodies(connection: socket.socket) -> Iterator[bytes]:
    """The bodies of frames, whether a read brings a part of one or several."""
    held = b""
    while data := connection.recv(_READ):
        held += data
        while len(held) >= PREFIX_SIZE:
            end = PREFIX_SIZE + int.from_bytes(held[:PREFIX_SIZE], "little")
            if len(held) < end:
                break
            yield held[PREFIX_SIZE:end]
            held = held[end:]


def _endpoints() -> dict[str, tuple[Callable[..., object], Callable[..., object], Callable[..., bytes]]]:
    def ping(params: object) -> object:
        return params

    return {"ping": (msgspec.json.Decoder().decode, ping, ReplyEncoder("pong").encode)}


STAGES: dict[str, Stage] = {"echo": echo, "messages": messages, "counted": counted}


def main() -> None:
    stage, port, workers = STAGES[sys.argv[1]], int(sys.argv[2]), int(sys.argv[3])
    board = memoryview(mmap.mmap(-1, workers * _SLOT))
    listener = socket.create_server(("127.0.0.1", port), backlog=1024)
    gc.freeze()
    for number in range(workers):
        if not os.fork():
            slot = board[number * _SLOT : (number + 1) * _SLOT]
            while True:
                connection, _peer = listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with connection:
                    stage(connection, slot)
    os.wait()


if __name__ == "__main__":
    main()
