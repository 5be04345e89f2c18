"""The servers that are measured: ours in each model, the limit in C, and others that people use."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
_BODY = b'{"in":"ping","params":{"a":1}}'
_FRAME = struct.pack("<I", len(_BODY)) + _BODY
_HTTP = b'POST /ping HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\n{"a":1}'
# Thrift's strict binary protocol: version and CALL, name, sequence, field 1 as i32, end of the struct.
_CALL = struct.pack(">Ii4siBhiB", 0x80010001, 4, b"ping", 0, 8, 1, 1, 0)
_THRIFT = struct.pack(">I", len(_CALL)) + _CALL


@dataclass(frozen=True, slots=True)
class Contestant:
    """A server: how it is started, its request as it goes on the wire, how its replies are framed, what it needs.

    Attributes:
        name: what it is called in the table; one of our own, which has no `command`, is called by its model.
        command: its words, with `{port}`, `{workers}`, and `{folder}`, where programs in C are built.
        request: a call as it goes on the wire.
        replies: the framing of its replies, for the load generator.
        module: what it needs from PyPI.
    """

    name: str
    command: tuple[str, ...] = ()
    request: bytes = _FRAME
    replies: str = "le"
    module: str | None = None


def _python(*words: str) -> tuple[str, ...]:
    return (sys.executable, "-m", *words)


def _stage(name: str) -> tuple[str, ...]:
    return _python("tests.bench.peers.stages", name, "{port}", "{workers}")


LIMIT: Final = Contestant("C limit", ("{folder}/limit_server", "{port}", "{workers}"))
"""What everything is compared to."""

OTHERS: Final = {
    "echo": Contestant("bare Python: echo", _stage("echo")),
    "messages": Contestant("… and decode, call, encode", _stage("messages")),
    "counted": Contestant("… and the scoreboard", _stage("counted")),
    "thrift": Contestant(
        "Thrift TProcessPoolServer",
        _python("tests.bench.peers.thrift_ping", "{port}", "{workers}"),
        _THRIFT,
        "be",
        "thrift",
    ),
    "gunicorn": Contestant(
        "gunicorn gthread, raw WSGI",
        _python(
            *("gunicorn", "-w", "{workers}", "-k", "gthread", "--threads", "8", "--keep-alive", "60"),
            *("-b", "127.0.0.1:{port}", "tests.bench.peers.wsgi_ping:application"),
        ),
        _HTTP,
        "http",
        "gunicorn",
    ),
    "uvicorn": Contestant(
        "uvicorn + uvloop, raw ASGI",
        _python(
            *("uvicorn", "--workers", "{workers}", "--port", "{port}", "--no-access-log", "--loop", "uvloop"),
            *("--log-level", "error", "tests.bench.peers.asgi_ping:application"),
        ),
        _HTTP,
        "http",
        "uvicorn",
    ),
    "granian": Contestant(
        "Granian, raw RSGI",
        _python(
            *("granian", "--interface", "rsgi", "--workers", "{workers}", "--port", "{port}", "--loop", "uvloop"),
            *("--log-level", "error", "tests.bench.peers.rsgi_ping:application"),
        ),
        _HTTP,
        "http",
        "granian",
    ),
}


def contestant(name: str) -> Contestant:
    """Find a contestant by the name it has on the command line; what is no other server is a model of ours."""
    found = OTHERS.get(name, Contestant(name))
    if found.module is not None and importlib.util.find_spec(found.module) is None:
        raise SystemExit(f"{found.name} is not installed: pip install thrift gunicorn uvicorn httptools granian")
    return found


def free_port() -> int:
    """A port that nothing listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def started(entrant: Contestant, folder: Path, workers: int) -> Iterator[tuple[int, int]]:
    """Start a contestant, and give its session and its port once it accepts."""
    if not entrant.command:
        with rpcserver(entrant.name, workers) as ours:
            yield ours
        return
    port = free_port()
    process = subprocess.Popen(
        [word.format(port=port, workers=workers, folder=folder) for word in entrant.command],
        cwd=ROOT,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(port, process)
        yield process.pid, port
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextmanager
def rpcserver(model: str, workers: int, *words: str) -> Iterator[tuple[int, int]]:
    """Start our server, with its demo unless `words` name an app; give its session and its port once all are ready."""
    ours, theirs = socket.socketpair()
    command = [sys.executable, "-P", "-m", "rpcserver", "--bind", "127.0.0.1:0", "--model", model]
    command += ["--workers", str(workers), "--link-fd", str(theirs.fileno()), *words]
    process = subprocess.Popen(command, start_new_session=True, pass_fds=[theirs.fileno()], stderr=subprocess.DEVNULL)
    theirs.close()
    try:
        ready = json.loads(ours.makefile().readline())
        yield process.pid, int(ready["addresses"][0].rpartition(":")[2])
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()
        ours.close()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    while process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except ConnectionRefusedError:
            os.sched_yield()
        else:
            return
    raise SystemExit(f"{process.args!r} ended with {process.returncode}")
