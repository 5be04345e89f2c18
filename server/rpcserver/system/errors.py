"""Every error of the server package that its users meet: in handlers, when registering them, when loading an app.

The tree::

    ServerError
    +-- RpcError         a handler's own answer to its caller: an error with a code
    +-- ServiceError     a service that cannot be served as it is written
    +-- LoadError        the app could not be loaded
        +-- AppNotFound  nothing there under that name
        +-- AppFailed    it is there, and its own code failed
    +-- TlsError         a certificate or a key that cannot be used

`QuickStop` is no error, and no user's. What travels to clients is no exception but data: `rpcwire.Fault`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import UNSET

from rpcwire import ErrorCode

if TYPE_CHECKING:
    from pathlib import Path


class ServerError(Exception):
    """Base of every error of this package."""


class RpcError(ServerError):
    """Raised by a handler to answer its caller with an error.

    Args:
        message: what went wrong and what to do next; the caller sees it.
        code: JSON-RPC's codes are -32768 to -32000; the rest are the application's own.
        data: anything JSON can carry, for programs.

    Raises:
        TypeError: the message is no string or the code no integer.
    """

    def __init__(self, message: str, code: int = int(ErrorCode.APPLICATION_ERROR), data: Any = UNSET) -> None:
        # Errors may be as frequent as results, so that most are looked at once, and no base is called.
        if type(message) is not str or type(code) is not int:
            code = _checked(message, code)
        self.args = (message, code, data)
        self.message = message
        self.code = code
        self.data = data

    def __str__(self) -> str:
        return f"{self.message} (code {self.code})"


def _checked(message: object, code: object) -> int:
    if not isinstance(message, str):
        raise TypeError(f"the message of an RpcError is a string, not {type(message).__name__}")
    if not isinstance(code, int) or isinstance(code, bool):
        raise TypeError(f"the code of an RpcError is an integer, not {type(code).__name__}")
    return int(code)


class ServiceError(ServerError):
    """A service that cannot be served as it is written.

    Attributes:
        reason: what is wrong and what would be right.
        handler: the handler's name, where one is concerned.
        location: its `file:line`, where that is known.
    """

    def __init__(self, reason: str, *, handler: str | None = None, location: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.handler = handler
        self.location = location

    def __str__(self) -> str:
        if self.handler is None:
            return self.reason
        place = "" if self.location is None else f" ({self.location})"
        return f"{self.handler}{place}: {self.reason}"


class LoadError(ServerError):
    """The app could not be loaded.

    Attributes:
        app: the app as it was named.
        message: what happened and what to do next, in one line.
    """

    def __init__(self, app: str, message: str) -> None:
        super().__init__(app, message)
        self.app = app
        self.message = message

    def __str__(self) -> str:
        return self.message


class AppNotFound(LoadError):
    """Nothing that can be served is there under that name."""


class AppFailed(LoadError):
    """The app is there, and its own code failed while it was loaded or started.

    Attributes:
        traceback: the frames of the user's own code, or None where there are none to show.
    """

    def __init__(self, app: str, message: str, traceback: str | None) -> None:
        super().__init__(app, message)
        self.traceback = traceback


class QuickStop(BaseException):
    """Raised in a worker's main thread, wherever that is, to leave at once; what calls a user's code lets it pass."""


class TlsError(ServerError):
    """A certificate or a key that cannot be used.

    Attributes:
        path: the file that is to blame.
        reason: what is wrong with it, and what to do about it.
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


class BootError(ServerError):
    """The workers did not start; the traceback has the frames of the user's own code, where it is to blame."""

    def __init__(self, message: str, traceback: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.traceback = traceback
