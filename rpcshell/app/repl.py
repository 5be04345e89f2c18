"""The loop of the prompt: read a line, run it, show what went wrong, until it is left.

What a line does is `rpcshell.shell.shell`'s business, what is on the screen `rpcshell.prompt`'s.
"""

from __future__ import annotations

import contextlib
import gc
import signal
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Final

from rpcshell.app.guard import TERMINAL_GONE, foreseen, threads_told
from rpcshell.app.options import load_commands
from rpcshell.client.errors import Cancelled, ShellError, Unexpected
from rpcshell.line.reply_values import ReplyValues
from rpcshell.prompt.context import LineContext
from rpcshell.prompt.programs import keys_kept
from rpcshell.prompt.session import Prompt
from rpcshell.shell.connect import connect
from rpcshell.shell.journal import Variables
from rpcshell.shell.leaving import endings_handled, told_while_leaving
from rpcshell.shell.session import Leave
from rpcshell.shell.spawning import start_server
from rpcshell.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from rpcshell.app.options import Options
    from rpcshell.line.catalog import Catalog
    from rpcshell.prompt.screen import Screen
    from rpcshell.shell.call import Call
    from rpcshell.shell.config import Config
    from rpcshell.shell.session import Session
    from rpcshell.shell.shell import Shell
    from rpcshell.shell.unasked import Unasked

_MANY_METHODS: Final = 500

_SHORT_COLLECTIONS: Final = (2_000, 20, 50)
"""Thresholds of the garbage collector with which one takes about half a millisecond."""


class _Terminated(BaseException):
    """The shell was told to end; not an error, so nothing that handles errors should catch it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def run_repl(
    session: Session, options: Options, *, notes: Sequence[str] = (), make_prompt: Callable[..., Prompt] = Prompt
) -> int:
    """Run the shell at a terminal until it is left.

    The session has no target at first, and is closed at the end. The exit code is 0, or 128 and the number of the
    signal that ended the shell. With the option `debug` an unexpected error comes with its traceback.
    """
    debug = options.debug
    shell, prompt = _put_together(session, options.config, make_prompt)
    screen = prompt.screen
    for note in notes:
        screen.note(note)
    try:
        with keys_kept(), _endings_raised(prompt), threads_told(lambda error: _note(screen, error), debug=debug):
            try:
                _begin(session, shell, screen, options)
                _loop(shell, prompt, debug=debug)
            finally:
                shell().close()
            _close(session, screen)
    except _Terminated as end:
        session.close(at_once=True)
        return 128 + end.number
    except Unexpected:
        session.close(at_once=True)
        raise
    except OSError as error:
        session.close(at_once=True)
        if error.errno not in TERMINAL_GONE:
            raise
        return 128 + signal.SIGHUP
    return 0


def _put_together(
    session: Session, config: Config, make_prompt: Callable[..., Prompt]
) -> tuple[Callable[[], Shell], Prompt]:
    """Make a prompt that hears what the session tells, and a function that makes the shell whose lines it reads."""
    variables, reply_values, aliases = Variables(), ReplyValues(), dict(config.aliases)

    def remember(_shell: Shell, call: Call) -> None:
        if call.outcome == "ok":
            reply_values.remember(call.method, call.result)

    commands = cache(load_commands)

    @cache
    def shell() -> Shell:
        # The first prompt comes up without the language.
        from rpcshell.shell.shell import Shell

        return Shell(
            session,
            prompt.screen,
            commands,
            interactive=True,
            settings=session.settings,
            aliases=aliases,
            variables=variables,
            compose=prompt.compose,
            lines=prompt.lines,
            listeners=[remember],
        )

    def workers() -> list[tuple[str, str]]:
        return shell().supervisor.workers()

    prompt = make_prompt(
        LineContext(
            session, commands, workers=workers, variables=variables, aliases=aliases, reply_values=reply_values
        ),
        keys=config.keys,
        complaint=config.complaint,
        on_ready=_collect_again,
    )
    screen = prompt.screen
    session.on_change(_follower(session, aliases, screen.note, prompt.hear_questions))
    session.on_note(screen.note)
    session.on_progress(screen.progress)
    return shell, prompt


@contextmanager
def _short_collections() -> Iterator[None]:
    """Collect garbage often and little while keys are pressed: the drawing of each makes much, and must not pause."""
    before = gc.get_threshold()
    gc.set_threshold(*_SHORT_COLLECTIONS)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _follower(
    session: Session, aliases: Mapping[str, str], tell: Callable[[str], None], hear: Callable[[Unasked], None]
) -> Callable[[], None]:
    """What is to be called whenever the session's target, or its catalog, may be another one.

    It tells of methods that aliases hide, and has questions heard that the server asks the person.
    """
    seen: Catalog | None = None
    heard: Unasked | None = None
    told: set[str] = set()

    def changed() -> None:
        nonlocal seen, heard
        if (catalog := session.catalog) is not seen:
            seen = catalog
            if len(catalog.methods) >= _MANY_METHODS:
                # For the garbage collector to look through it takes longer than a key press may.
                gc.freeze()
        hidden = set(aliases).intersection(catalog.methods) - told
        told.update(hidden)
        for name in sorted(hidden):
            tell(f'the alias {name} hides the method of that name, which "{name}" in quotes calls')
        if (unasked := session.unasked) is not heard:
            heard = unasked
            if unasked is not None:
                hear(unasked)

    return changed


def _collect_again() -> None:
    gc.freeze()
    gc.enable()


def _note(screen: Screen, error: Unexpected) -> None:
    """Tell of an error elsewhere without spoiling what is being typed."""
    for line in [str(error), *error.traceback.splitlines()]:
        screen.note(line)


def _begin(session: Session, shell: Callable[[], Shell], screen: Screen, options: Options) -> None:
    """Say what to type first, and get to the server that was asked for; without it the prompt comes all the same."""
    about = f"rpcshell {__version__}"
    if options.target is None and options.spawn is None:
        screen.note(f"{about} · :spawn 10 starts a server, :connect HOST:PORT joins one, :help")
        return
    screen.note(f"{about} · Tab completes, :methods lists, :help says more")
    try:
        with foreseen(debug=options.debug):
            if options.spawn is not None:
                start_server(session, screen, options.spawn)
            elif options.target is not None:
                connect(session, shell, options.target)
    except ShellError as error:
        screen.error(error)


def _loop(shell: Callable[[], Shell], prompt: Prompt, *, debug: bool) -> None:
    going = True
    while going:
        try:
            going = _step(shell, prompt, debug=debug)
        except KeyboardInterrupt:
            # Pressed again while that is told, it has been told.
            with contextlib.suppress(KeyboardInterrupt):
                # What was being shown ends where it is.
                prompt.screen.text("")
                prompt.screen.error(Cancelled("cancelled"))


def _step(shell: Callable[[], Shell], prompt: Prompt, *, debug: bool) -> bool:
    """Read and run one line; false if it was the last."""
    try:
        with foreseen(EOFError, debug=debug), _short_collections():
            text = prompt.read()
    except EOFError:
        return False
    except Unexpected as error:
        if not prompt.leave_help_out():
            raise
        prompt.screen.error(error)
        return True
    try:
        if text.strip():
            _run(shell(), text, debug=debug)
    except Leave:
        return False
    return True


def _run(shell: Shell, text: str, *, debug: bool) -> None:
    """Run what was typed or pasted; of several lines those before the first error."""
    number = 0
    parts: tuple[str, ...] = ()
    try:
        with foreseen(debug=debug):
            parts = shell.statements(text)
            for number, part in enumerate(parts, 1):  # noqa: B007  (read when one fails)
                shell.execute(part)
    except ShellError as error:
        shell.output.error(error)
        if shell.knows_why(error):
            shell.output.note(":why tells what held it up")
        if number < len(parts):
            shell.output.note(f"what came after line {_last_row(text, parts[:number])} was not run")


def _last_row(text: str, parts: Sequence[str]) -> int:
    """The number of the row in which the last of the parts of a text ends."""
    end = 0
    for part in parts:
        end = text.index(part, end) + len(part)
    return text.count("\n", 0, end) + 1


def _close(session: Session, screen: Screen) -> None:
    server = session.server
    try:
        if server is not None and server.poll() is None:
            if server.kept:
                screen.note(server.where_it_goes_on())
            else:
                screen.note("stopping the server; Ctrl-C hurries it")
        with told_while_leaving(session, screen.progress):
            session.close()
    except KeyboardInterrupt:
        session.close(at_once=True)


def _endings_raised(prompt: Prompt) -> contextlib.AbstractContextManager[None]:
    """Make `_Terminated` of the signals that end a process, so that the terminal and the server are left in order."""

    def end(number: int, _frame: object) -> None:
        error = _Terminated(number)
        if not prompt.interrupt(error):
            raise error

    return endings_handled(end)
