"""The `rpcshell` command: a prompt, a script or single lines, and the exit code.

Nothing of the prompt is imported before it is known that there is one.
"""

from __future__ import annotations

import functools
import gc
import os
import sys
from typing import IO, TYPE_CHECKING, Final

from rpcshell.app.guard import threads_told
from rpcshell.app.options import COMPLETION, plain_options
from rpcshell.client.errors import Cancelled, ShellError, Unexpected, UsageError
from rpcshell.servers.folders import state_folder
from rpcshell.servers.target_memory import TargetMemory
from rpcshell.shell.config import UnclearArguments
from rpcshell.shell.session import Session
from rpcshell.view.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcshell.app.options import Options
    from rpcshell.app.script_output import ScriptOutput

_MOST_TOLD: Final = 20
"""Mistakes in a configuration that are told one by one."""


def run(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code. They are the process's own, if none are given."""
    # Python sets a stream to None where the process was started with it closed; typeshed does not know.
    stdout: IO[str] | None = sys.stdout
    if stdout is None:
        _fill_stdout()
    options: Options | None = None
    try:
        options = _options(sys.argv[1:] if arguments is None else arguments)
        if options is None:
            return 0
        with threads_told(_fail, debug=options.debug):
            return _run_prompt(options) if options.interactive else _run_script(options)
    except ShellError as error:
        return _fail(error)
    except KeyboardInterrupt:
        return _fail(Cancelled("interrupted"))
    except Exception as error:  # noqa: BLE001 - Python's own traceback may hold escape sequences of a server
        return _fail(Unexpected(error, debug=options is not None and options.debug))
    finally:
        _settle_streams()
        # The process ends now. Its last collection, over all that was imported, would take longer than most calls.
        gc.freeze()


def _options(arguments: list[str]) -> Options | None:
    bench = arguments[:1] == ["bench"]
    if COMPLETION in os.environ:
        from rpcshell.app.shell_completion import completes_bench

        bench = bench or completes_bench(os.environ)
    elif not bench and (options := plain_options(arguments)) is not None:
        return options
    if bench:
        from rpcshell.app.bench_arguments import read_bench_arguments

        return read_bench_arguments(arguments[1:])
    from rpcshell.app.arguments import read_arguments

    return read_arguments(arguments)


def _apply_settings(options: Options, settings: Settings, complain: Callable[[ShellError], None]) -> None:
    """Set what the configuration says, where it makes sense, and then what the options say."""
    # Whatever reads a script's output expects the same for every user; how long to wait may differ.
    unheeded = settings if options.interactive else Settings()
    problems = options.config.problems
    for problem in problems[:_MOST_TOLD]:
        complain(problem)
    if len(problems) > _MOST_TOLD:
        complain(UsageError(f"{options.config.path} has {len(problems) - _MOST_TOLD} more mistakes"))
    for name, value in options.config.settings.items():
        try:
            (settings if name == "timeout" else unheeded).set(name, value)
        except UsageError as error:
            complain(options.config.problem("settings", name, error))
    for name, text in options.settings:
        settings.set(name, text)


def _session(options: Options, settings: Settings) -> Session:
    return Session(
        settings,
        plain=options.plain,
        background=options.interactive,
        # One for all: it is what keeps threads from losing what others remember.
        memory=functools.cache(lambda: TargetMemory(state_folder)),
        config=options.config,
        tls=options.tls,
    )


def _output(settings: Settings | None = None) -> ScriptOutput:
    from rpcshell.app.script_output import ScriptOutput

    return ScriptOutput(sys.stdout.buffer, sys.stderr, settings)


def _fail(error: ShellError) -> int:
    output = _output()
    for problem in error.problems if isinstance(error, UnclearArguments) else ():
        output.error(problem)
    output.error(error)
    return error.exit_code


def _run_script(options: Options) -> int:
    from rpcshell.app.script import run_script

    settings = Settings(script=True, file=options.config.path)
    output = _output(settings)
    _apply_settings(options, settings, output.error)
    return run_script(_session(options, settings), output, options)


def _fill_stdout() -> None:
    """Have something in place of a closed stdout that cannot be written to either, so that no connection gets there."""
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 1)
    if null != 1:
        os.close(null)
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115 - as long as the process


def _settle_streams() -> None:
    """Drop what cannot be written: at exit Python would try once more, complain, and end with a code of its own."""
    streams: tuple[IO[str] | None, ...] = (sys.stdout, sys.stderr)
    for stream in filter(None, streams):
        try:
            stream.flush()
        except OSError:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, stream.fileno())
            os.close(null)


def _run_prompt(options: Options) -> int:
    # Nothing that is imported for the prompt is garbage; looking for some takes a tenth of the time to it.
    gc.disable()
    from rpcshell.app.repl import run_repl

    notes: list[str] = []
    settings = Settings(file=options.config.path)
    _apply_settings(options, settings, lambda error: notes.append(str(error)))
    return run_repl(_session(options, settings), options, notes=notes)
