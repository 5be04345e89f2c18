"""The process that programs are forks of: it has imported one, forks for each request, and waits for its forks."""

from __future__ import annotations

import atexit
import fcntl
import gc
import io
import json
import os
import pkgutil
import runpy
import select
import socket
import sys
import termios
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest import mock

from tests.forks import LARGEST, STARTING, Forks, Origin, locked

_IMPORTED = {
    "rpcserver": (
        "rpcserver.__main__",
        "rpcserver.run",
        "rpcserver.arbiter",
        "rpcserver.service.openrpc",
        "rpcserver.testing.demo",
        "rpcserver.workers.fork",
        "rpcserver.workers.pool",
        "rpcserver.workers.stem",
        "rpcserver.workers.sync",
        "rpcserver.workers.thread",
    ),
    "rpcshell.lab.load.process": (
        "rpcshell.lab.load.process",
        "rpcshell.lab.load.client_generator",
        "rpcshell.lab.load.generator",
    ),
    "rpcshell": (
        "rpcshell.__main__",
        "rpcshell.app.arguments",
        "rpcshell.app.program",
        "rpcshell.app.script",
        "rpcshell.client",
        "rpcshell.client.dialects",
        "rpcshell.commands",
        "rpcshell.commands.export",
        "rpcshell.lab.load",
        "rpcshell.servers",
        "rpcshell.shell",
    ),
}
"""What runs of a program import when they come to it, of packages all modules: first the module that a run is, of which
each has its own."""

_ABOVE_ALL = 200
"""No descriptor that a test hands on has so high a number."""


def serve(program: str, imported: Sequence[str], place: str, descriptor: int) -> None:
    """Fork for each request, and return in a child only: as the program."""
    main = _IMPORTED[program][0]
    for name in (*_IMPORTED[program], *imported):
        # What is not there is missed by who needs it.
        with suppress(ImportError):
            for inner in pkgutil.iter_modules(getattr(import_module(name), "__path__", ())):
                import_module(f"{name}.{inner.name}")
    del sys.modules[main]
    # Else a collection in a fork would write to every object, and so copy its page.
    gc.collect()
    gc.freeze()
    listener = socket.socket(fileno=descriptor)
    links: list[socket.socket] = []
    others: dict[str, Origin] = {}
    heeded = dict(os.environ)
    while True:
        for link in select.select([listener, *links], [], [])[0]:
            if link is listener:
                links.append(listener.accept()[0])
                continue
            message, received, _, _ = socket.recv_fds(link, LARGEST, 64)
            if not message:
                links.remove(link)
                link.close()
                if not links:
                    _leave(Path(place), listener)
                continue
            request = json.loads(message)
            wanted, number = request["program"], request["number"]
            if "wait" not in request and wanted == program:
                ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                if os.fork():
                    links.append(ours)
                    theirs.close()
                else:
                    os.setsid()
                    link.send(b"%d %d" % (number, os.getpid()))
                    for end in (listener, *links, ours):
                        end.close()
                    for other in others.values():
                        other.close()
                    _become(program, request, received, theirs)
                    return
            else:
                if wanted == program:
                    answer = os.waitpid(request["wait"], request["options"])[1]
                else:
                    if wanted not in others:
                        others[wanted] = Origin.reach(Path(place).parent, wanted, (), heeded)
                    answer = others[wanted].ask(request, received)
                with suppress(OSError):
                    # Who has asked may have been killed since.
                    link.send(b"%d %d" % (number, answer))
            for handed_on in received:
                os.close(handed_on)


def _leave(place: Path, listener: socket.socket) -> None:
    """End, unless somebody has come meanwhile."""
    with suppress(FileNotFoundError), locked(place.parent):
        if select.select([listener], [], [], 0)[0]:
            return
        place.unlink()
    os._exit(0)


def _become(program: str, request: Mapping[str, Any], received: Sequence[int], link: socket.socket) -> None:
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    starting = [module for module in map(sys.modules.get, STARTING) if module is not None]
    if starting:
        origin = Origin(socket.socket(fileno=fcntl.fcntl(link, fcntl.F_DUPFD_CLOEXEC, _ABOVE_ALL)))
        for module in starting:
            mock.patch.object(module, "subprocess", Forks(lambda _: origin)).start()
    link.close()
    above = [fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, _ABOVE_ALL) for number in received]
    os.closerange(3, _ABOVE_ALL)
    for number, wanted in zip(above, request["descriptors"], strict=True):
        os.dup2(number, wanted)
        os.close(number)
    if os.isatty(0):
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    if os.isatty(1) and isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
    sys.argv[1:] = request["arguments"]
    code: object = 0
    try:
        runpy.run_module(program, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = end.code
    if code is None or isinstance(code, int):
        _end(code or 0)
    raise SystemExit(code)


def _end(code: int) -> None:
    """End as an interpreter does (Py_FinalizeEx), but without taking down modules: that copies all pages they are in.

    Return where the standard streams cannot be written: an interpreter complains of that.
    """
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    with suppress(OSError, ValueError):
        for stream in (sys.stdout, sys.stderr):
            if stream is not None and not stream.closed:
                stream.flush()
        os._exit(code & 0xFF)
