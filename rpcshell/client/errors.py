"""Every error the shell and its client raise, with the exit code each one ends a script with.

The tree::

    ShellError                      base: message, hint
    ├── UsageError (2)              what was asked for makes no sense as it stands
    │   └── SyntaxProblem           a line that does not parse: line, column, expected
    ├── CallError (1)               the server answered with an error: code, message, data
    ├── ConnectionFailed (3)        no connection could be made: target, reason
    │   └── TlsFailed               the two sides do not trust each other, or one of them does not speak TLS
    ├── NotConnected (3)            a call without a target
    ├── ConnectionLost (3)          the connection ended before the reply: target, may_have_run
    ├── CallTimeout (3)             no reply in time: seconds, target
    ├── ProtocolError (3)           the peer does not speak the protocol
    ├── SpawnFailed (3)             a server did not start: traceback, log
    ├── Cancelled (130)             interrupted by the user
    └── Unexpected (70)             a fault of the shell's own: traceback

Nothing here prints or formats for a screen: text from a server is kept as it came, and whoever shows it escapes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from msgspec import UnsetType

if TYPE_CHECKING:
    from pathlib import Path

    from rpcwire import Meta, Reply

_LONGEST_TEXT: Final = 500
"""Characters of an exception's own text that are told: it may repeat what a server sent, however long."""

_LONGEST_TRACEBACK: Final = 64 * 1024


class ShellError(Exception):
    """Base of all errors of rpcshell.

    Attributes:
        message: One sentence that says what happened.
        hint: What to do about it, where there is something to say.
        exit_code: What a script ends with when this error ends it.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint and self.hint not in self.message else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        # Exception's own way calls __init__ with `args` alone, which subclasses with more fields refuse.
        return self.__class__.__new__, (self.__class__, self.message), self.__dict__


class UsageError(ShellError):
    """What was asked for makes no sense as it stands: a wrong option, target, command or value."""

    exit_code = 2


class SyntaxProblem(UsageError):
    """A line that does not parse.

    Attributes:
        line: The text of the line.
        column: Where the problem is, counted from 0.
        expected: What would have been right there, or None.
    """

    def __init__(self, message: str, *, line: str, column: int, expected: str | None = None) -> None:
        said = expected is None or expected.removeprefix("a ") in message
        super().__init__(message, hint=f"expected {expected}" if expected and not said else None)
        self.line = line
        self.column = column
        self.expected = expected


class CallError(ShellError):
    """The server answered the call with an error.

    Attributes:
        method: The method that was called.
        code: The error's number, as in JSON-RPC 2.0 (section 5.1) where it is from -32768 to -32000.
        message: The server's text.
        data: What the server added, or None.
        elapsed: Seconds from request to reply.
        meta: Who answered, where that was asked for and told.
        target: Which instance of a fleet answered, a `Target`; None where there is only one.
    """

    def __init__(
        self,
        message: str,
        *,
        code: int,
        data: Any = None,
        method: str = "",
        elapsed: float = 0.0,
        meta: Meta | None = None,
        target: object = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.data = data
        self.method = method
        self.elapsed = elapsed
        self.meta = meta
        self.target = target

    @property
    def instance(self) -> str:
        """Which instance of a fleet answered, as its address is written; empty where there is only one."""
        return "" if self.target is None else str(self.target)

    @classmethod
    def of_reply(cls, method: str, reply: Reply, elapsed: float, target: object = None) -> CallError | None:
        """The error that an error reply of an instance tells of, or None for a good reply; `elapsed` in seconds."""
        fault = reply.fault
        if fault is None:
            return None
        data = None if isinstance(fault.data, UnsetType) else fault.data
        return cls(
            fault.message, code=fault.code, data=data, method=method, elapsed=elapsed, meta=reply.meta, target=target
        )

    def __str__(self) -> str:
        return f"error {self.code}: {self.message}"


class ConnectionFailed(ShellError):
    """No connection to the target could be made.

    Attributes:
        target: Where to, a `Target`.
        reason: Why not, in a few words.
    """

    exit_code = 3

    def __init__(self, target: object, reason: str, *, hint: str | None = None) -> None:
        super().__init__(f"cannot connect to {getattr(target, 'brief', target)}: {reason}", hint=hint)
        self.target = target
        self.reason = reason


class TlsFailed(ConnectionFailed):
    """TLS could not be agreed on, so that nothing was sent: a certificate is not trusted, or there is no TLS."""


class NotConnected(ShellError):
    """A call was made without a target to send it to."""

    exit_code = 3

    def __init__(self) -> None:
        super().__init__("no server", hint=":spawn 10 starts one, :connect HOST:PORT joins one")


class ConnectionLost(ShellError):
    """The connection ended before the reply came.

    Attributes:
        target: Where to, a `Target`.
        may_have_run: Whether the server may have executed the request.
    """

    exit_code = 3

    def __init__(self, target: object, reason: str, *, may_have_run: bool, hint: str | None = None) -> None:
        fate = "the request may have run" if may_have_run else "the request did not run"
        super().__init__(f"lost the connection to {target}: {reason}; {fate}", hint=hint)
        self.target = target
        self.reason = reason
        self.may_have_run = may_have_run


class CallTimeout(ShellError):
    """No reply came in time.

    Attributes:
        seconds: The limit that passed.
        may_have_run: Whether the request was sent, so that the server may be running it still.
        target: Which instance of a fleet it was sent to last, a `Target`; None where there is only one.
    """

    exit_code = 3

    def __init__(
        self,
        seconds: float,
        *,
        method: str = "",
        may_have_run: bool = True,
        target: object = None,
        hint: str | None = None,
    ) -> None:
        what = f"{method}: no reply" if method else "no reply"
        if target is not None:
            what += f" from {target}"
        fate = "the server may still be running it" if may_have_run else "the request was not sent"
        super().__init__(f"{what} within {seconds:g} s; {fate}", hint=hint)
        self.seconds = seconds
        self.method = method
        self.may_have_run = may_have_run
        self.target = target


class ProtocolError(ShellError):
    """What answers at the target does not speak the protocol."""

    exit_code = 3


class SpawnFailed(ShellError):
    """A server that was to be started did not get ready.

    Attributes:
        traceback: The frames of the user's own code that failed, or None.
        log: The server's log file, or None.
    """

    exit_code = 3

    def __init__(
        self, message: str, *, traceback: str | None = None, log: Path | None = None, hint: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.traceback = traceback
        self.log = log


class Cancelled(ShellError):
    """The user interrupted what was going on.

    Attributes:
        at_end: What happened where nothing goes on after it, as in a script.
    """

    exit_code = 130

    def __init__(self, message: str, *, at_end: str | None = None) -> None:
        super().__init__(message)
        self.at_end = message if at_end is None else at_end


class Unexpected(ShellError):
    """Something that nobody foresaw: a fault of the shell's own, whatever a server did to bring it about.

    Attributes:
        traceback: Where it was, for whoever mends it; empty unless that was asked for.
    """

    exit_code = 70

    def __init__(self, cause: BaseException, *, debug: bool = False) -> None:
        text = " ".join(f"{type(cause).__name__}: {cause}"[:_LONGEST_TEXT].split()).rstrip(":")
        hint = None if debug else "a fault of rpcshell's own; rpcshell --debug shows where"
        super().__init__(f"unexpected {text}", hint=hint)
        self.traceback = ""
        if debug:
            from traceback import format_exception

            self.traceback = "".join(format_exception(cause))[-_LONGEST_TRACEBACK:]
