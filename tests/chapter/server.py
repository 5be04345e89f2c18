"""The server: `python -m tests.chapter.server PROCESSES [DELAY]` prints its port.

It serves until its standard input ends. Each question, also one that it dies of, takes it so many seconds.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable

Handler = Callable[[socket.socket, object], None]


def handle_conn(conn: socket.socket, handlers: dict[str, Handler], delay: float) -> None:
    while True:
        length_prefix = conn.recv(4)
        if not length_prefix:
            conn.close()
            break
        (length,) = struct.unpack("I", length_prefix)
        body = conn.recv(length)
        request = json.loads(body)
        time.sleep(delay)
        handlers[request["in"]](conn, request["params"])


def loop(sock: socket.socket, handlers: dict[str, Handler], delay: float) -> None:
    while True:
        conn, _ = sock.accept()
        handle_conn(conn, handlers, delay)


def ping(conn: socket.socket, params: object) -> None:
    send_result(conn, "pong", params)


def send_result(conn: socket.socket, out: str, result: object) -> None:
    response = json.dumps({"out": out, "result": result}).encode()
    conn.sendall(struct.pack("I", len(response)))
    conn.sendall(response)


def prefork(processes: int) -> list[int]:
    children = []
    for _ in range(processes):
        pid = os.fork()
        if pid == 0:
            return []
        children.append(pid)
    return children


def main() -> None:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", 0))
    sock.listen(1)
    children = prefork(int(sys.argv[1]))
    if not children:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115, PTH123 - its tracebacks are part of the plan
        loop(sock, {"ping": ping}, float(sys.argv[2]) if len(sys.argv) > 2 else 0.0)
    print(sock.getsockname()[1], flush=True)
    sys.stdin.read()
    for pid in children:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


if __name__ == "__main__":
    main()
