"""QEMU's monitor protocol, QMP (https://www.qemu.org/docs/master/interop/qmp-spec.html).

The server greets, and takes commands once its capabilities are negotiated. A monitor serves one client at a time:
another one is connected, and hears nothing. Commands run one after another and none can be ended early: a call that is
given up runs on, its reply is ignored, and the next one begins after it. Out-of-band execution is not asked for.

Discovery asks `query-qmp-schema`; `rpcshell.client.dialects.qapi` reads what that says.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Final

from msgspec import UNSET

from rpcshell.client.dialects import Ask, Description, Event, HandshakeFailed, Hear, Message, Steps, TextReply
from rpcshell.client.dialects.framed import FramedDialect
from rpcshell.client.dialects.qapi import described
from rpcshell.client.dialects.recognition import Guess, Recognition, first_object
from rpcshell.client.dialects.steps import DESCRIPTION_TIMEOUT, granted
from rpcshell.client.errors import CallTimeout
from rpcwire import ERROR_OUT, EncodeError, ErrorCode, Floats, InvalidReply, Reply

GREETING: Final = "QMP"
"""The event that a greeting is to the dialect; its params are the greeting's."""

GREETING_TIMEOUT: Final = 2.0
"""Seconds that a monitor has to greet; one that is free does so at once."""

NEGOTIATION_TIMEOUT: Final = 1.5
"""Seconds that a monitor which has greeted has to negotiate: with those before it, no more than a user waits for."""

_PRINTING: Final = frozenset(("human-monitor-command",))
"""Commands that return what the monitor for people would print."""


class Qapi(FramedDialect):
    """What QMP and the guest agent have in common: how commands, replies and errors look."""

    framings: ClassVar[tuple[str, ...]] = ("stream",)
    absent_params: ClassVar[bool] = True
    serves_one: ClassVar[bool] = True

    def __init__(self, max_reply: int, floats: Floats = "float", framing: str | None = None) -> None:
        super().__init__(max_reply, floats, framing)
        self._printing: set[int] = set()

    def encode_call(self, method: str, params: object, *, meta: bool, plain: bool, number: int = 0) -> bytes:
        """A command.

        Raises:
            EncodeError: The params are not by name, or JSON cannot carry them.
        """
        data = self.encode(self.command(method, params, id=number))
        if method in _PRINTING:
            self._printing.add(number)
        return data

    def command(self, method: str, params: object, **rest: Any) -> dict[str, Any]:
        """A command as it is sent.

        Raises:
            EncodeError: The params are not by name.
        """
        if params is None:
            return {"execute": method, **rest}
        if not isinstance(params, dict):
            raise EncodeError("arguments go by name, as an object")
        return {"execute": method, "arguments": params, **rest}

    def read(self, message: Any) -> Iterator[Message]:
        """What a message says; an event's data have its timestamp among them."""
        if "event" in message:
            data = message.get("data", {})
            params = {**data, "timestamp": message.get("timestamp")} if isinstance(data, dict) else data
            yield Event(str(message["event"]), params)
            return
        id = message.get("id")
        # Without an id it is for the oldest call; what has another than a number was never asked here.
        if id is None or type(id) is int:
            number = UNSET if id is None else id
            kind = TextReply if id in self._printing else Reply
            self._printing.discard(id)
            if "error" in message:
                yield Reply(ERROR_OUT, fault(message["error"]), id=number)
            elif "return" in message:
                yield kind("return", message["return"], id=number)
            else:
                raise InvalidReply('a message has "return", "error" or "event"')


class Qmp(Qapi):
    """A monitor."""

    _version = ""

    @classmethod
    def recognises(cls, first: bytes, guess: Guess) -> Recognition | None:
        """A greeting, which comes unasked."""
        return Recognition("qmp") if GREETING in first_object(first, "stream") else None

    def read(self, message: Any) -> Iterator[Message]:
        """What a message says; the greeting is an event."""
        if GREETING in message:
            yield Event(GREETING, message[GREETING])
        else:
            yield from super().read(message)

    def hello(self) -> Steps[None]:
        """Wait for the greeting, and negotiate: nothing is asked for."""
        try:
            greeting: Event = yield Hear(timeout=GREETING_TIMEOUT)
        except CallTimeout:
            raise HandshakeFailed(
                f"it did not greet within {GREETING_TIMEOUT:g} s: it may be held by another client, libvirt perhaps",
                "a monitor serves one client at a time; -qmp may be given to QEMU several times",
            ) from None
        if greeting.name != GREETING:
            raise HandshakeFailed(f"it does not greet as a QMP monitor but says {greeting.name!r:.40}")
        self._version = _version(greeting.params)
        try:
            yield from granted(Ask("qmp_capabilities", timeout=NEGOTIATION_TIMEOUT), "to negotiate")
        except CallTimeout:
            raise HandshakeFailed(
                f"it greeted as a QMP monitor, and did not answer qmp_capabilities within {NEGOTIATION_TIMEOUT:g} s",
                "QEMU may hang, or be stopped: its process tells",
            ) from None

    def describe(self) -> Steps[Description]:
        """Ask for the schema."""
        schema = yield from granted(Ask("query-qmp-schema", timeout=DESCRIPTION_TIMEOUT))
        return described(schema, "QEMU", self._version)


def fault(error: Any) -> dict[str, Any]:
    """An error of QAPI, which has a class and a text."""
    kind = error["class"]
    code = ErrorCode.METHOD_NOT_FOUND if kind == "CommandNotFound" else ErrorCode.APPLICATION_ERROR
    return {"code": int(code), "message": error["desc"], "data": {"class": kind}}


def _version(greeting: Any) -> str:
    """What a greeting says of the version: `7.2.22`."""
    try:
        told = greeting["version"]["qemu"]
        return f"{told['major']:d}.{told['minor']:d}.{told['micro']:d}"
    except (LookupError, TypeError, ValueError):
        return ""
