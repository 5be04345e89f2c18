"""mpv's JSON IPC (https://mpv.io/manual/stable/#json-ipc), as `--input-ipc-server` opens it.

Input commands go by position or by name; the commands that only clients have go by position. All are sent as
asynchronous, so that a slow one keeps no other waiting. None can be ended early: what is given up runs on. What it says
of its commands names their arguments and types, without the values of choices, and calls an argument needed that has a
default.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, ClassVar, Final

from rpcshell.client.dialects import Ask, Description, Event, HandshakeFailed, Message, Steps
from rpcshell.client.dialects.framed import FramedDialect
from rpcshell.client.dialects.method_tables import as_openrpc, method_table
from rpcshell.client.dialects.recognition import Guess, Recognition, messages_in
from rpcshell.client.dialects.steps import DESCRIPTION_TIMEOUT, OTHER_FORM, granted
from rpcshell.client.errors import CallTimeout
from rpcwire import ERROR_OUT, EncodeError, InvalidReply, ParseError, Reply, decode_value

HELLO_TIMEOUT: Final = 4.0
"""Seconds that a player has to answer at first."""

_TEXT: Final = {"type": "string"}
_WHOLE: Final = {"type": "integer"}
_LOOSE: Final = {"type": ["string", "number"]}
_TYPES: Final[Mapping[str, dict[str, Any]]] = {
    "String": _TEXT,
    "Flags": _TEXT,
    "Integer": _WHOLE,
    "Integer64": _WHOLE,
    "ByteSize": _WHOLE,
    "Double": {"type": "number"},
    "Flag": {"type": "boolean"},
    "Time": _LOOSE,
    "Choice": _LOOSE,
    "up|down": _LOOSE,
    "String list": {"type": "array", "items": _TEXT},
    "Key/value list": {"type": "object", "additionalProperties": _TEXT},
}
_WITHOUT_DEFAULT: Final = frozenset(("String", "String list", "Time"))
"""Types whose arguments have no default, so that what is not called optional is needed."""

_OF_PROPERTIES: Final = frozenset(("set", "add", "cycle", "multiply", "change-list"))
"""Listed commands whose `name` is that of a property."""

_NUMBER: Final = re.compile(r'"request_id":(\d+)')
_NO_VALUE: Final = re.compile(r'(":)(?=[,}])')


class Mpv(FramedDialect):
    """A player."""

    framings: ClassVar[tuple[str, ...]] = ("line",)
    absent_params: ClassVar[bool] = True

    @classmethod
    def recognises(cls, first: bytes, guess: Guess) -> Recognition | None:
        """What it makes of a line without a command; events may come before."""
        refused = any(
            isinstance(message, dict) and "request_id" in message and isinstance(message.get("error"), str)
            for message in messages_in(first, "stream")
        )
        return Recognition("mpv") if refused else None

    def encode_call(self, method: str, params: object, *, meta: bool, plain: bool, number: int = 0) -> bytes:
        """A command.

        Raises:
            EncodeError: Params have names that the command has not, or JSON cannot carry them.
        """
        return self.encode({"command": _command(method, params), "request_id": number, "async": True})

    def unreadable(self, body: bytes | bytearray, error: ParseError) -> Iterable[Message]:
        """What a message says that is no JSON, as the player writes some results."""
        text = body.decode("utf-8", "replace")
        # Names of files may have bytes that are no UTF-8, and bytes that a program has printed are left out.
        for mended in (text, _NO_VALUE.sub(r"\1null", text)):
            with suppress(ParseError, *OTHER_FORM):
                return list(self.read(decode_value(mended.encode(), self._floats)))
        if (found := _NUMBER.search(text)) is not None:
            return [Reply(ERROR_OUT, "it has sent a reply that is no JSON", id=int(found[1]))]
        return super().unreadable(body, error)

    def read(self, message: Any) -> Iterator[Message]:
        """What a message says."""
        if "event" in message:
            yield Event(str(message["event"]), {key: value for key, value in message.items() if key != "event"})
        elif "error" not in message:
            raise InvalidReply('a message has "event" or "error"')
        elif (error := message["error"]) == "success":
            yield Reply("data", message.get("data"), id=_number(message))
        else:
            yield Reply(ERROR_OUT, str(error), id=_number(message))

    def hello(self) -> Steps[None]:
        """Ask for the version, which any player tells at once."""
        try:
            yield from granted(Ask("get_version", timeout=HELLO_TIMEOUT), "to tell its version")
        except CallTimeout as error:
            reason = f"it did not tell its version within {error.seconds:g} s"
            raise HandshakeFailed(reason, "is this what mpv's --input-ipc-server names?") from None

    def describe(self) -> Steps[Description]:
        """Ask for the commands; those that only clients have are known."""
        question = Ask("get_property", ["command-list"], timeout=DESCRIPTION_TIMEOUT)
        commands = yield from granted(question, "to list its commands")
        version: Reply = yield Ask("get_property", ["mpv-version"], timeout=DESCRIPTION_TIMEOUT)
        table = method_table("mpv")
        own = [{**as_openrpc(one), "paramStructure": "by-position", "x-out": "data"} for one in table.requests]
        methods = own + [_method(command) for command in commands]
        told = version.result.removeprefix("mpv ") if isinstance(version.result, str) and version.fault is None else ""
        return Description.of_methods(methods, "mpv", told, "command", events=table.events)

    def complete(self, method: str, param: str, typed: str, others: Mapping[str, Any]) -> Steps[list[str]]:
        """The names of properties, and after a slash of what is in one; of an option's values those that it has."""
        path = typed.rpartition("/")[0]
        asked = f"option-info/{others.get('name')}" if param == "value" else path or "property-list"
        reply: Reply = yield Ask("get_property", [asked])
        found = reply.result if reply.fault is None else None
        if param == "value":
            return [str(choice) for choice in found.get("choices", ())] if isinstance(found, dict) else []
        if isinstance(found, list) and path:
            found = [*range(len(found)), "count"]
        return [f"{path}/{name}" if path else str(name) for name in found or ()]


def _command(method: str, params: object) -> Any:
    match params:
        case None:
            return [method]
        case list() | tuple():
            return [method, *params]
        case dict() if (own := method_table("mpv").methods.get(method)) is not None:
            names = [param.name for param in own.params]
            if list(params) != names[: len(params)] and params.keys() != set(names):
                raise EncodeError(f"{method} takes {', '.join(names) or 'nothing'}")
            return [method, *(params[name] for name in names if name in params)]
        case {"name": name, **rest}:
            # The command has a param that is called `name` too.
            return [method, name, *rest.values()]
        case dict():
            return {"name": method, **params}
    return [method, params]


def _number(message: dict[str, Any]) -> int:
    """The number of the call that a reply is for; what another side has sent has none."""
    id = message["request_id"]
    if type(id) is not int:
        raise TypeError("a request_id is a number")
    return id


def _method(command: dict[str, Any]) -> dict[str, Any]:
    args, name = command["args"], command["name"]
    method = {"name": name, "x-out": "data"}
    if command["vararg"]:
        rest = {"type": "array", "prefixItems": [_TEXT for _ in args[:-1]], "items": _TEXT}
        return {**method, "params": [{"name": args[-1]["name"], "schema": rest}], "x-params": "whole"}
    names = [arg["name"] for arg in args]
    params = [
        {
            "name": arg["name"],
            "schema": _TYPES.get(arg["type"], {}),
            "required": not arg["optional"] and arg["type"] in _WITHOUT_DEFAULT,
            "x-completes": name in _OF_PROPERTIES and arg["name"] in ("name", "value"),
        }
        for arg in args
    ]
    return {**method, "params": params, **({"paramStructure": "by-position"} if "name" in names else {})}
