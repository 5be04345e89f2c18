"""What an app has made while it was imported and a fork does not carry over: found by a stem, and said with a cure.

The kernel is asked where it can tell, for that holds whatever library has made a thing: proc(5) for threads and
descriptors, the sockets for their other ends, files for the databases in them.
"""

from __future__ import annotations

import gc
import os
import re
import socket
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rpcserver.system.process import await_child
from rpcserver.system.sockets import looked_at

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable, Iterator, Mapping, Sequence

_SHOWN: Final = 3

_GPUS: Final = ("/dev/nvidia", "/dev/kfd", "/dev/dri/renderD", "/dev/accel")
_OPENMP: Final = re.compile(r"/(lib(?:gomp|iomp5|omp)\b[^/\n]*)$", re.MULTILINE)
_QUEUES: Final = ("anon_inode:[eventpoll]", "anon_inode:[io_uring]")

_SERVERS: Final = {
    1433: "SQL Server",
    1521: "Oracle",
    3306: "MySQL",
    5432: "PostgreSQL",
    5672: "AMQP",
    6379: "Redis",
    9042: "Cassandra",
    11211: "memcached",
    27017: "MongoDB",
}
"""What usually listens on a port."""

_MARKS: Final = ((0, b"SQLite format 3\0", "SQLite"), (8, b"DUCK", "DuckDB"), (16, b"\xde\xc0\xef\xbe", "LMDB"))
"""Where files of databases have which bytes."""

_MARKED: Final = 32

_CURE: Final = "@service.on_worker_start, which runs in each worker"


def open_descriptors() -> dict[int, str]:
    """The descriptors of this process, with what they lead to; none where there is no proc(5)."""
    found: dict[int, str] = {}
    try:
        names = os.listdir("/proc/self/fd")  # noqa: PTH208 - numbers
    except OSError:
        return found
    for name in names:
        try:
            found[int(name)] = os.readlink(f"/proc/self/fd/{name}")  # noqa: PTH115 - as above
        except OSError:
            # The folder was read by this descriptor, which is closed now.
            continue
    return found


def fork_hazards(before: Mapping[int, str], fork: Callable[[], int]) -> Iterator[str]:
    """Say what workers will not have, or will disturb each other by, a line for each kind.

    What was open `before` is not the app's, and `fork` does what os.fork does.
    """
    opened = {fd: place for fd, place in open_descriptors().items() if before.get(fd) != place}
    loops = _event_loops()
    yield from _of_threads(fork)
    if loops or any(place in _QUEUES for place in opened.values()):
        running = " that runs in a thread" if any(loop.is_running() for loop in loops) else ""
        yield f"the app has made an event loop{running}, and workers would take each other's events: make it in {_CURE}"
    sockets = [text for fd, place in opened.items() if place.startswith("socket:") and (text := _socket(fd, loops))]
    if sockets:
        yield f"the app has opened {_several(sockets)}, which workers would talk on all at once: open it in {_CURE}"
    databases = [text for fd, place in opened.items() if place.startswith("/") and (text := _database(fd, place))]
    if databases:
        yield (
            f"the app has opened {_several(databases)}, and workers that share the handle can destroy what is in it: "
            f"open it in {_CURE}"
        )
    if gpus := sorted({place for place in opened.values() if place.startswith(_GPUS)}):
        yield f"the app has initialised a GPU ({_several(gpus)}), which workers cannot use then: do that in {_CURE}"


def _of_threads(fork: Callable[[], int]) -> Iterator[str]:
    if not _other_threads():
        return
    # Libraries that see to forks, such as OpenBLAS, have ended their threads then, and start them again when needed.
    child = fork()
    if child == 0:
        os._exit(0)
    await_child(child)
    names = {thread.native_id: thread.name for thread in threading.enumerate()}
    left = _other_threads()
    known = [names[thread] for thread in left if thread in names]
    if known:
        threads = "a thread" if len(known) == 1 else f"{len(known)} threads"
        yield f"the app has started {threads} ({_several(known)}), and workers have none of that: start it in {_CURE}"
    if len(left) == len(known):
        return
    if openmp := _OPENMP.search(_mapped()):
        yield (
            f"the app has started OpenMP ({openmp[1]}), for whose threads workers would wait forever: compute first in "
            f"{_CURE}, or set OMP_NUM_THREADS=1"
        )
    else:
        number = len(left) - len(known)
        threads = "a thread" if number == 1 else f"{number} threads"
        yield f"a library of the app's has started {threads}, which workers do not have: have it start in {_CURE}"


def _other_threads() -> list[int]:
    try:
        return [int(name) for name in os.listdir("/proc/self/task") if int(name) != os.getpid()]  # noqa: PTH208
    except OSError:
        return []


def _mapped() -> str:
    try:
        return Path("/proc/self/maps").read_text()
    except OSError:
        return ""


def _event_loops() -> list[AbstractEventLoop]:
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return []
    loops = (item for item in gc.get_objects() if issubclass(type(item), asyncio.AbstractEventLoop))
    return [loop for loop in loops if not loop.is_closed()]


def _socket(descriptor: int, loops: Sequence[object]) -> str | None:
    """Describe a socket; None for what an event loop wakes itself by."""
    try:
        with looked_at(descriptor) as found:
            try:
                if found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                    return f"a socket that listens at {_address(found.getsockname())}"
                peer = found.getpeername()
            except OSError:
                return "a socket"
    except OSError:
        return None
    if peer == "":
        return None if loops else "a pair of sockets"
    return f"a connection to {_address(peer)}"


def _address(name: object) -> str:
    match name:
        case (str(host), int(port), *_):
            server = f" ({_SERVERS[port]})" if port in _SERVERS else ""
            return f"[{host}]:{port}{server}" if ":" in host else f"{host}:{port}{server}"
        case bytes():
            return f"unix:@{name[1:].decode('utf-8', 'replace')}"
        case _:
            return f"unix:{name}"


def _database(descriptor: int, place: str) -> str | None:
    try:
        head = os.pread(descriptor, _MARKED, 0)
    except OSError:
        # It cannot be read, or cannot be read from its beginning.
        return None
    kind = next((kind for start, mark, kind in _MARKS if head[start:].startswith(mark)), None)
    return None if kind is None else f"the {kind} database {place}"


def _several(texts: list[str]) -> str:
    distinct = list(dict.fromkeys(texts))
    more = len(distinct) - _SHOWN
    return ", ".join(distinct[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
