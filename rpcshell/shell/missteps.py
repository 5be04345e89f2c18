"""What to say of a line that means nothing, or whose call failed: what it was meant as, where that is plain.

Only lines that go wrong need this.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from rpcshell.client.errors import CallError, ShellError, SyntaxProblem, UsageError
from rpcshell.line.advice import advice, can_be_made
from rpcshell.line.brief import brief
from rpcshell.line.language import CallLine, WordNode
from rpcshell.line.masking import MASKED, mask_line, mask_message, mask_text, mask_texts, masked_places
from rpcshell.shell.meant_lines import command_without_colon
from rpcwire import ErrorCode

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcshell.line.catalog import Method
    from rpcshell.line.language import Line, LineError, Problem
    from rpcshell.line.masking import Known
    from rpcshell.shell.call import Call
    from rpcshell.shell.command import CommandRegistry
    from rpcshell.shell.session import Session

_LONGEST_SIGNATURE: Final = 200


class Missteps(NamedTuple):
    """Tells what lines were meant as, by the methods that the target has told, the secrets, and the commands."""

    session: Session
    find: Callable[[str], Method | None]
    known: Known
    commands: Callable[[], CommandRegistry]

    def refuse_masked(self, text: str) -> None:
        """Refuse a line as the history keeps it, which would send asterisks for a secret."""
        if places := masked_places(text, self.known):
            message = f"a secret was left out here when the line was kept: type it in the place of {MASKED}"
            raise SyntaxProblem(message, line=text, column=places[0], expected="the secret")

    def refuse_foreign_call(self, text: str, method: str) -> None:
        """Refuse a call that is written as in other languages, `add(1, 2)`, where it is plain what it would be here."""
        if self.find(method) is None and (hint := self._did_you_mean(text)):
            raise UsageError("a call has no parentheses", hint=hint)

    def syntax_problem(self, line: Line, problem: Problem | LineError) -> SyntaxProblem:
        """The error of a line that has no meaning; it may end up in a log, so it does not repeat secrets."""
        column = problem.column if isinstance(problem, Exception) else problem.start
        message = mask_message(problem.message, line.text)
        error = SyntaxProblem(message, line=line.text, column=column, expected=problem.expected)
        if isinstance(problem, Exception):
            error.hint = problem.hint or error.hint
        # A line that can be read has what it lacks said by its problem: a variable, or a key in one.
        if line.blocking is not None:
            advised = self._did_you_mean(line.text) or self._signature(line)
            method = getattr(line.body, "method", "")
            if advised is None and self.find(method) is None:
                advised = self._command_without_colon(method, line.text)
            error.hint = advised or error.hint
        return error

    def complete(self, call: Call, error: ShellError) -> None:
        """Have the error of a call say what its params were meant as, and not repeat the secrets among them."""
        if isinstance(error, CallError) and error.hint is None:
            error.hint = self._advice(call, error)
        error.message = mask_text(error.message, call.named_params)
        if isinstance(error, CallError):
            error.data = mask_texts(error.data, call.named_params)

    def _advice(self, call: Call, error: CallError) -> str | None:
        """What the params were meant as that a method does not take.

        The error of a method that is not there leads on to no list where the server has none. Where instances of a
        fleet offer different things, what one refuses that another has told of is no mistake.
        """
        session = self.session
        if session.plain and error.code == ErrorCode.METHOD_NOT_FOUND:
            return "the server does not say what it offers"
        if session.fleet is not None and session.fleet.differ and self._may_be_offered(call, error):
            return f"{call.instance} offers something else than others: :servers shows which"
        if error.code == ErrorCode.METHOD_NOT_FOUND:
            near = self._near_methods(call.method, error.message)
            return near or self._command_without_colon(call.method, call.line)
        if isinstance(call.params, str | int | float | dict | list):
            method = self.find(call.method)
            if method is not None and not method.whole and not can_be_made(call.line, method):
                return self._did_you_mean(call.line)
        return None

    def _near_methods(self, method: str, said: str) -> str | None:
        """The question whether a method with a name that is like it was meant, where the server has not asked that."""
        catalog = self.session.catalog
        near = catalog.index.near(method)[:2] if catalog.methods and method not in catalog.methods else []
        # The server names the method itself too, which may begin as one that is near does, or end so.
        asked = any(said.count(name) > said.count(method) * method.count(name) for name in near)
        return f"did you mean {' or '.join(near)}?" if near and not asked else None

    def _may_be_offered(self, call: Call, error: CallError) -> bool:
        """Whether another instance than the one that refused a call may take it."""
        method = self.find(call.method)
        if error.code == ErrorCode.METHOD_NOT_FOUND:
            return method is not None or not (isinstance(error.data, dict) and error.data.get("suggestions"))
        return error.code == ErrorCode.INVALID_PARAMS and method is not None and can_be_made(call.line, method)

    def _command_without_colon(self, word: str, text: str) -> str | None:
        return command_without_colon(word, text, self.known, self.commands)

    def _signature(self, line: Line) -> str | None:
        """How a method is called, where its params by name are no JSON and no pairs."""
        body = line.body
        if not isinstance(body, CallLine) or not isinstance(body.params, WordNode):
            return None
        method = self.find(body.method)
        return None if method is None or method.whole else f"call it as {brief(method.signature, _LONGEST_SIGNATURE)}"

    def _did_you_mean(self, text: str) -> str | None:
        try:
            found = advice(text, self.find)
        except ShellError:
            # The target is asked for its methods, and cannot say.
            found = []
        lines = [f"`{mask_message(mask_line(one, self.known), text)}`" for one in found[:2]]
        return f"did you mean {' or '.join(lines)}?" if lines else None
