"""What clients are told when a call fails: every exception is turned into a `Fault` here, and nowhere else.

The messages say what to do next. A handler's traceback goes to the log, and to the client only in debug mode.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET, Raw

from rpcserver.service.params import explain
from rpcserver.service.suggestions import near_names
from rpcserver.service.tracebacks import one_line, own_traceback, printable
from rpcserver.system.errors import RpcError
from rpcwire import EncodeError, ErrorCode, Fault, MessageError, ParseError, encode_value

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rpcserver.service.endpoint import Endpoint

_SHOWN_NAME = 80


class Faults:
    """Makes the faults of one worker.

    Args:
        debug: whether clients may see tracebacks.
    """

    def __init__(self, *, debug: bool = False) -> None:
        self._debug = debug

    def of_message(self, error: MessageError) -> Fault:
        """For a body that is no request."""
        return Fault(error.code, str(error))

    def of_unknown_method(self, name: str, known: Iterable[str]) -> Fault:
        """For a method that is not served; near names are in `data.suggestions`."""
        near = near_names(name, known)
        shown = name if len(name) <= _SHOWN_NAME else f"{name[:_SHOWN_NAME]}…"
        hint = f"did you mean {' or '.join(near)}?" if near else "rpc.discover lists the methods"
        return Fault(ErrorCode.METHOD_NOT_FOUND, f"there is no method {shown!r}; {hint}", {"suggestions": near})

    def of_params(self, endpoint: Endpoint, raw: Raw, error: msgspec.ValidationError) -> Fault:
        """For params that do not fit; `data.path` says where."""
        try:
            problem = explain(endpoint, raw, error)
        except ParseError as unreadable:
            return self.of_message(unreadable)
        return Fault(ErrorCode.INVALID_PARAMS, printable(problem.message), problem.data)

    def of_handler(self, endpoint: Endpoint, error: BaseException) -> Fault:
        """For whatever a handler raised: its own `RpcError`, or a failure."""
        if isinstance(error, RpcError):
            return self._of_rpc_error(endpoint, error)
        kind = type(error).__name__
        said = printable(f"{endpoint.method.name} failed: {one_line(error)}")
        trace = printable(own_traceback(error))
        endpoint.log.error("%s\n%s", said, trace.rstrip())
        data: dict[str, Any] = {"exception": kind}
        if self._debug:
            message = said
            data["traceback"] = trace
        else:
            # An exception's text may name files, tables or people: only the class goes to the caller.
            message = f"{endpoint.method.name} failed with {kind}; the server's log has the traceback"
        return Fault(ErrorCode.INTERNAL_ERROR, message, data)

    def of_result(self, endpoint: Endpoint, error: BaseException) -> Fault:
        """For a result that cannot be sent."""
        reason = printable(error.reason if isinstance(error, EncodeError) else one_line(error))
        message = f"{endpoint.method.name} returned what cannot be sent as JSON: {reason}"
        endpoint.log.error("%s", message)
        return Fault(ErrorCode.INTERNAL_ERROR, message, {"exception": type(error).__name__})

    def _of_rpc_error(self, endpoint: Endpoint, error: RpcError) -> Fault:
        data = error.data
        if data is not UNSET:
            try:
                # Read back, so that what is sent later can be sent for certain.
                data = msgspec.json.decode(encode_value(data))
            except EncodeError as problem:
                reason = printable(str(problem))
                endpoint.log.error("the data of an RpcError cannot be sent: %s", reason)
                data = {"unsent": reason}
        return Fault(error.code, printable(error.message), data)
