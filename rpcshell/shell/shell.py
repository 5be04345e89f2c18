"""What a line does: it is parsed, and then it is a call or a command.

The prompt, scripts and one-shot lines all go through here. Showing is the output's business, talking the session's.
"""

from __future__ import annotations

import sys
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from rpcshell.client.errors import CallError, Cancelled, ShellError, SyntaxProblem, UsageError
from rpcshell.line.language import (
    CallLine,
    CommandLine,
    LineError,
    SystemLine,
    ValueLine,
    call_params,
    expand_alias,
    line_value,
    parse,
    statements,
    walk,
)
from rpcshell.shell.diverted import Diverted
from rpcshell.shell.journal import LAST, Journal, Variables
from rpcshell.shell.meant_lines import meant_line
from rpcshell.shell.parts import MOST_SHOWN, Parts
from rpcshell.shell.terminal import columns_of_terminal, is_terminal
from rpcshell.shell.why.sighting import Lookout
from rpcshell.view.plain import json_value, plain_text
from rpcshell.view.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path
    from typing import Self

    from rpcshell.line.catalog import Method
    from rpcshell.line.language import Line, Problem, Sink, VariableNode
    from rpcshell.line.masking import Known
    from rpcshell.shell.address_book import Destination
    from rpcshell.shell.call import Call
    from rpcshell.shell.command import CommandRegistry
    from rpcshell.shell.missteps import Missteps
    from rpcshell.shell.output import Output
    from rpcshell.shell.session import Session
    from rpcshell.shell.supervisor import Supervisor
    from rpcshell.shell.unasked import Follower

    Listener = Callable[["Shell", Call], None]

_HUNG: Final = {"lost", "timeout"}

_TEXT_WIDTH: Final = 100
"""Columns that lines fill where there is no screen."""


class Shell:
    """What commands receive: the session, the output, and a way to run a line.

    A command gets a shell of its line's own: it shares everything with the one that the line was given to, but may
    have another output. It is interactive where a person is at the prompt.

    Attributes:
        aliases: Lines by the words that stand for them at the beginning of a line.
        compose: Has a person edit a text, or else the line before, and puts it into the prompt; None without a prompt.
        lines: Gives the lines that were typed, in earlier sessions too, oldest first; None without a prompt.
        listeners: Called with the shell and the call after each one, before its result is shown.
        sources: The files whose lines are being run, the outermost first.
    """

    def __init__(
        self,
        session: Session,
        output: Output,
        commands: Callable[[], CommandRegistry],
        *,
        interactive: bool = False,
        settings: Settings | None = None,
        aliases: dict[str, str] | None = None,
        variables: Variables | None = None,
        compose: Callable[[str | None], None] | None = None,
        lines: Callable[[], Sequence[str]] | None = None,
        listeners: Iterable[Listener] = (),
    ) -> None:
        self.session = session
        self.output = output
        self.interactive = interactive
        self.aliases: dict[str, str] = {} if aliases is None else aliases
        self.settings = Settings(script=not interactive) if settings is None else settings
        self.variables = Variables() if variables is None else variables
        self.journal = Journal()
        self.compose = compose
        self.lines = lines
        self.listeners = list(listeners)
        self.sources: tuple[Path, ...] = ()
        self._commands = cache(commands)
        self._supervisor = cache(self._make_supervisor)
        self._lookout = Lookout(self._supervisor)
        self._following: list[Follower] = []
        self._command: tuple[str, CommandLine] | None = None

    def _make_supervisor(self) -> Supervisor:
        from rpcshell.shell.supervisor import Supervisor

        return Supervisor(self.session)

    @property
    def commands(self) -> CommandRegistry:
        """The commands, loaded at first use."""
        return self._commands()

    @property
    def supervisor(self) -> Supervisor:
        """Finds the server that calls go to, where it can be watched and steered."""
        return self._supervisor()

    @property
    def for_programs(self) -> bool:
        """Whether what commands show is read by a program that wants data, and not by a person."""
        return self.settings.format in {"json", "raw"} and not (self.interactive and not self.output.diverted)

    @property
    def known(self) -> Known:
        """What tells the secrets in a line."""
        from rpcshell.line.masking import Known

        return Known(self._param_names, self.aliases)

    def _param_names(self, method: str) -> tuple[str, ...]:
        # What the target offers may be known only once it was asked about the line.
        return self.session.catalog.param_names(method)

    @property
    def at_terminal(self) -> bool:
        """Whether a command can draw on a terminal, and somebody is there to press keys."""
        return not self.output.diverted and is_terminal(sys.stdin) and is_terminal(sys.stdout)

    @property
    def width(self) -> int | None:
        """Columns of the screen, or None where a script's output has no end on the right."""
        return columns_of_terminal() if self.interactive else None

    @property
    def text_width(self) -> int:
        """Columns that lines of text fill."""
        return self.width or _TEXT_WIDTH

    def show_table(self, rows: Sequence[dict[str, Any]], data: object = None, *, spare: Sequence[str] = ()) -> None:
        """Show objects that have the same keys: as a table to people, as JSON to whoever asked for that.

        Programs may get other data in their place, with numbers as they are. The spare keys are left out one by one
        where the screen is too narrow.
        """
        if self.for_programs:
            self.output.value("", json_value(list(rows) if data is None else data))
            return
        from rpcshell.view.table import table_text

        self.output.text(table_text(rows, self.width, spare=spare))

    def rest(self, number: int) -> str:
        """The text of the command line being run from a word behind its name on, counted from 0, exactly as typed."""
        if self._command is None:
            return ""
        text, command = self._command
        return text[command.words[number].start :] if number < len(command.words) else ""

    def follow(self, follower: Follower) -> None:
        """Have a log, or events, followed in the background, instead of the one before."""
        self.close()
        self._following.append(follower)
        follower.start()

    @property
    def follows(self) -> bool:
        """Whether a log is being followed, or events are."""
        return any(not follower.stopped for follower in self._following)

    def execute(self, text: str) -> None:
        """Run one line, which has several rows where brackets are open across them.

        Raises:
            SyntaxProblem: The line does not parse, or names a variable that is not there.
            ShellError, Leave: What the call or the command raised.
        """
        if "***" in text:
            self._missteps.refuse_masked(text)
        if text.strip() not in self.aliases:
            commands = self._commands if self.interactive else None
            text = meant_line(text, self.session, lambda: self.known, commands) or text
        line = self._parsed(text)
        match line.body:
            case CommandLine() as command:
                self._run_command(line, command)
            case CallLine() as call:
                self._call(line, call)
            case ValueLine() as value:
                self._show_value(line, value)
            case SystemLine(sink=command):
                self._send(command, None)

    def read_call(self, text: str) -> tuple[str, Any]:
        """The method and the params of a call, for a command that makes it and does its own with the result.

        Raises:
            SyntaxProblem: The text does not parse, or names a variable that is not there.
            UsageError: It is no call, or says what is to be done with its result.
        """
        line = self._parsed(text)
        if not isinstance(line.body, CallLine) or line.body.assignment is not None:
            raise UsageError(f"{text} is no call", hint='a call is a method and its params, such as ping {"a": 1}')
        return line.body.method, self._params(line, line.body)

    def refuse_absent(self, text: str, method: str, params: object) -> None:
        """Refuse a call of a method that the target neither lists nor takes, for a command that makes it many times.

        A target may take more than it lists: making the call once finds that out. Who has not told yet is waited for.

        Raises:
            CallError: The method is not listed, and that is what was answered.
            Cancelled: Ctrl-C was pressed.
        """
        self.session.method(method)
        listed, fleet = self.session.catalog.methods, self.session.fleet
        if not listed or method in listed or (fleet is not None and fleet.differ):
            return
        call = self.session.attempt(method, params, line=text)
        if isinstance(call.error, CallError | Cancelled):
            self._missteps.complete(call, call.error)
            raise call.error

    def prepare(self, target: Destination) -> None:
        """Run the lines of a target, whose results are not shown."""
        quiet = self.derived(output=Diverted(self.output, self.settings, indented=False))
        for number, line in enumerate(target.config.init, 1):
            try:
                quiet.execute(line)
            except ShellError as error:
                error.message = f"line {number} of init of {target.name} failed: {error.message}"
                raise

    def statements(self, text: str) -> tuple[str, ...]:
        """The lines that a text of several rows is, which are run one after the other."""
        return statements(parse(text), self.may_begin_line)

    def knows_why(self, error: ShellError) -> bool:
        """Whether there is more to tell of an error than it says: the last call ended in it, and hung or was lost."""
        call = self.journal.last
        return call is not None and call.error is error and (call.outcome == "cancelled" or call.failure in _HUNG)

    def may_begin_line(self, name: str) -> bool:
        """Whether a row that begins with a name may be a line of its own: it is a method or an alias.

        Where a target has not told what it offers, any name may be a method.
        """
        return name in self.aliases or self.session.method(name) is not None or not self.session.catalog.methods

    def close(self) -> None:
        """End what goes on in the background; the session is its owner's to close."""
        while self._following:
            self._following.pop().stop()

    def _parsed(self, text: str) -> Line:
        """A line that can be run, with the alias it begins with replaced; what is doubtful in it is told of."""
        line = expand_alias(parse(text), self.aliases)[0]
        if (problem := line.blocking) is not None:
            raise self._problem(line, problem)
        # At the prompt it is underlined.
        for doubt in () if self.interactive else line.problems:
            self.output.doubt(self._problem(line, doubt))
        return line

    def _run_command(self, line: Line, command: CommandLine) -> None:
        found, command = command.meant(self.commands.find)
        if found is None:
            found = self.commands.resolve(command.name)
        own = self.derived(_command=(line.text, command))
        if command.sink is None or found.verbatim:
            found.run(own, command)
            return
        _check_sink(command.sink)
        diverted = Diverted(self.output, self.settings, indented=self.interactive)
        found.run(own.derived(output=diverted), command)
        self._send(command.sink, diverted.collected)

    def derived(self, **differences: Any) -> Self:
        """A shell that shares all but a few attributes with this one."""
        derived = type(self).__new__(type(self))
        vars(derived).update(vars(self), **differences)
        return derived

    def _call(self, line: Line, call: CallLine) -> None:
        if "(" in call.method:
            self._missteps.refuse_foreign_call(line.text, call.method)
        params = self._params(line, call)
        if call.sink is not None:
            _check_sink(call.sink)
        parts = self._parts(keep=call.sink is not None)
        made = self._made(line.text, call.method, params, parts)
        result = made.result
        if call.assignment is not None:
            self.variables[call.assignment.name] = result
        if call.sink is not None:
            self._send_values(call.sink, [*parts.kept, result])
            self.output.timing(made)
        elif call.assignment is not None and not self.interactive:
            # What a script keeps for later is not what it has to say.
            self.output.timing(made)
        else:
            self.output.result(made)

    def _show_value(self, line: Line, body: ValueLine) -> None:
        value = self._evaluated(line, lambda: line_value(body, self._lookup))
        name = line.text[body.value.start : body.value.end]
        if body.assignment is not None:
            name = f"${body.assignment.name}"
            self.variables[body.assignment.name] = value
        if body.sink is not None:
            self._send_values(body.sink, [value])
        elif body.assignment is None or self.interactive:
            self.output.value(name, value)

    def _send_values(self, sink: Sink, values: Sequence[Any]) -> None:
        texts = (plain_text(value, self.settings, indented=self.interactive) for value in values)
        self._send(sink, chain.from_iterable(texts))

    def _send(self, sink: Sink, pieces: Iterable[str] | None) -> None:
        """Give a result to a file or a shell command, or have the command run without one."""
        from rpcshell.shell.pipeline import deliver

        deliver(sink, pieces, self.output, interactive=self.interactive)

    def _parts(self, *, keep: bool) -> Parts:
        """What takes the parts of a result, of which any call may turn out to have some; events count from now on."""
        if (unasked := self.session.unasked) is not None:
            unasked.events.mark()
        return Parts(self.output, most=MOST_SHOWN if self.interactive else None, keep=keep)

    def _made(self, text: str, method: str, params: object, parts: Parts) -> Call:
        """Make a call, and tell the journal and the listeners what came of it."""
        sighting = self._lookout.begin(str(self.session.target), parts, watchful=self.interactive)
        with parts.awaited(sighting.trace, tell=self.interactive):
            call = self.session.attempt(method, params, line=text, sighting=sighting)
        self.journal.add(call)
        if call.outcome in {"failed", "cancelled"}:
            sighting.look()
        for listener in self.listeners:
            listener(self, call)
        if call.error is not None:
            self._missteps.complete(call, call.error)
            raise call.error
        self.variables[LAST] = call.result
        return call

    def _params(self, line: Line, call: CallLine) -> Any:
        # JSON says by itself what it means; only the short forms depend on what the method takes.
        method = None if call.form == "json" else self.session.method(call.method, params=call.form == "pairs")
        params = self._evaluated(line, lambda: call_params(call, method, self._lookup))
        return params if method is None else method.arranged(params)

    def _evaluated(self, line: Line, evaluate: Callable[[], Any]) -> Any:
        try:
            return evaluate()
        except LineError as error:
            raise self._problem(line, error) from error

    @property
    def _missteps(self) -> Missteps:
        """What tells what a line was meant as that goes wrong."""
        from rpcshell.shell.missteps import Missteps

        return Missteps(self.session, self._find, self.known, self._commands)

    def _problem(self, line: Line, problem: Problem | LineError) -> SyntaxProblem:
        return self._missteps.syntax_problem(line, problem)

    def _lookup(self, path: VariableNode) -> Any:
        """The value at a path such as `$u.items[0].id`; raises `LineError` where there is none."""
        return walk(self.variables, path)

    def _find(self, name: str) -> Method | None:
        """The method of a name, as far as the target has told; nobody at the prompt waits for it to tell."""
        if self.interactive:
            return self.session.catalog.methods.get(name)
        with self.session.quiet():
            return self.session.method(name)


def _check_sink(sink: Sink) -> None:
    from rpcshell.shell.pipeline import check_sink

    check_sink(sink)
