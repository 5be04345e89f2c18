"""Holds where every error is caught, and that what ends a process at once passes there."""

from __future__ import annotations

import ast
import re
from functools import cache

from tests.test_architecture import MODULES

GUARDS = {
    "what is called there, or looked at, is a user's or another package's": {
        "rpcserver.service.loop_thread._contain",
        "rpcserver.service.discovery.checksum_of",
        "rpcserver.service.dispatch.Dispatcher._run_awaiting",
        "rpcserver.service.dispatch.Dispatcher._run_fully",
        "rpcserver.service.dispatch.Dispatcher.answer",
        "rpcserver.service.endpoint.Endpoint.outcome",
        "rpcserver.service.hooks._failure_told",
        "rpcserver.service.loader.LoadedApp.of",
        "rpcserver.service.loader._import_file",
        "rpcserver.service.loader._import_module",
        "rpcserver.service.loader._made",
        "rpcserver.service.source.own_traceback",
        "rpcserver.system.at_exit.AtExit.note_files",
        "rpcserver.system.at_exit._call_each",
        "rpcserver.system.log._AlwaysEnabled.handle",
        "rpcserver.system.log._AlwaysEnabled.makeRecord",
        "rpcserver.system.log.LineHandler._line",
        "rpcserver.system.log.LineHandler.filter",
        "rpcserver.system.process._flush_output",
        "rpcserver.system.signals._Contained.__call__",
        "rpcshell.client.async_fleet_client.AsyncFleetClient._tell",
        "rpcshell.client.async_listening.AsyncHearing._answer",
        "rpcshell.client.async_listening.AsyncListeningConnection.exchange.deliver",
        "rpcshell.client.dialects.registry.load_dialect",
        "rpcshell.client.fleet_client.FleetClient._tell",
        "rpcshell.client.hearing.Hearing._answer_all",
    },
    "it is the last step of making an error reply": {
        "rpcserver.service.dispatch.Dispatcher._reply_fault",
        "rpcserver.service.faults.Faults.of_failed_fault",
        "rpcserver.service.source.one_line",
    },
    "whoever waits for the thread has it raised again": {"rpcshell.client.daemon_threads.DaemonThreads.submit.call"},
    "it ends one connection of many, and is logged": {
        "rpcserver.workers.blocking_connection.BlockingConnection.serve",
        "rpcserver.workers.pool.PoolWorker._take_turns",
        "rpcserver.workers.socket_drivers.NonBlockingConnection.receive",
    },
    "an app has it thrown into a thread, which goes on": {
        "rpcserver.workers.aio_calls.HandlerThreads._run",
        "rpcserver.workers.pool.PoolWorker._work",
    },
    "it is told in a line, after a line of the prompt or of a script": {"rpcshell.app.guard.foreseen"},
    "nothing is above it in the process": {
        "rpcserver.system.process.Forker._run",
        "rpcshell.app.program.run",
    },
}
"""By the reason for which they stay, the places that catch every error and do not raise the same one again."""


OFF_THE_MAIN_THREAD = {
    "rpcserver.service.endpoint.Endpoint.outcome",
    "rpcserver.workers.aio_calls.HandlerThreads._run",
    "rpcserver.workers.pool.PoolWorker._take_turns",
    "rpcserver.workers.pool.PoolWorker._work",
}
"""Guards of the server that no `QuickStop` comes to, which signals raise."""


@cache
def guards(package: str) -> dict[str, bool]:
    """The functions that catch every error, but to clear up after it, and whether a `QuickStop` passes there."""

    def catches(handler: ast.ExceptHandler, *names: str) -> bool:
        caught = () if handler.type is None else ast.walk(handler.type)
        return any(isinstance(one, ast.Name) and one.id in names for one in caught)

    def clears_up(handler: ast.ExceptHandler) -> bool:
        last = handler.body[-1]
        left = any(isinstance(inside, ast.Return | ast.Continue | ast.Break) for inside in ast.walk(handler))
        return isinstance(last, ast.Raise) and last.exc is None and not left

    def walk(node: ast.AST, place: str) -> None:
        match node:
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                place = f"{place}.{node.name}"
            case ast.Try():
                for handler in node.handlers:
                    if catches(handler, "Exception", "BaseException") and not clears_up(handler):
                        found[place] = (
                            catches(handler, "Exception")
                            or any(catches(other, "QuickStop") for other in node.handlers)
                            or "ended_from_outside" in ast.unparse(handler)
                        )
        for child in ast.iter_child_nodes(node):
            walk(child, place)

    found: dict[str, bool] = {}
    for name, file in MODULES.items():
        text = file.read_text()
        # To read all of them as syntax takes seconds.
        if name.startswith(package) and re.search(r"except.*\b(Base)?Exception\b", text):
            walk(ast.parse(text), name)
    return found


def test_every_error_is_caught_at_the_guards_alone() -> None:
    # Ruff refuses an `except` that names nothing.
    assert guards("rpc").keys() == set().union(*GUARDS.values())
    suppressing = re.compile(r"suppress\(.*\b(Base)?Exception\b")
    assert [name for name, file in MODULES.items() if suppressing.search(file.read_text())] == []


def test_a_signal_that_ends_a_worker_at_once_passes_the_guards_of_its_main_thread() -> None:
    held = {name for name, passes in guards("rpcserver").items() if not passes}
    assert held == {*OFF_THE_MAIN_THREAD, *GUARDS["nothing is above it in the process"] - {"rpcshell.app.program.run"}}
