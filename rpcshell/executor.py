"""What a line does: it is parsed, and then it is a call or a command.

The prompt, scripts and one-shot lines all go through here. Showing is the output's business, talking the session's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rpcshell.errors import SyntaxProblem

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcshell.commands import CommandRegistry
    from rpcshell.language import CallLine, Line
    from rpcshell.output import Output
    from rpcshell.session import Session

__all__ = ["Leave", "Shell", "load_commands"]


class Leave(Exception):
    """The shell is to be left; raised by `Shell.exit`, caught by the frontend."""


def load_commands() -> CommandRegistry:
    """Import the commands, which a run without any does not need."""
    from rpcshell import commands

    return commands.load_commands()


class Shell:
    """What commands receive: the session, the output, and a way to run a line.

    Args:
        session: The target and what belongs to it.
        output: Where results and texts are shown.
        commands: The commands, or a function that loads them when a line needs one.
        interactive: Whether a person is at the prompt.
    """

    def __init__(
        self,
        session: Session,
        output: Output,
        commands: CommandRegistry | Callable[[], CommandRegistry] = load_commands,
        *,
        interactive: bool = False,
    ) -> None:
        self.session = session
        self.output = output
        self.interactive = interactive
        self._commands = commands

    @property
    def commands(self) -> CommandRegistry:
        """The commands, loaded at first use."""
        if callable(self._commands):
            self._commands = self._commands()
        return self._commands

    def execute(self, text: str) -> None:
        """Run one line.

        Args:
            text: A call or a command; several lines where brackets are open across them.

        Raises:
            SyntaxProblem: The line does not parse.
            ShellError: What the call or the command raised.
            Leave: The line was a command to leave.
        """
        from rpcshell.language import CallLine, CommandLine, parse

        line = parse(text)
        if (problem := line.blocking) is not None:
            raise SyntaxProblem(problem.message, line=text, column=problem.start, expected=problem.expected)
        match line.body:
            case CommandLine(name=name, words=words):
                self.commands.resolve(name).run(self, [word.text for word in words])
            case CallLine() as call:
                self._call(line, call)

    def exit(self) -> None:
        """Leave the shell.

        Raises:
            Leave: Always.
        """
        raise Leave

    def _call(self, line: Line, call: CallLine) -> None:
        self.output.result(self.session.call(call.method, self._params(line, call)))

    def _params(self, line: Line, call: CallLine) -> Any:
        from rpcshell.language import LineError, call_params

        # JSON says by itself what it means; only the short forms depend on what the method takes.
        schema = None if call.form == "json" else self.session.method(call.method)
        try:
            return call_params(call, schema)
        except LineError as error:
            raise SyntaxProblem(error.message, line=line.text, column=error.column, expected=error.expected) from error
