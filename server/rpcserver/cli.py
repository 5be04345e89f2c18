"""The `rpcserver` command: where the values of its options come from, and how it reports its end.

The command line wins over the environment (`RPCSERVER_*`), that over the file named with `--config`, and that
over the defaults. The options themselves are in `options`; the server is put together in `run`.
"""

from __future__ import annotations

import contextlib
import gc
import os
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

import click
from click.core import ParameterSource

from rpcserver.config_reference import NOT_IN_FILES
from rpcserver.foreign_options import advice_on
from rpcserver.options import ENVIRONMENT, Invocation, command
from rpcserver.system.channel import ParentLink
from rpcserver.system.errors import AppFailed, BootError, LoadError, ServerError, ServiceError, TlsError
from rpcserver.system.inherited import fill_standard_descriptors, open_standard_streams
from rpcserver.system.log import configure
from rpcserver.system.near_names import near_names
from rpcserver.system.settings import SettingsError, line_of, read_file
from rpcwire.control import StartFailed

if TYPE_CHECKING:
    from collections.abc import Sequence

_EXIT_OTHER: Final = 1
_EXIT_USAGE: Final = 2
_EXIT_APP: Final = 3
_EXIT_INTERRUPTED: Final = 130


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command and leave the process.

    The arguments are those after the program's name, and the process's own unless given.
    """
    started = time.monotonic()
    printed_to_nobody = sys.stdout is None
    fill_standard_descriptors()
    if printed_to_nobody:
        # What is asked for cannot be written; what a server prints beside its work is nobody's loss.
        _connect_stdout(os.O_RDONLY)
    open_standard_streams()
    # Until the workers are forked nearly everything that is made stays; the arbiter switches it on again.
    gc.disable()
    arguments = sys.argv[1:] if arguments is None else arguments
    if sys.platform != "linux":
        _fail("rpcserver needs Linux: epoll, pidfd and PR_SET_PDEATHSIG are what it is built on", _EXIT_OTHER, None)
    link_fd, config = _early(arguments)
    parent: ParentLink | None = None
    try:
        if link_fd is not None:
            parent = ParentLink(link_fd)
        invocation = parse(arguments, config)
    except (SettingsError, ValueError) as error:
        _fail(str(error), _EXIT_USAGE, parent)
    if invocation is None:
        sys.exit(0)
    if printed_to_nobody and not invocation.check:
        _connect_stdout(os.O_WRONLY)
    try:
        sys.exit(_serve(invocation, parent, started))
    except KeyboardInterrupt:
        # Before the arbiter catches signals there is nothing to stop.
        sys.exit(_EXIT_INTERRUPTED)


def _early(arguments: Sequence[str]) -> tuple[int | None, Path | None]:
    """Read what the rest cannot be read without: whom to tell of errors, and the file; whatever else may be wrong."""
    # The settings as well: the command keeps its option for help as the first context has it.
    context = click.Context(
        command,
        info_name="rpcserver",
        resilient_parsing=True,
        auto_envvar_prefix=ENVIRONMENT,
        **command.context_settings,
    )
    given, _, _ = command.make_parser(context).parse_args(list(arguments))
    for parameter in command.params:
        if parameter.name in {"link_fd", "config"}:
            parameter.handle_parse_result(context, given, [])
    link_fd, config = context.params["link_fd"], context.params["config"]
    # What is not given, or cannot be read, is a sign of click's own.
    return link_fd if isinstance(link_fd, int) else None, config if isinstance(config, Path) else None


def parse(arguments: Sequence[str], config: Path | None) -> Invocation | None:
    """Find out what is asked for; None where that is the help or the version, which was written.

    Raises:
        SettingsError: a value, an option or the file is wrong, or what was asked for cannot be written.
    """
    known = {
        parameter.name: _type_of(parameter)
        for parameter in command.params
        if parameter.name and parameter.name not in NOT_IN_FILES
    }
    defaults = {} if config is None else read_file(config, known)
    for name, kind in known.items():
        # `bind = "127.0.0.1:8080"` is a list of one.
        if kind == str | list[str] and isinstance(defaults.get(name), str):
            defaults[name] = [defaults[name]]
    try:
        result = command.main(
            list(arguments),
            prog_name="rpcserver",
            standalone_mode=False,
            auto_envvar_prefix=ENVIRONMENT,
            default_map=defaults,
        )
    except click.UsageError as error:
        raise _explained(error, config) from error
    except OSError as error:
        raise _unwritten(error) from error
    return result if isinstance(result, Invocation) else None


def _explained(error: click.UsageError, config: Path | None) -> SettingsError:
    """Say in an error where the wrong value came from."""
    if isinstance(error, click.NoSuchOption) and (advice := advice_on(error.option_name)):
        return SettingsError(f"there is no option {error.option_name}: {advice}")
    message = error.format_message().removesuffix(".").replace("valid integer range", "whole number")
    message = message.replace("valid float range", "number")
    parameter = getattr(error, "param", None)
    wrong = re.search(r"'(.*)' is not one of", error.message)
    if wrong and parameter is not None and (near := near_names(wrong[1], parameter.type.choices, limit=1)):
        message += f" (did you mean {near[0]}?)"
    if error.ctx is None or parameter is None or not parameter.name:
        return SettingsError(f"{message} (see rpcserver --help)")
    match error.ctx.get_parameter_source(parameter.name):
        case ParameterSource.ENVIRONMENT:
            variable = parameter.envvar or f"{ENVIRONMENT}_{parameter.name.upper()}"
            return SettingsError(f"{message} (from the environment: {variable})")
        case ParameterSource.DEFAULT_MAP if config is not None:
            # What came out of a pipe is there no more.
            text = "" if config.is_fifo() else config.read_text(encoding="utf-8-sig")
            names = (parameter.name, parameter.name.replace("_", "-"))
            line = next((line for name in names if (line := line_of(text, name)) is not None), None)
            return SettingsError(message, source=config, line=line)
        case _:
            return SettingsError(message)


def _type_of(parameter: click.Parameter) -> object:
    if parameter.multiple:
        return str | list[str]
    if isinstance(parameter, click.Option) and parameter.is_flag:
        return bool
    ranges: dict[type, type] = {click.IntRange: int, click.FloatRange: float}
    return ranges.get(type(parameter.type), str)


def _serve(invocation: Invocation, parent: ParentLink | None, started: float) -> int:
    """Run the server until it is stopped, and return the exit code."""
    # Neither the help nor a mistake on the command line waits for these.
    from rpcserver.run import check_server, run_server

    try:
        if invocation.check:
            served = check_server(invocation.settings)
            try:
                click.echo(served)
            except OSError as error:
                raise _unwritten(error) from error
            return 0
        try:
            logs = configure(invocation.log_level, as_json=invocation.log_format == "json", path=invocation.log_file)
        except OSError as error:
            _fail(f"cannot write the log to {invocation.log_file}: {error.strerror}", _EXIT_OTHER, parent)
        run_server(invocation.settings, logs, parent, started=started, managed=True)
    except (BootError, LoadError, ServiceError) as error:
        traceback = error.traceback if isinstance(error, AppFailed | BootError) else None
        if traceback:
            _say(traceback.rstrip("\n"))
        _fail(str(error), _EXIT_APP, parent, traceback)
    except (SettingsError, TlsError) as error:
        _fail(str(error), _EXIT_USAGE, parent)
    except ServerError as error:
        _fail(str(error), _EXIT_OTHER, parent)
    return 0


def _unwritten(error: OSError) -> SettingsError:
    """What is raised where the output cannot be written; at exit Python would try once more."""
    _connect_stdout(os.O_WRONLY)
    return SettingsError(f"the output cannot be written: {error.strerror}")


def _connect_stdout(flags: int) -> None:
    """Have /dev/null for standard output, opened so."""
    null = os.open(os.devnull, flags)
    os.dup2(null, 1)
    os.close(null)


def _fail(message: str, code: int, parent: ParentLink | None, traceback: str | None = None) -> NoReturn:
    """Say on standard error and to the parent process why the server does not run, and leave."""
    if parent is not None:
        parent.send(StartFailed(message, traceback))
        parent.close()
    _say(f"rpcserver: {message}")
    sys.exit(code)


def _say(text: str) -> None:
    """Write to standard error; where that cannot be written, the exit code alone says how it ended."""
    # Python would keep what it could not write, and fail with it once more at exit.
    with contextlib.suppress(OSError):
        os.write(2, f"{text}\n".encode("utf-8", "backslashreplace"))
