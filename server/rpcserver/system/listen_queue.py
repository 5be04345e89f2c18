"""How many connections wait to be accepted from a listening socket, as the kernel tells."""

from __future__ import annotations

import os
import select
import socket
import struct
from typing import Final

import msgspec

_TCP_INFO_SIZE: Final = 104
_TCP_SENT: Final = struct.Struct("=44xI")
"""tcpi_last_data_sent: of a connection on which nothing was sent, the milliseconds since it was there."""
_TCP_QUEUE: Final = struct.Struct("=24xII")  # linux/tcp.h: of a listener tcpi_unacked and tcpi_sacked

# linux/sock_diag.h, linux/unix_diag.h: a Unix socket is asked for by its inode over netlink(7).
_NETLINK_SOCK_DIAG: Final = 4
_SOCK_DIAG_BY_FAMILY: Final = 20
_NLM_F_REQUEST: Final = 1
_UDIAG_SHOW_RQLEN: Final = 0x10
_UNIX_DIAG_RQLEN: Final = 4
_ANY: Final = 0xFFFF_FFFF
_HEADER: Final = struct.Struct("=IHHII")
_REQUEST: Final = struct.Struct("=BBHIIIII")
_UNIX_MESSAGE: Final = struct.Struct("=BBBBIII")
_ATTRIBUTE: Final = struct.Struct("=HH")
_LENGTHS: Final = struct.Struct("=II")


class ListenQueue(msgspec.Struct, frozen=True):
    """How many connections wait to be accepted, and how many can."""

    waiting: int
    limit: int


def listen_queue(listening: socket.socket) -> ListenQueue | None:
    """Ask for a listening socket's queue; None where the kernel does not tell: of Unix sockets only some do."""
    try:
        if listening.family == socket.AF_UNIX:
            return _unix_queue(os.fstat(listening.fileno()).st_ino)
        info = listening.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_SIZE)
        return ListenQueue(*_TCP_QUEUE.unpack_from(info))
    except (OSError, struct.error):
        return None


def clients_waiting(listening: socket.socket) -> int:
    """How many connections wait to be accepted; 1 for any number where the kernel does not tell the queue."""
    if (queue := listen_queue(listening)) is not None:
        return queue.waiting
    if listening.fileno() < 0:
        return 0
    poll = select.poll()
    poll.register(listening, select.POLLIN)
    return len(poll.poll(0))


def time_queued(accepted: socket.socket) -> int | None:
    """Ask how long a connection that was just accepted has waited, in nanoseconds, exact to a few milliseconds.

    None where the kernel does not tell, as of Unix sockets.
    """
    if accepted.family == socket.AF_UNIX:
        return None
    try:
        (milliseconds,) = _TCP_SENT.unpack_from(
            accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_SENT.size)
        )
    except (OSError, struct.error):
        return None
    return int(milliseconds) * 1_000_000


def _unix_queue(inode: int) -> ListenQueue | None:
    request = _REQUEST.pack(socket.AF_UNIX, 0, 0, _ANY, inode, _UDIAG_SHOW_RQLEN, _ANY, _ANY)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK, _NETLINK_SOCK_DIAG) as kernel:
        kernel.send(_HEADER.pack(_HEADER.size + len(request), _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, 1, 0) + request)
        # The kernel answers within the send, so there is nothing to wait for.
        answer = kernel.recv(4096)
    _, kind, *_ = _HEADER.unpack_from(answer)
    if kind != _SOCK_DIAG_BY_FAMILY:
        return None
    at = _HEADER.size + _UNIX_MESSAGE.size
    while at + _ATTRIBUTE.size <= len(answer):
        length, attribute = _ATTRIBUTE.unpack_from(answer, at)
        if attribute == _UNIX_DIAG_RQLEN:
            return ListenQueue(*_LENGTHS.unpack_from(answer, at + _ATTRIBUTE.size))
        at += max(_ATTRIBUTE.size, (length + 3) & ~3)
    return None
