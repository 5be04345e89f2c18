"""Runs without a prompt: lines from the command line, a file or a pipe, and the exit code that they end with.

What a line does is `rpcshell.shell.shell`'s business, what is said of it `script_output`'s.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from rpcshell.app.guard import foreseen
from rpcshell.app.options import load_commands
from rpcshell.app.script_output import OutputClosed, OutputFailed, ScriptOutput
from rpcshell.client.errors import Cancelled, ShellError, UsageError
from rpcshell.shell.connect import connect
from rpcshell.shell.session import Leave
from rpcshell.shell.shell import Shell
from rpcshell.shell.statements import Statement, read_statements
from rpcshell.shell.terminal import is_terminal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rpcshell.app.options import Options
    from rpcshell.shell.session import Session

_BROKEN_PIPE: Final = 141


def run_script(session: Session, output: ScriptOutput, options: Options) -> int:
    """Run what the options say, close the session, and return the exit code.

    Raises:
        ShellError: There is no connection, or no server, or the script cannot be read.
    """
    session.on_note(output.note)
    if output.at_terminal:
        session.on_progress(output.progress)
    try:
        aliases = dict(options.config.aliases)
        shell = Shell(session, output, load_commands, settings=output.settings, aliases=aliases)
        _open(shell, options, output)
        if options.bench is not None:
            from rpcshell.lab.bench.conduct import conduct

            conduct(shell, *options.bench)
            return 0
        if not options.lines and options.file is None and is_terminal(sys.stdin):
            output.note("reading lines without a prompt, as the output is no terminal; Ctrl-D ends")
        return _run_statements(shell, output, _statements(options), keep_going=options.keep_going, debug=options.debug)
    except OutputClosed:
        return _BROKEN_PIPE
    finally:
        session.close()


def _open(shell: Shell, options: Options, output: ScriptOutput) -> None:
    if options.spawn is not None:
        server = shell.session.spawn(options.spawn)
        if server.kept:
            output.note(server.where_it_goes_on())
    elif options.target is not None:
        connect(shell.session, lambda: shell, options.target)


def _statements(options: Options) -> Iterator[Statement]:
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


def _run_statements(
    shell: Shell, output: ScriptOutput, statements: Iterable[Statement], *, keep_going: bool, debug: bool
) -> int:
    """Run statements one after the other and return the exit code: that of the first error, or 0.

    With `debug` an unexpected one comes with its traceback.

    Raises:
        OutputClosed: Nobody reads stdout any more.
        UsageError: The script cannot be read.
    """
    code = 0
    for statement in statements:
        output.begin(statement)
        try:
            with foreseen(OutputClosed, debug=debug):
                for text in _rows(shell, statement):
                    shell.execute(text)
        except Leave:
            break
        except ShellError as error:
            output.error(error, statement.place, statement.text)
            code = code or error.exit_code
            if not keep_going or isinstance(error, Cancelled | OutputFailed):
                break
    return code


def _rows(shell: Shell, statement: Statement) -> tuple[str, ...]:
    """What to run for a statement: a line of the command line may have several rows, as a paste has."""
    if statement.place or "\n" not in statement.text:
        return (statement.text,)
    return shell.statements(statement.text)
