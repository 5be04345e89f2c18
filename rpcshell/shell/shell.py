"""What a line does: it is parsed, and then it is a call or a command.

The prompt, scripts and one-shot lines all go through here. Showing is the output's business, talking the session's.
"""

from __future__ import annotations

import time
from contextlib import nullcontext
from functools import cached_property
from typing import TYPE_CHECKING, Any

from rpcshell.client.errors import CallError, Cancelled, ShellError, SyntaxProblem, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from rpcshell.line.language import CallLine, CommandLine, Line, LineError, Problem, Sink, ValueLine
    from rpcshell.servers.log_following import LogFollower
    from rpcshell.shell.command import CommandRegistry
    from rpcshell.shell.journal import Journal
    from rpcshell.shell.output import Output
    from rpcshell.shell.session import CallOutcome, Session
    from rpcshell.shell.supervisor import Supervisor
    from rpcshell.shell.variables import Variables
    from rpcshell.shell.why.observer import Observer
    from rpcshell.view.settings import Settings

__all__ = ["Leave", "Shell"]


class Leave(Exception):
    """The shell is to be left; raised by `Shell.exit`, caught by the frontend."""


class Shell:
    """What commands receive: the session, the output, and a way to run a line.

    Args:
        session: The target and what belongs to it.
        output: Where results and texts are shown.
        commands: The commands, or a function that loads them when a line needs one.
        interactive: Whether a person is at the prompt.
        settings: How things are shown; the defaults if not given.
        aliases: Lines by the words that stand for them at the beginning of a line.

    Attributes:
        sources: The files whose lines are being run, the outermost first.
        compose: Has a person edit a text, or else the line before, and puts it into the prompt; None without a prompt.
        lines: Gives the lines that were typed, in earlier sessions too, oldest first; None without a prompt.
        follower: Follows the server's log in the background, or None.
    """

    def __init__(
        self,
        session: Session,
        output: Output,
        commands: CommandRegistry | Callable[[], CommandRegistry],
        *,
        interactive: bool = False,
        settings: Settings | None = None,
        aliases: dict[str, str] | None = None,
    ) -> None:
        self.session = session
        self.output = output
        self.interactive = interactive
        self.aliases: dict[str, str] = {} if aliases is None else aliases
        if settings is not None:
            self.settings = settings
        self.sources: tuple[Path, ...] = ()
        self.compose: Callable[[str | None], None] | None = None
        self.lines: Callable[[], Sequence[str]] | None = None
        self.follower: LogFollower | None = None
        self._commands = commands
        self._listeners: list[Callable[[CallOutcome], None]] = []
        self._command: tuple[str, CommandLine] | None = None

    @cached_property
    def settings(self) -> Settings:
        """How things are shown."""
        from rpcshell.view.settings import Settings

        return Settings(script=not self.interactive)

    @cached_property
    def variables(self) -> Variables:
        """The results that lines can name; `_` is the last one."""
        from rpcshell.shell.variables import Variables

        return Variables()

    @cached_property
    def journal(self) -> Journal:
        """The calls of this session."""
        from rpcshell.shell.journal import Journal

        return Journal()

    @cached_property
    def observer(self) -> Observer:
        """Notes where the time of calls goes, and what the server does meanwhile."""
        from rpcshell.shell.why.observer import Observer

        return Observer(self.session, lambda: self.supervisor, watchful=self.interactive)

    @property
    def for_programs(self) -> bool:
        """Whether what commands show is read by a program that wants data, and not by a person."""
        from rpcshell.shell.output import Diverted

        read_by_person = self.interactive and not isinstance(self.output, Diverted)
        return self.settings.format in {"json", "raw"} and not read_by_person

    @cached_property
    def supervisor(self) -> Supervisor:
        """Finds the server that calls go to, where it can be watched and steered."""
        from rpcshell.shell.supervisor import Supervisor

        return Supervisor(self.session)

    def on_reply(self, callback: Callable[[CallOutcome], None]) -> None:
        """Have `callback` called after each call that was answered without an error, before its result is shown."""
        self._listeners.append(callback)

    def rest(self, number: int) -> str:
        """The text of the command line being run from one of its words on, exactly as typed, quotes and all.

        Args:
            number: Of the word, counted from 0; the command's name is none.
        """
        if self._command is None:
            return ""
        text, command = self._command
        return text[command.words[number].start :] if number < len(command.words) else ""

    @property
    def commands(self) -> CommandRegistry:
        """The commands, loaded at first use."""
        if callable(self._commands):
            self._commands = self._commands()
        return self._commands

    def execute(self, text: str) -> None:
        """Run one line.

        Args:
            text: A call, a command, or a value; several rows where brackets are open across them.

        Raises:
            SyntaxProblem: The line does not parse, or names a variable that is not there.
            ShellError: What the call or the command raised.
            Leave: The line was a command to leave.
        """
        from rpcshell.line.language import CallLine, CommandLine, ValueLine

        line = self._expanded(text)
        if (problem := line.blocking) is not None:
            raise _syntax_problem(line, problem)
        match line.body:
            case CommandLine() as command:
                self._run_command(line, command)
            case CallLine() as call:
                self._call(line, call)
            case ValueLine() as value:
                self._show_value(line, value)

    def read_call(self, text: str) -> tuple[str, Any]:
        """The method and the params of a call, for a command that makes it.

        Args:
            text: The call, without what would be done with its result.

        Raises:
            SyntaxProblem: The text does not parse, or names a variable that is not there.
            UsageError: It is no call.
        """
        from rpcshell.line.language import CallLine

        line = self._expanded(text)
        if (problem := line.blocking) is not None:
            raise _syntax_problem(line, problem)
        if not isinstance(line.body, CallLine) or line.body.assignment is not None:
            raise UsageError(f"{text} is no call", hint='a call is a method and its params, such as ping {"a": 1}')
        return line.body.method, self._params(line, line.body)

    def may_begin_line(self, name: str) -> bool:
        """Whether a row that begins with a name may be a line of its own: it is a method or an alias.

        Where a target has not told what it offers, any name may be a method.
        """
        if name in self.aliases or self.session.method(name) is not None:
            return True
        return not self.session.catalog.methods

    def close(self) -> None:
        """End what goes on in the background; the session is its owner's to close."""
        follower, self.follower = self.follower, None
        if follower is not None:
            follower.stop()

    def exit(self) -> None:
        """Leave the shell.

        Raises:
            Leave: Always.
        """
        raise Leave

    def _expanded(self, text: str) -> Line:
        """A line with the alias it begins with replaced; one alias may lead to another, but never to itself."""
        from rpcshell.line.language import leading_word, parse

        line = parse(text)
        used: set[str] = set()
        while self.aliases and (word := leading_word(line)) is not None:
            start, end = word
            name = line.text[start:end]
            if name in used or name not in self.aliases:
                break
            used.add(name)
            line = parse(line.text[:start] + self.aliases[name] + line.text[end:])
        return line

    def _run_command(self, line: Line, command: CommandLine) -> None:
        found = self.commands.resolve(command.name)
        words = [word.text for word in command.words]
        former, self._command = self._command, (line.text, command)
        try:
            if command.sink is None or found.verbatim:
                found.run(self, words)
            else:
                self._diverted(command.sink, lambda: found.run(self, words))
        finally:
            self._command = former

    def _diverted(self, sink: Sink, run: Callable[[], None]) -> None:
        """Send what a command has to say to a file or another program."""
        from rpcshell.shell.output import Diverted
        from rpcshell.shell.pipeline import check_sink

        check_sink(sink)
        output = self.output
        self.output = diverted = Diverted(output, self.settings, indented=self.interactive)
        try:
            run()
        finally:
            self.output = output
        self._send(sink, diverted.pieces)

    def _call(self, line: Line, call: CallLine) -> None:
        params = self._params(line, call)
        if call.sink is not None:
            from rpcshell.shell.pipeline import check_sink

            check_sink(call.sink)
        outcome = self._recorded(line.text, call.method, params)
        result = outcome.reply.result
        if call.assignment is not None:
            self.variables[call.assignment.name] = result
        if call.sink is not None:
            self._send_value(call.sink, result)
            self.output.timing(outcome)
        elif call.assignment is not None and not self.interactive:
            # What a script keeps for later is not what it has to say.
            self.output.timing(outcome)
        else:
            self.output.result(outcome)

    def _show_value(self, line: Line, body: ValueLine) -> None:
        from rpcshell.line.language import line_value

        value = self._evaluated(line, lambda: line_value(body, self.variables.lookup))
        name = line.text[body.value.start : body.value.end]
        if body.assignment is not None:
            name = f"${body.assignment.name}"
            self.variables[body.assignment.name] = value
        if body.sink is not None:
            self._send_value(body.sink, value)
        elif body.assignment is None or self.interactive:
            self.output.value(name, value)

    def _send_value(self, sink: Sink, value: Any) -> None:
        from rpcshell.view.plain import plain_text

        self._send(sink, plain_text(value, self.settings, indented=self.interactive))

    def _send(self, sink: Sink, pieces: Iterable[str]) -> None:
        from rpcshell.line.language import Redirect
        from rpcshell.shell.output import Styled
        from rpcshell.shell.pipeline import PipeFailed, send

        try:
            # A pager, for one, has the terminal to itself.
            with self.output.hold() if isinstance(self.output, Styled) else nullcontext():
                written = send(sink, pieces)
        except Cancelled:
            if self.interactive:
                # The terminal shows a ^C, and whatever the command had written before it.
                self.output.text("")
            raise
        except PipeFailed as error:
            if not self.interactive:
                raise
            # Whoever sees the screen sees what the command said; a search that finds nothing is no error.
            self.output.note(error.message)
        else:
            if isinstance(sink, Redirect) and self.interactive:
                self.output.note(f"{written} bytes {'added ' if sink.append else ''}to {sink.path}")

    def _recorded(self, text: str, method: str, params: object) -> CallOutcome:
        """Make a call, and tell the journal, the observer and the listeners what came of it."""
        from rpcshell.shell.journal import CallRecord

        target = "" if self.session.target is None else str(self.session.target)
        began = time.time()
        exchange = self.observer.begin()
        try:
            outcome = self.session.call(method, params, observer=exchange)
        except ShellError as error:
            elapsed = time.monotonic() - exchange.began
            record = CallRecord.failed(text, method, params, error, began=began, elapsed=elapsed, target=target)
            self.observer.ended(self.journal.add(record), exchange, error)
            _hide_secrets(error, params)
            raise
        self.observer.ended(self.journal.add(CallRecord.answered(text, outcome, began=began, target=target)), exchange)
        self.variables["_"] = outcome.reply.result
        for callback in self._listeners:
            callback(outcome)
        return outcome

    def _params(self, line: Line, call: CallLine) -> Any:
        from rpcshell.line.language import call_params

        # JSON says by itself what it means; only the short forms depend on what the method takes.
        schema = None if call.form == "json" else self.session.method(call.method)
        return self._evaluated(line, lambda: call_params(call, schema, self.variables.lookup))

    def _evaluated(self, line: Line, evaluate: Callable[[], Any]) -> Any:
        from rpcshell.line.language import LineError

        try:
            return evaluate()
        except LineError as error:
            raise _syntax_problem(line, error) from error


def _syntax_problem(line: Line, problem: Problem | LineError) -> SyntaxProblem:
    """The error of a line that has no meaning; it may end up in a log, so it does not repeat secrets."""
    from rpcshell.line.masking import mask_message

    column = problem.column if isinstance(problem, Exception) else problem.start
    message = mask_message(problem.message, line.text)
    return SyntaxProblem(message, line=line.text, column=column, expected=problem.expected)


def _hide_secrets(error: ShellError, params: object) -> None:
    """Take out of an error what its server repeats of the secrets that it was sent."""
    from rpcshell.line.masking import mask_text, mask_texts

    error.message = mask_text(error.message, params)
    if isinstance(error, CallError):
        error.data = mask_texts(error.data, params)
