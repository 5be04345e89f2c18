"""DAP, the Debug Adapter Protocol (https://microsoft.github.io/debug-adapter-protocol), 1.71.

An adapter tells what it is capable of when it is initialized. It takes breakpoints once it says `initialized`, which
most do only after `launch` or `attach`, and answers these only once `configurationDone` has told it that all
breakpoints are there. So what sets breakpoints is held until then, and sent with the adapter's usual filters of
exceptions and `configurationDone` as soon as a program is there to be debugged. What becomes of it is told as events.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Final

import msgspec

from rpcshell.client.dialects import Ask, Description, Event, Message, ServerRequest, Steps, Tell
from rpcshell.client.dialects.framed import FramedDialect
from rpcshell.client.dialects.lenient import as_list, as_mapping
from rpcshell.client.dialects.method_tables import described, is_capable, method_table
from rpcshell.client.dialects.recognition import Guess, Recognition, framing_seen, messages_in
from rpcshell.client.dialects.steps import granted
from rpcwire import ERROR_OUT, EncodeError, ErrorCode, Fault, Floats, InvalidReply, Reply
from rpcwire.framings import FRAMINGS

_EXCEPTIONS: Final = "setExceptionBreakpoints"
DONE: Final = "configurationDone"

_STARTS: Final = frozenset(("launch", "attach"))
_HELD: Final = frozenset(
    ("setBreakpoints", "setFunctionBreakpoints", "setDataBreakpoints", "setInstructionBreakpoints", _EXCEPTIONS)
)
_REFUSALS: Final = {
    "runInTerminal": "this client starts no programs in a terminal",
    "startDebugging": "this client debugs one program on a connection",
}
_INITIALIZE: Final = b'{"seq":1,"type":"request","command":"initialize","arguments":{"adapterID":"rpcshell"}}'
_VARIABLE: Final = re.compile(r"\{(\w+)\}")


class DapOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """What users may set for an adapter: the name that it is asked for by, where it goes by several."""

    adapter: str = "rpcshell"


class Dap(FramedDialect):
    """The client's side."""

    framings: ClassVar[tuple[str, ...]] = ("content-length",)
    absent_params: ClassVar[bool] = True
    options_type = DapOptions
    guesses: ClassVar[tuple[Guess, ...]] = (
        Guess(FRAMINGS["content-length"].frame(_INITIALIZE), "DAP's initialize", rank=36),
    )

    @classmethod
    def recognises(cls, first: bytes, guess: Guess) -> Recognition | None:
        """An event or a response with a number of its own; who sends back what it hears says requests only."""
        for said in messages_in(first, "content-length") if framing_seen(first) == "content-length" else ():
            match said:
                case {"seq": int(), "type": "event" | "response"}:
                    return Recognition("dap")
        return None

    def __init__(self, max_reply: int, floats: Floats = "float", framing: str | None = None) -> None:
        super().__init__(max_reply, floats, framing)
        self._seq = 0
        self._calls: dict[int, tuple[int, str]] = {}
        self._capabilities: dict[str, Any] = {}
        self._held: dict[tuple[str, bytes], Any] = {}
        self._initialized = self._started = self._configured = False

    def hello(self) -> Steps[None]:
        """Initialize."""
        arguments = {
            "clientID": "rpcshell",
            "clientName": "rpcshell",
            "adapterID": self.options.adapter,
            "pathFormat": "path",
            "linesStartAt1": True,
            "columnsStartAt1": True,
            "supportsVariableType": True,
            "supportsMemoryReferences": True,
        }
        self._capabilities = as_mapping((yield from granted(Ask("initialize", arguments), "to initialize")))

    def bye(self) -> Steps[None]:
        """End the debugging: what was launched is ended, what was attached to goes on."""
        yield Ask("disconnect")

    def describe(self) -> Steps[Description]:
        """The requests of the protocol that the adapter is capable of; it need not be asked."""
        yield from ()
        return described(method_table("dap"), self._capabilities, noun="request")

    def complete(self, method: str, param: str, typed: str, others: Mapping[str, Any]) -> Steps[list[str]]:
        """Ask which threads there are."""
        reply: Reply = yield Ask("threads")
        return [] if reply.fault else [str(thread["id"]) for thread in reply.result["threads"]]

    def encode_call(self, method: str, params: object, *, meta: bool, plain: bool, number: int = 0) -> bytes:
        """A request; what sets breakpoints is held while the adapter takes none yet.

        Raises:
            EncodeError: The params are no object, or JSON cannot carry them.
        """
        if params is not None and not isinstance(params, dict):
            raise EncodeError("arguments go by name, as an object")
        if method in _HELD and not self._initialized:
            source = (params or {}).get("source")
            self._held[method, self.encode(source)] = self.encode(params) and params
            self.say(Reply("held", None, id=number))
            return b""
        if method in _STARTS:
            # As editors do: where there is nothing else, some adapters miss the arguments.
            params = {"request": method, **(params or {})}
        data = self._request(method, params, number)
        if method in _STARTS:
            self._started = True
            if self._initialized:
                data += self._configuration()
        return data

    def _request(self, command: str, arguments: object, number: int = 0) -> bytes:
        given = {} if arguments is None else {"arguments": arguments}
        data = self.encode({"seq": self._seq + 1, "type": "request", "command": command, **given})
        self._seq += 1
        self._calls[self._seq] = (number, command)
        return data

    def _configuration(self) -> bytes:
        """All that is held, and that there is no more of it; nothing where that was said before."""
        if self._configured:
            return b""
        self._configured = True
        held = [(command, arguments) for (command, _), arguments in self._held.items()]
        filters = [one for one in as_list(self._capabilities.get("exceptionBreakpointFilters")) if one.get("default")]
        if filters and all(command != _EXCEPTIONS for command, _ in held):
            held.append((_EXCEPTIONS, {"filters": [one["filter"] for one in filters]}))
        if is_capable(self._capabilities, "supportsConfigurationDoneRequest"):
            held.append((DONE, None))
        self._held.clear()
        return b"".join(self._request(command, arguments) for command, arguments in held)

    def read(self, message: Any) -> Iterator[Message]:
        """What a message says; when breakpoints can be set, those that are held are."""
        match message["type"]:
            case "event":
                event, body = str(message["event"]), message.get("body")
                if changed := event == "capabilities":
                    self._capabilities |= as_mapping(as_mapping(body).get("capabilities"))
                yield Event(event, body, offers_changed=changed)
                if event == "initialized":
                    self._initialized = True
                    if self._started:
                        yield Tell(self._configuration())
            case "response":
                number, command = self._calls.pop(message["request_seq"], (0, ""))
                failed = message["success"] is not True
                result = _fault(message) if failed else message.get("body")
                if number:
                    yield Reply(ERROR_OUT if failed else "result", result, id=number)
                elif result is not None and (command in _HELD or (failed and command == DONE)):
                    yield Event(command, result)
            case "request":
                yield ServerRequest(str(message["command"]), message.get("arguments"), message["seq"])
            case kind:
                raise InvalidReply(f"a message is an event, a response or a request, not {kind!r:.40}")

    def cancel(self, number: int) -> bytes | None:
        """The request for it, where the adapter knows that."""
        seq = next((seq for seq, (call, _) in self._calls.items() if call == number), None)
        if seq is None:
            return b""
        del self._calls[seq]
        if not is_capable(self._capabilities, "supportsCancelRequest"):
            return b""
        return self._request("cancel", {"requestId": seq})

    def answer(self, request: ServerRequest, outcome: Any | Fault) -> bytes:
        """A response to the adapter's request."""
        self._seq += 1
        response = {"seq": self._seq, "type": "response", "request_seq": request.id, "command": request.method}
        if isinstance(outcome, Fault):
            error = {"id": outcome.code, "format": outcome.message}
            return self.encode({**response, "success": False, "message": outcome.message, "body": {"error": error}})
        return self.encode({**response, "success": True, "body": outcome})

    def default_answer(self, request: ServerRequest) -> Any | Fault:
        """No: there is no terminal for a program here, and no second connection."""
        if (refusal := _REFUSALS.get(request.method)) is not None:
            return Fault(ErrorCode.APPLICATION_ERROR, refusal)
        return super().default_answer(request)


def _fault(response: Mapping[str, Any]) -> dict[str, Any]:
    """An error, which is a word or a text, or has a format with variables beside it."""
    error = as_mapping(as_mapping(response.get("body")).get("error"))
    variables = as_mapping(error.get("variables"))
    word, text = response.get("message"), error.get("format")
    code = error.get("id")
    fault = {"code": code if type(code) is int else int(ErrorCode.APPLICATION_ERROR)}
    if not isinstance(text, str) or not text:
        return {**fault, "message": word if isinstance(word, str) and word else "the request has failed"}
    told = _VARIABLE.sub(lambda found: str(variables.get(found[1], found[0])), text)
    return {**fault, "message": told, **({"data": {"reason": word}} if word and word != told else {})}
