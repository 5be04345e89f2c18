"""MCP, the Model Context Protocol (https://modelcontextprotocol.io/specification), over a child's streams or HTTP.

It has two eras: until 2025-11-25 a handshake, `initialize`, opens a session; since 2026-07-28 each request says by
itself what a server has to know, and what the server needs to ask comes as a result that is no result yet. The
handshake is tried first, as a server that has one takes no other first request. How tools, prompts and resources are
methods is `methods`' business.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple

import msgspec
from msgspec import UNSET

from rpcshell.client.dialects import (
    Ask,
    Description,
    Event,
    HandshakeFailed,
    HttpRequest,
    Partial,
    Progress,
    ServerRequest,
    Stray,
    Tell,
)
from rpcshell.client.dialects.jsonrpc import JsonRpc
from rpcshell.client.dialects.lenient import as_list, as_mapping, as_text
from rpcshell.client.dialects.mcp import calls, methods, signs
from rpcshell.client.dialects.mcp.requests import CAPABILITIES, SAMPLING, for_a_person, own_answer, with_urls
from rpcshell.client.dialects.steps import DESCRIPTION_TIMEOUT
from rpcshell.client.errors import CallTimeout
from rpcwire import ERROR_OUT, EncodeError, ErrorCode, Fault, Floats, Reply, decode_value

if TYPE_CHECKING:
    from rpcshell.client.dialects import Message, Steps

_STATELESS: Final = "2026-07-28"
_META: Final = "io.modelcontextprotocol/"
_MOST_PAGES: Final = 200
_MOST_ROUNDS: Final = 100
_WITH_PROGRESS: Final = frozenset(("tools/call", "prompts/get", "resources/read"))
_LISTS: Final = {
    "tools": ("tools", "tools/list", "tools"),
    "prompts": ("prompts", "prompts/list", "prompts"),
    "resources": ("resources", "resources/list", "resources"),
    "templates": ("resources", "resources/templates/list", "resourceTemplates"),
}
"""Of each list its capability, the method that asks for it, and where it is in the result."""


class _Input(NamedTuple):
    """The id of what a server without a session asks: for which call, in which of its rounds, and by which key."""

    number: int
    round: int
    key: str


class Mcp(JsonRpc):
    """MCP in both its eras."""

    framings: ClassVar[tuple[str, ...]] = ("line",)
    guesses = signs.GUESSES
    recognises = staticmethod(signs.recognises)

    announces: ClassVar[bool] = True
    replies_apart: ClassVar[bool] = True
    capabilities: ClassVar[Mapping[str, Any]] = CAPABILITIES
    """What this client can be asked for; with `sampling/createMessage` among the `answers`, for a model's word too."""

    def __init__(
        self,
        max_reply: int,
        floats: Floats = "float",
        framing: str | None = None,
        *,
        answers: frozenset[str] = frozenset(),
    ) -> None:
        super().__init__(max_reply, floats, framing)
        self._capabilities = {**self.capabilities, **({"sampling": {}} if SAMPLING in answers else {})}
        self._modern = False
        self._version: str | None = None
        self._session: str | None = None
        self._offers: Mapping[str, Any] = {}
        self._info: Mapping[str, Any] = {}
        self._calls: dict[int, calls.McpCall] = {}
        self._resources: dict[str, Mapping[str, Any]] = {}
        self._headers: dict[str, dict[str, tuple[str, ...]]] = {}
        self._tasks: frozenset[str] = frozenset()

    def hello(self) -> Steps[None]:
        """Open a session, or find out that the server needs none."""
        params = {"protocolVersion": signs.HANDSHAKE, "capabilities": self._capabilities, "clientInfo": signs.CLIENT}
        reply: Reply = yield Ask("initialize", params)
        if reply.fault is not None:
            yield from self._discover(reply.fault)
            return
        version = self._introduced(reply.result, "initialize").get("protocolVersion")
        if not isinstance(version, str):
            raise HandshakeFailed("it names no version of MCP", "is this an MCP server?")
        self._version = version
        self._info = as_mapping(reply.result.get("serverInfo"))
        yield Tell(self.encode(self.envelope("notifications/initialized", None)))
        yield HttpRequest("GET")
        if self._makes_tasks:
            # A tool may have to be called as a task, also before anybody asks what there is.
            self._note_tasks((yield from self._listed("tools/list", "tools", [])))

    @property
    def _makes_tasks(self) -> bool:
        made = as_mapping(as_mapping(self._offers.get("tasks")).get("requests"))
        return not self._modern and "call" in as_mapping(made.get("tools"))

    def _note_tasks(self, tools: list[Any]) -> None:
        """Remember which tools have to be called as tasks."""
        needed = (
            as_text(as_mapping(tool).get("name"))
            for tool in tools
            if as_mapping(as_mapping(tool).get("execution")).get("taskSupport") == "required"
        )
        self._tasks = frozenset(needed) if self._makes_tasks else frozenset()

    def _discover(self, refusal: Fault) -> Steps[None]:
        self._modern, self._version, self._session = True, _STATELESS, None
        reply: Reply = yield Ask("server/discover")
        if reply.fault is not None:
            raise HandshakeFailed(f"it refuses to initialize: {refusal.message}", "is this an MCP server?")
        result = self._introduced(reply.result, "server/discover")
        self._info = as_mapping(as_mapping(result.get("_meta")).get(f"{_META}serverInfo"))
        wanted = {f"{kind}ListChanged": True for kind in ("tools", "prompts", "resources")}
        told = self._with_meta({"notifications": wanted})
        yield Tell(self.encode(self.envelope("subscriptions/listen", told, id="changes")))

    def _introduced(self, result: Any, method: str) -> Mapping[str, Any]:
        if not isinstance(result, dict):
            raise HandshakeFailed(f"its answer to {method} says nothing", "is this an MCP server?")
        self._offers = as_mapping(result.get("capabilities"))
        return result

    def bye(self) -> Steps[None]:
        """End the session, where it has a name."""
        if self._session is not None:
            yield HttpRequest("DELETE", wait=True)

    def describe(self) -> Steps[Description]:
        """List all that there is."""
        lists: dict[str, list[Any]] = {name: [] for name in _LISTS}
        faults: list[Fault] = []
        try:
            for name, (capability, method, key) in _LISTS.items():
                if capability in self._offers:
                    lists[name] = yield from self._listed(method, key, faults)
        except CallTimeout as error:
            return Description(missing="busy", reason=error.message)
        if faults and not any(lists.values()):
            return Description(missing="unknown", reason=f"it does not list what it has: {faults[0].message}")
        self._resources = methods.resource_names(lists["resources"], lists["templates"])
        self._note_tasks(lists["tools"])
        self._headers = {
            str(tool.get("name")): found
            for tool in lists["tools"]
            if self._modern and isinstance(tool, dict) and (found := calls.header_places(tool))
        }
        return methods.described(self._info, self._offers, modern=self._modern, **lists)

    def _listed(self, method: str, key: str, faults: list[Fault]) -> Steps[list[Any]]:
        """Everything in a list, page by page; what goes wrong is added to the faults."""
        found: list[Any] = []
        cursor: Any = None
        for _ in range(_MOST_PAGES):
            reply: Reply = yield Ask(method, {"cursor": cursor} if cursor else None, timeout=DESCRIPTION_TIMEOUT)
            if reply.fault is not None:
                faults.append(reply.fault)
            page = as_mapping(reply.result)
            found += as_list(page.get(key))
            former, cursor = cursor, page.get("nextCursor")
            if not isinstance(cursor, str) or cursor == former:
                break
        return found

    def complete(self, method: str, param: str, typed: str, others: Mapping[str, Any]) -> Steps[list[str]]:
        """Ask what an argument of a prompt or a resource may be."""
        if method.startswith(methods.PROMPT):
            reference = {"type": "ref/prompt", "name": method.removeprefix(methods.PROMPT)}
        else:
            found = self._resources.get(method.removeprefix(methods.RESOURCE), {})
            reference = {"type": "ref/resource", "uri": str(found.get("uriTemplate", ""))}
        params = {
            "ref": reference,
            "argument": {"name": param, "value": typed},
            "context": {"arguments": calls.texts(others, self._floats)},
        }
        reply: Reply = yield Ask("completion/complete", params)
        values = as_mapping(as_mapping(reply.result).get("completion")).get("values")
        return [value for value in as_list(values) if isinstance(value, str)]

    def encode_call(self, method: str, params: object, *, meta: bool, plain: bool, number: int = 0) -> bytes:
        """A request: of a tool, a prompt, a resource, or by the protocol's own name.

        Raises:
            EncodeError: The params are no object, or JSON cannot carry them.
        """
        if params is not None and not isinstance(params, dict):
            raise EncodeError("MCP takes params by name, as an object")
        call = calls.routed(method, params, self._resources, self._floats)
        call.as_task = call.method == "tools/call" and as_mapping(call.params).get("name") in self._tasks
        # Nothing waits for a call that cannot be sent.
        data = self.encode(self._request(number, call))
        self._calls[number] = call
        return data

    def _request(self, number: int, call: calls.McpCall) -> dict[str, Any]:
        params = call.params
        if call.task is not None:
            return self.envelope("tasks/result", {"taskId": call.task}, id=number + call.id_offset)
        if call.as_task:
            params = {**(params or {}), "task": {}}
        if call.method in _WITH_PROGRESS:
            params = {**(params or {}), "_meta": {"progressToken": number, **as_mapping((params or {}).get("_meta"))}}
        if call.inputs is not None:
            params = {**(params or {}), "inputResponses": call.inputs}
            params |= {} if call.state is UNSET else {"requestState": call.state}
        if self._modern:
            params = self._with_meta(params)
        return self.envelope(call.method, params, id=number + call.id_offset)

    def _with_meta(self, params: dict[str, Any] | None) -> dict[str, Any]:
        said = {
            f"{_META}protocolVersion": self._version,
            f"{_META}clientInfo": signs.CLIENT,
            f"{_META}clientCapabilities": self._capabilities,
        }
        return {**(params or {}), "_meta": {**said, **as_mapping((params or {}).get("_meta"))}}

    def read(self, message: Any) -> Iterator[Message]:
        """What a message says; what is none, a child has printed."""
        for one in message if isinstance(message, list) else (message,):
            if isinstance(one, dict) and "jsonrpc" in one and not {"method", "result", "error"}.isdisjoint(one):
                for said in self._read(one):
                    yield from self._understood(said)
            else:
                yield Stray(self.encode(one).decode().rstrip())

    def _understood(self, said: Message) -> Iterator[Message]:
        match said:
            case Event("notifications/progress", {"progressToken": int() as number, **told}) if number in self._calls:
                yield Partial(calls.progress(told), number)
            case Event("notifications/tasks/status", {"taskId": str() as task, **told}) if number := next(
                (number for number, call in self._calls.items() if call.task == task), 0
            ):
                yield Partial(Progress(text=_status(told)), number)
            case ServerRequest():
                yield for_a_person(said)
            case Event(name, params):
                if name not in ("reply", "notifications/subscriptions/acknowledged"):
                    yield Event(name, params, offers_changed=name.endswith("/list_changed"))
            case Reply():
                yield from self._answered(said)
            case _:
                yield said

    def _answered(self, reply: Reply) -> Iterator[Message]:
        number = next(iter(self._calls), 0) if reply.id is UNSET else int(reply.id) % calls.ROUND
        call = self._calls.get(number)
        if call is not None and reply.id is not UNSET and reply.id != number + call.id_offset:
            # It answers a round that is over.
            return
        if call is not None and call.sought is not None:
            yield from self._looked_up(number, call, call.sought, as_mapping(reply.result))
        elif call is None or reply.fault is not None or not isinstance(reply.result, dict):
            self._calls.pop(number, None)
            result = reply.result if reply.out != ERROR_OUT else with_urls(reply.result)
            yield msgspec.structs.replace(reply, id=number, result=result)
        elif call.as_task and isinstance(as_mapping(reply.result.get("task")).get("taskId"), str):
            yield from self._begun(number, call, reply.result["task"])
        elif reply.result.get("resultType") == "input_required":
            yield from self._asked(number, call, reply.result)
        else:
            del self._calls[number]
            yield calls.outcome(number, call, reply.result, self._floats)

    def _begun(self, number: int, call: calls.McpCall, task: dict[str, Any]) -> Iterator[Message]:
        """The server has made a task of a call: its result is asked for, which comes when the task has ended."""
        call.task, call.as_task = task["taskId"], False
        call.round += 1
        yield Partial(Progress(text=_status(task)), number)
        yield Tell(self.encode(self._request(number, call)))

    def _looked_up(
        self, number: int, call: calls.McpCall, sought: tuple[str, dict[str, Any]], page: Mapping[str, Any]
    ) -> Iterator[Message]:
        """The next page of what there is has come: the resource is read if it is there, or else looked for further."""
        name, values = sought
        listed = [one for key in ("resourceTemplates", "resources") for one in as_list(page.get(key))]
        found = methods.resource_names(listed, listed).get(name)
        cursor = page.get("nextCursor")
        if found is not None:
            call.method, call.params, call.sought = "resources/read", {"uri": calls.uri_of(found, values)}, None
        elif isinstance(cursor, str) and call.round < _MOST_ROUNDS:
            call.params = {"cursor": cursor}
        elif call.method == calls.SOUGHT_IN[0]:
            call.method, call.params = calls.SOUGHT_IN[1], None
        else:
            del self._calls[number]
            error = {"code": ErrorCode.INVALID_PARAMS, "message": f"the server has no resource {name}"}
            yield Reply(ERROR_OUT, error, id=number)
            return
        call.round += 1
        yield Tell(self.encode(self._request(number, call)))

    def _asked(self, number: int, call: calls.McpCall, result: dict[str, Any]) -> Iterator[Message]:
        """The server wants to know something before it gives the result."""
        requests = as_mapping(result.get("inputRequests"))
        if call.refused is not None or call.round == _MOST_ROUNDS:
            why = call.refused or Fault(
                ErrorCode.APPLICATION_ERROR, f"it has asked {_MOST_ROUNDS} times, and has no result"
            )
            del self._calls[number]
            yield Reply(ERROR_OUT, msgspec.to_builtins(why), id=number)
            return
        call.round += 1
        call.inputs, call.wanted = {}, len(requests)
        call.state = result.get("requestState", UNSET)
        if not requests:
            yield Tell(self.encode(self._request(number, call)))
        for key, request in requests.items():
            asked = ServerRequest(request["method"], request.get("params"), _Input(number, call.round, key))
            yield for_a_person(asked)

    def answer(self, request: ServerRequest, outcome: Any | Fault) -> bytes:
        """A reply; or the call once more, with all that the server has asked for."""
        if not isinstance(request.id, _Input):
            return super().answer(request, outcome)
        call = self._calls.get(request.id.number)
        if call is None or call.round != request.id.round:
            return b""
        call.wanted -= 1
        if isinstance(outcome, Fault) or call.inputs is None:
            call.refused = outcome
        else:
            call.inputs[request.id.key] = outcome
        return b"" if call.wanted else self.encode(self._request(request.id.number, call))

    def default_answer(self, request: ServerRequest) -> Any | Fault:
        """That this client is there, and where; what only people or models can answer is declined."""
        own = own_answer(request)
        return super().default_answer(request) if own is None else own

    def cancel(self, number: int) -> bytes | None:
        """The notification for it; a handshake cannot be cancelled."""
        call = self._calls.pop(number, None)
        if call is None or call.method == "initialize":
            return b""
        params = {"requestId": number + call.id_offset, "reason": "no longer wanted"}
        given_up = self.encode(self.envelope("notifications/cancelled", params))
        if call.task is None:
            return given_up
        ended = self.envelope("tasks/cancel", {"taskId": call.task}, id=f"cancel {number}")
        return self.encode(ended) + given_up

    def request_headers(self, message: bytes) -> Mapping[str, str]:
        """The session and the version; since there are no sessions, also what is called."""
        headers = {} if self._session is None else {"Mcp-Session-Id": self._session}
        if self._version is not None:
            headers["MCP-Protocol-Version"] = self._version
        if self._modern and message:
            request = decode_value(message)
            headers["Mcp-Method"] = request["method"]
            params = as_mapping(request.get("params"))
            if request["method"] in _WITH_PROGRESS:
                headers["Mcp-Name"] = calls.header_value(params.get("name", params.get("uri", "")))
            for header, path in self._headers.get(str(params.get("name")), {}).items():
                value: Any = params.get("arguments")
                for step in path:
                    value = as_mapping(value).get(step)
                if isinstance(value, str | int):
                    headers[header] = calls.header_value(value)
        return headers

    def response_headers(self, status: int, headers: Mapping[str, str]) -> str | None:
        """Take the session that the handshake has opened, or hear that it is over."""
        if self._session is None and self._version is None:
            self._session = headers.get("mcp-session-id")
        elif self._session is not None and status == HTTPStatus.NOT_FOUND:
            return "the server has ended the session"
        return None


def _status(task: Mapping[Any, Any]) -> str:
    return as_text(task.get("statusMessage")) or as_text(task.get("status"))
