"""Varlink (https://varlink.org), as systemd and others speak it.

Messages end with a NUL. Replies carry no id and come in the order of the calls. A method may have several replies where
the call says `more`; nothing tells that but an error, org.varlink.service.ExpectedMore, upon which the call is sent
again with it. `METHOD:more` says so at once, for methods that may have several, and `METHOD:oneway` asks for none.

Nothing ends a call: the connection on which it was given up is closed.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from typing import Any, ClassVar, Final

from rpcshell.client.dialects import Ask, Description, Event, Message, Partial, Steps, Tell
from rpcshell.client.dialects.framed import FramedDialect
from rpcshell.client.dialects.lenient import as_mapping, as_text
from rpcshell.client.dialects.recognition import Guess, Recognition, first_object
from rpcshell.client.dialects.steps import granted
from rpcshell.client.dialects.varlink_idl import parse
from rpcwire import ERROR_OUT, EncodeError, ErrorCode, Floats, InvalidReply, Reply, encode_value

QUESTION_TIMEOUT: Final = 5.0
"""Seconds that a server has to answer each question about what it offers."""

_MORE: Final = ":more"
"""Behind a method's name: it may have several replies."""

_ONEWAY: Final = ":oneway"
"""Behind a method's name: it is to have none."""

_SERVICE: Final = "org.varlink.service"
_MAY_HAVE_MORE: Final = "[Supports 'more' flag]"
"""What systemd says of methods that have one reply or several, as the caller wants."""

_HAS_MORE: Final = "[Requires 'more' flag]"
"""What it says of those that always have several."""

_NAME: Final = re.compile(r"[A-Za-z0-9.-]{1,255}")
_INFO: Final = {"method": f"{_SERVICE}.GetInfo"}
"""What follows a call without a reply: some servers answer it with an error, which is not to be taken for another's."""

_CODES: Final = {
    f"{_SERVICE}.MethodNotFound": ErrorCode.METHOD_NOT_FOUND,
    f"{_SERVICE}.InterfaceNotFound": ErrorCode.METHOD_NOT_FOUND,
    f"{_SERVICE}.InvalidParameter": ErrorCode.INVALID_PARAMS,
}
_MOST_INTERFACES: Final = 500


class Varlink(FramedDialect):
    """The caller's side."""

    framings: ClassVar[tuple[str, ...]] = ("nul",)
    absent_params: ClassVar[bool] = True
    guesses: ClassVar[tuple[Guess, ...]] = (Guess(encode_value(_INFO) + b"\0", "a question of varlink", rank=20),)

    @classmethod
    def recognises(cls, first: bytes, guess: Guess) -> Recognition | None:
        """What a service tells of itself, or an error of its own interface."""
        said = first_object(first, "nul")
        own = as_text(said.get("error")).startswith(f"{_SERVICE}.")
        return Recognition("varlink") if own or "interfaces" in as_mapping(said.get("parameters")) else None

    def __init__(self, max_reply: int, floats: Floats = "float", framing: str | None = None) -> None:
        super().__init__(max_reply, floats, framing)
        self._waiting: deque[tuple[int, dict[str, Any]]] = deque()

    def encode_call(self, method: str, params: object, *, meta: bool, plain: bool, number: int = 0) -> bytes:
        """A call.

        Raises:
            EncodeError: The params are not by name, or JSON cannot carry them.
        """
        if params is not None and not isinstance(params, dict):
            raise EncodeError("parameters go by name, as an object")
        flag = next((flag for flag in (_MORE, _ONEWAY) if method.endswith(flag)), "")
        call: dict[str, Any] = {"method": method.removesuffix(flag)}
        if params is not None:
            call["parameters"] = params
        if flag:
            call[flag[1:]] = True
        data = self.encode(call)
        if flag == _ONEWAY:
            self.say(Reply("sent", id=number))
            number, data = 0, data + self.encode(_INFO)
        self._waiting.append((number, call))
        return data

    def read(self, message: Any) -> Iterator[Message]:
        """What a message says to the call whose turn it is."""
        if "method" in message:
            raise InvalidReply("a service makes no calls")
        if not self._waiting:
            raise InvalidReply("a reply came that no call waits for")
        number, call = self._waiting[0]
        error, parameters = message.get("error"), message.get("parameters")
        if not number and error is not None and not _refuses_info(error, parameters):
            yield Event(str(error), parameters)
            return
        if message.get("continues"):
            yield Partial(parameters, number)
            return
        self._waiting.popleft()
        if not number:
            return
        if error == f"{_SERVICE}.ExpectedMore" and "more" not in call:
            again = {**call, "more": True}
            self._waiting.append((number, again))
            yield Tell(self.encode(again))
        elif error is not None:
            yield Reply(ERROR_OUT, _fault(error, parameters), id=number)
        else:
            yield Reply("parameters", parameters, id=number)

    def cancel(self, number: int) -> bytes | None:
        """There is no way but to close the connection."""
        return None

    def describe(self) -> Steps[Description]:
        """Ask for the definition of every interface; one that is refused or cannot be read is left out."""
        told = yield from granted(Ask(f"{_SERVICE}.GetInfo", timeout=QUESTION_TIMEOUT))
        definitions: dict[str, str] = {}
        for name in told["interfaces"][:_MOST_INTERFACES]:
            if not _NAME.fullmatch(name):
                continue
            question = {"interface": name}
            reply: Reply = yield Ask(f"{_SERVICE}.GetInterfaceDescription", question, timeout=QUESTION_TIMEOUT)
            if reply.fault is None:
                definitions[name] = str(reply.result["description"])
        return described(told, definitions)


def _refuses_info(error: object, parameters: object) -> bool:
    """Whether an error is the answer of a service that does not tell of itself, as systemd's did not before 255."""
    told = parameters.values() if isinstance(parameters, dict) else ()
    about = (_SERVICE, "GetInfo", f"{_SERVICE}.GetInfo")
    return error == f"{_SERVICE}.MethodNotImplemented" or any(one in about for one in told)


def _fault(name: str, parameters: object) -> dict[str, Any]:
    """An error, which has a dotted name and parameters."""
    code = _CODES.get(name, ErrorCode.APPLICATION_ERROR)
    return {"code": int(code), "message": name, **({"data": parameters} if parameters else {})}


def described(info: dict[str, Any], definitions: dict[str, str]) -> Description:
    """What a service says of itself."""
    types: dict[str, Any] = {}
    errors: dict[str, Any] = {}
    methods: list[dict[str, Any]] = []
    for name, definition in definitions.items():
        interface = parse(name, definition, f"#/x-types/{name}")
        types[name] = interface.types
        errors |= {error["message"]: error for error in interface.errors}
        known = [{"$ref": f"#/components/errors/{error['message']}"} for error in interface.errors]
        methods += [{**method, "errors": known} for method in interface.methods]
    document = {
        "openrpc": "1.3.2",
        "info": {"title": info.get("product", ""), "version": info.get("version", "")},
        "methods": [*methods, *_with_more(methods)],
        "components": {"errors": errors},
        "x-types": types,
    }
    return Description(document)


def _with_more(methods: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The methods that may be called with `more` where they need not be: those of which that is said, or else all."""
    told = any(mark in method["description"] for method in methods for mark in (_MAY_HAVE_MORE, _HAS_MORE))
    for method in methods:
        if _MAY_HAVE_MORE in method["description"] if told else not method["name"].startswith(f"{_SERVICE}."):
            yield {**method, "name": method["name"] + _MORE}
