"""The `rpcshell` command: a prompt, a script or single lines, and the exit code.

Nothing of the prompt is imported before it is known that there is one.
"""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING, Final

from rpcshell.errors import Cancelled, ShellError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rpcshell.options import Options
    from rpcshell.script import ScriptOutput, Statement
    from rpcshell.session import Session
    from rpcshell.state import PlainTargets

__all__ = ["main"]

_BROKEN_PIPE: Final = 141


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code.

    Args:
        arguments: The command line without the program's name; the process's own if not given.
    """
    try:
        options = _options(sys.argv[1:] if arguments is None else arguments)
        if options is None:
            return 0
        return _run_prompt(options) if options.interactive else _run_script(options)
    except ShellError as error:
        return _fail(error)
    except KeyboardInterrupt:
        return _fail(Cancelled("interrupted"))
    finally:
        # The process ends now. Its last collection, over all that was imported, would take longer than most calls.
        gc.freeze()


def _options(arguments: list[str]) -> Options | None:
    # The way to the prompt is mostly taken without options, and should not wait for what reads them.
    if len(arguments) <= 1 and not any(argument.startswith("-") for argument in arguments):
        from rpcshell.options import Options, places

        target, file = places(arguments[0] if arguments else None, None, spawned=False)
        return Options(target=target, file=file)
    from rpcshell.arguments import read_arguments

    return read_arguments(arguments)


def _fail(error: ShellError) -> int:
    from rpcshell.script import process_output

    process_output().error(error)
    return error.exit_code


def _run_script(options: Options) -> int:
    from rpcshell.executor import Shell
    from rpcshell.options import is_terminal
    from rpcshell.script import OutputClosed, process_output, run_statements
    from rpcshell.session import Session

    output = process_output()
    session = Session(plain=options.plain, timeout=options.timeout, background=False, meta=False, memory=_memory)
    session.notes = output.note
    try:
        _open(session, options, output)
        if not options.lines and options.file is None and is_terminal(sys.stdin):
            output.note("reading lines without a prompt, as the output is no terminal; Ctrl-D ends")
        shell = Shell(session, output)
        return run_statements(shell, output, _statements(options), keep_going=options.keep_going)
    except OutputClosed:
        _forget_stdout()
        return _BROKEN_PIPE
    finally:
        session.close()


def _open(session: Session, options: Options, output: ScriptOutput) -> None:
    if options.spawn is not None:
        server = session.spawn(options.spawn)
        if server.kept:
            output.note(f"the server goes on at {', '.join(server.addresses)}, pid {server.pid}")
    elif options.target is not None:
        session.connect(options.target)


def _memory() -> PlainTargets:
    from rpcshell.config import state_folder
    from rpcshell.state import PlainTargets

    return PlainTargets(state_folder)


def _statements(options: Options) -> Iterator[Statement]:
    from rpcshell.script import Statement, read_statements

    if options.lines:
        yield from map(Statement, options.lines)
        return
    name = "stdin" if options.file is None else str(options.file)
    try:
        if options.file is not None:
            with options.file.open("rb") as lines:
                yield from read_statements(lines, name)
        elif sys.stdin is not None:
            yield from read_statements(sys.stdin.buffer, name)
    except OSError as error:
        raise UsageError(f"cannot read {name}: {error.strerror}") from error


def _forget_stdout() -> None:
    # At exit Python flushes the stream once more, and would complain of the reader that has gone.
    import os

    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)


def _run_prompt(options: Options) -> int:
    from rpcshell.repl import run_repl
    from rpcshell.session import Session

    session = Session(plain=options.plain, timeout=options.timeout, memory=_memory)
    return run_repl(session, target=options.target, spawn=options.spawn)
