"""What clients are told when a call fails: every exception is turned into a `Fault` here, and nowhere else.

The messages say what to do next. A handler's traceback goes to the log, and to the client only in debug mode.
"""

from __future__ import annotations

import re
import traceback
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET, Raw

from rpcserver.service.source import class_name, one_line, own_traceback, raised_in
from rpcserver.system.errors import QuickStop, RpcError
from rpcserver.system.near_names import near_names
from rpcserver.system.printable import printable
from rpcwire import EncodeError, ErrorCode, Fault, MessageError, ParseError, decode_params, encode_value

if TYPE_CHECKING:
    from collections.abc import Collection

    from rpcserver.service.endpoint import Endpoint

RECEIVING, READING, CALLING, REPLYING = range(4)
"""What was done with a request: its body or its params were read, its handler was called, its result written."""

_SHOWN_NAME = 80
_REMEMBERED = 256
_LONGEST = 200
"""Longer texts are not remembered: clients choose them."""
_PLACE = re.compile(r"(?s)^(?P<text>.*) - at (?P<key>`key` in )?`(?P<path>[^`]*)`$")
_TYPES = re.compile(r"(?s)^Expected `(?P<expected>[^`]*)`(?P<bound>.*?), got `(?P<got>[^`]*)`$")
_ITEM = re.compile(r"^\$\[(\d+)\]")
_NEAR = re.compile(r"^\$(\.\w+|\[\d+\])?$")
_SHOWN = 5

_read_back = msgspec.json.Decoder().decode

_JSON_NAMES = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}


class Faults:
    """Makes the faults of one worker, whose methods `known` names; with `debug` clients are sent handlers' tracebacks.

    What is said of a mistake is remembered, as clients make the same one again and again.
    """

    def __init__(self, known: Collection[str], *, debug: bool) -> None:
        self._debug = debug
        remember = lru_cache(_REMEMBERED)
        self._unknown_method = remember(lambda name: _write(_unknown_method(name, known)))
        self._explained = remember(lambda endpoint, text: _write(_explain(endpoint, text)))
        self._unbound = remember(
            lambda endpoint, names: (fault := _unbound(endpoint, dict.fromkeys(names))) and _write(fault)
        )

    def of_message(self, error: MessageError) -> Fault:
        """For a body that is no request."""
        return Fault(error.code, str(error))

    def of_cancelled_batch(self, error: BaseException) -> Fault:
        """For a batch one of whose handlers has cancelled the task that all of them run in."""
        kind = class_name(error)
        return Fault(ErrorCode.INTERNAL_ERROR, f"a call of the batch failed with {kind}", {"exception": kind})

    def of_unknown_method(self, name: str) -> Fault:
        """For a method that is not served; near names are in `data.suggestions`."""
        return self._unknown_method(name) if len(name) <= _LONGEST else _unknown_method(name, ())

    def of_stage(self, stage: int, endpoint: Endpoint, params: Raw, error: BaseException) -> Fault:
        """For whatever was raised at a stage of a call."""
        if stage == READING:
            if isinstance(error, msgspec.ValidationError):
                return self._of_params(endpoint, params, error)
            if isinstance(error, ParseError):
                return self.of_message(error)
        elif stage == REPLYING:
            return self._of_result(endpoint, error)
        return self._of_handler(endpoint, error)

    def of_failed_fault(self, endpoint: Endpoint, error: BaseException, failure: BaseException) -> Fault:
        """For an exception of which no other fault can be made, and which may be looked at no more."""
        kind = class_name(error)
        message = f"{endpoint.method.name} failed with {kind}, of which no reply can be made"
        try:
            trace = "".join(traceback.format_list(raised_in(error) + raised_in(failure)))
            endpoint.log.error("%s: %s\n%s", printable(message), class_name(failure), printable(trace).rstrip())
        except QuickStop:
            raise
        except BaseException:  # noqa: BLE001, S110 - the log may be what has failed, and be the user's
            pass
        return Fault(ErrorCode.INTERNAL_ERROR, printable(message), {"exception": printable(kind)})

    def _of_params(self, endpoint: Endpoint, raw: Raw, error: msgspec.ValidationError) -> Fault:
        """For params that do not fit; `data.path` says where."""
        try:
            params = decode_params(raw)
        except ParseError as unreadable:
            # The types were looked at before the rest.
            return self.of_message(unreadable)
        if not endpoint.signature.whole:
            short = type(params) is dict and len(memoryview(raw)) <= _LONGEST
            fault = self._unbound(endpoint, tuple(params)) if short else _unbound(endpoint, params)
            if fault is not None:
                return fault
        text = str(error)
        return self._explained(endpoint, text) if len(text) <= _LONGEST else _explain(endpoint, text)

    def _of_handler(self, endpoint: Endpoint, error: BaseException) -> Fault:
        """For whatever a handler raised: its own `RpcError`, or a failure."""
        if isinstance(error, RpcError):
            return self._of_rpc_error(endpoint, error)
        kind = class_name(error)
        said = printable(f"{endpoint.method.name} failed: {one_line(error)}")
        trace = printable(own_traceback(error))
        endpoint.log.error("%s\n%s", said, trace.rstrip())
        if self._debug:
            return Fault(ErrorCode.INTERNAL_ERROR, said, {"exception": kind, "traceback": trace})
        # An exception's text may name files, tables or people: only the class goes to the caller.
        message = f"{endpoint.method.name} failed with {kind}; the server's log has the traceback"
        return Fault(ErrorCode.INTERNAL_ERROR, message, {"exception": kind})

    def _of_result(self, endpoint: Endpoint, error: BaseException) -> Fault:
        """For a result that cannot be sent."""
        reason = printable(error.reason if isinstance(error, EncodeError) else one_line(error))
        message = f"{endpoint.method.name} returned what cannot be sent as JSON: {reason}"
        endpoint.log.error("%s", message)
        return Fault(ErrorCode.INTERNAL_ERROR, message, {"exception": class_name(error)})

    def _of_rpc_error(self, endpoint: Endpoint, error: RpcError) -> Fault:
        fault = Fault(error.code, printable(error.message), error.data)
        if error.data is not UNSET:
            try:
                # What is sent can be read for certain.
                _read_back(_write(fault).json)
            except EncodeError as problem:
                reason = printable(str(problem))
                endpoint.log.error("the data of an RpcError cannot be sent: %s", reason)
                return Fault(error.code, fault.message, {"unsent": reason})
        return fault


def _write(fault: Fault) -> Fault:
    fault.__dict__["json"] = encode_value(fault)
    return fault


def _unknown_method(name: str, known: Collection[str]) -> Fault:
    near = near_names(name, known)
    shown = name if len(name) <= _SHOWN_NAME else f"{name[:_SHOWN_NAME]}…"
    hint = f"did you mean {' or '.join(near)}?" if near else "rpc.discover lists the methods"
    return Fault(ErrorCode.METHOD_NOT_FOUND, f"there is no method {shown!r}; {hint}", {"suggestions": near})


def _refusal(message: str, path: str, **data: Any) -> Fault:
    return Fault(ErrorCode.INVALID_PARAMS, printable(message), {"path": path, **data})


def _explain(endpoint: Endpoint, text: str) -> Fault:
    """Say what is wrong with a value in params, of which msgspec says `text`."""
    name, signature = endpoint.method.name, endpoint.signature
    path, where = "$", "params"
    place = _PLACE.match(text)
    if place is not None:
        text, path = place["text"], place["path"]
        where = f"a key of {path}" if place["key"] else path
    data = {}
    types = _TYPES.match(text)
    if types is not None:
        expected, got = _in_json(types["expected"]) + types["bound"], _in_json(types["got"])
        data = {"expected": expected, "got": got}
        text = f"expected {expected}, got {got}"
    item = _ITEM.match(path)
    if item is not None and not signature.whole:
        where = f"{path} ({signature.positional[int(item[1])].name})"
    hint = f"call it as {endpoint.usage}" if _NEAR.match(path) else "rpc.discover has its schema"
    return _refusal(f"{where} of {name}: {text[:1].lower()}{text[1:].replace('`', '')}; {hint}", path, **data)


def _in_json(types: str) -> str:
    """Names of types as JSON Schema has them: `str | null` becomes `string or null`."""
    return " or ".join(_JSON_NAMES.get(name, name) for name in types.split(" | "))


def _unbound(endpoint: Endpoint, params: Any) -> Fault | None:
    """What keeps params from being bound to parameters at all; None where it is a value in them."""
    name, signature = endpoint.method.name, endpoint.signature
    form = f"call it as {endpoint.usage}"
    known = [parameter.name for parameter in signature.parameters]
    if isinstance(params, dict):
        unknown = [key for key in params if key not in known]
        if unknown:
            near = near_names(unknown[0], known)
            shown = ", ".join(repr(key[:80]) for key in unknown[:_SHOWN])
            hint = f"did you mean {near[0]!r}? " if near else ""
            message = f"{name} has no parameter {shown}; {hint}{form}"
            return _refusal(message, f"$.{unknown[0][:80]}", unknown=unknown[:_SHOWN], known=known)
        return _missing(form, name, [p.name for p in signature.parameters if p.required and p.name not in params])
    if params is None:
        return _missing(form, name, [p.name for p in signature.parameters if p.required])
    if not isinstance(params, list):
        kind = _in_json(type(params).__name__)
        message = f"params of {name} are an object by name or an array by position, not {kind}; {form}"
        return _refusal(message, "$", expected="object", got=kind)
    if len(params) > len(signature.positional):
        most = len(signature.positional)
        message = f"{name} takes at most {most} params by position, not {len(params)}; {form}"
        return _refusal(message, f"$[{most}]", expected=most, got=len(params))
    by_name = [p.name for p in signature.keyword_only if p.required]
    if by_name:
        message = f"{name} needs {', '.join(by_name)} by name; send params as an object; {form}"
        return _refusal(message, f"$.{by_name[0]}", missing=by_name)
    return _missing(form, name, [p.name for p in signature.positional[len(params) :] if p.required])


def _missing(form: str, name: str, missing: list[str]) -> Fault | None:
    if not missing:
        return None
    return _refusal(f"{name} needs {', '.join(missing)}; {form}", f"$.{missing[0]}", missing=missing)
