"""OVSDB (RFC 7047, and ovsdb-server(7) for what has been added since), which is Open vSwitch's and OVN's.

It is JSON-RPC 1.0 without anything between messages. A server ends the connection upon a key that it does not know, and
upon params that are no list. Over TCP it asks for an `echo` every few seconds, and ends the connection of who does not
answer. A transaction that has failed is told in a good reply.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Final

from msgspec.structs import replace

from rpcshell.client.dialects import Ask, Description, Message, ServerRequest, Steps
from rpcshell.client.dialects.jsonrpc import JsonRpc1
from rpcshell.client.dialects.ovsdb_schema import described
from rpcshell.client.dialects.recognition import Guess, Recognition, first_object
from rpcshell.client.dialects.steps import granted
from rpcwire import ERROR_OUT, ErrorCode, Fault, Floats, Reply

QUESTION_TIMEOUT: Final = 5.0
"""Seconds that a server has to answer each question about what it offers."""

_MOST_DATABASES: Final = 100
_LIST: Final = b'{"method":"list_dbs","params":[],"id":1}'


class Ovsdb(JsonRpc1):
    """The client's side."""

    framings: ClassVar[tuple[str, ...]] = ("stream",)
    over_http: ClassVar[bool] = False
    absent_params: ClassVar[bool] = True
    guesses: ClassVar[tuple[Guess, ...]] = (Guess(_LIST, "a question of OVSDB", rank=35),)

    @classmethod
    def recognises(cls, first: bytes, guess: Guess) -> Recognition | None:
        """The names of databases."""
        said = first_object(first, "stream") if guess.said == _LIST else {}
        listed = "method" not in said and isinstance(said.get("result"), list)
        return Recognition("ovsdb") if listed else None

    def __init__(self, max_reply: int, floats: Floats = "float", framing: str | None = None) -> None:
        super().__init__(max_reply, floats, framing)
        self._transactions: dict[int, int] = {}
        """How many operations each has."""

    def encode_call(self, method: str, params: object, *, meta: bool, plain: bool, number: int = 0) -> bytes:
        """A request; `cancel` is a notification.

        Raises:
            EncodeError: The params are no list, or JSON cannot carry them.
        """
        data = super().encode_call(method, params, meta=meta, plain=plain, number=number)
        if method == "cancel":
            self.say(Reply("sent", id=number))
            return self.encode(self.envelope(method, params))
        if method == "transact" and isinstance(params, list | tuple):
            self._transactions[number] = len(params) - 1
        return data

    def _read(self, message: dict[str, Any]) -> Iterator[Message]:
        for said in super()._read(message):
            if isinstance(said, ServerRequest) and said.method == "echo":
                yield replace(said, keep_alive=True)
                continue
            if isinstance(said, Reply):
                operations = self._transactions.pop(said.id, None) if isinstance(said.id, int) else None
                if said.out == ERROR_OUT:
                    yield replace(said, result=_fault(said.result))
                    continue
                if operations is not None:
                    yield _judged(said, operations)
                    continue
            yield said

    def default_answer(self, request: ServerRequest) -> Any | Fault:
        """What an `echo` says is said back."""
        return request.params if request.keep_alive else super().default_answer(request)

    def cancel(self, number: int) -> bytes | None:
        """The notification that ends a transaction that waits."""
        return self.encode(self.envelope("cancel", [number]))

    def describe(self) -> Steps[Description]:
        """Ask for the schema of every database; one that is refused is left out."""
        schemas: dict[str, Any] = {}
        names = yield from granted(Ask("list_dbs", timeout=QUESTION_TIMEOUT))
        for name in names[:_MOST_DATABASES]:
            reply: Reply = yield Ask("get_schema", [name], timeout=QUESTION_TIMEOUT)
            if reply.fault is None:
                schemas[str(name)] = reply.result
        return described(schemas)


def _fault(error: Any) -> dict[str, Any]:
    """An error, which is a word or two, or an object with them, with details and with what they are about."""
    if not isinstance(error, dict) or "error" not in error:
        code = ErrorCode.METHOD_NOT_FOUND if error == "unknown method" else ErrorCode.APPLICATION_ERROR
        return {"code": int(code), "message": error if isinstance(error, str) else f"error {error!r:.200}"}
    message = ": ".join(str(error[key]) for key in ("error", "details") if error.get(key))
    data = {key: value for key, value in error.items() if key not in ("error", "details")}
    return {"code": int(ErrorCode.APPLICATION_ERROR), "message": message, **({"data": data} if data else {})}


def _judged(reply: Reply, operations: int) -> Reply:
    """The reply to a transaction, an error where one of its operations has failed, or the commit after them."""
    results = reply.result if isinstance(reply.result, list) else ()
    for number, result in enumerate(results, 1):
        if isinstance(result, dict) and "error" in result:
            fault = _fault(result)
            what = f"operation {number}" if number <= operations else "commit"
            return replace(reply, out=ERROR_OUT, result={**fault, "message": f"{what}: {fault['message']}"})
    return reply
