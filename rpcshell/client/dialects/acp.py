"""ACP, the Agent Client Protocol (https://agentclientprotocol.com), version 1, over a child's streams.

An agent works in sessions, which `session/new` begins. What it does upon a prompt comes before the reply, which says
only why it has stopped; what it wants to be allowed is asked of a person, and declined where there is none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

import msgspec
from msgspec import UNSET

from rpcshell.client.dialects import Ask, Description, Event, Form, HandshakeFailed, Partial, ServerRequest
from rpcshell.client.dialects.jsonrpc import JsonRpc
from rpcshell.client.dialects.lenient import as_list, as_mapping, as_text
from rpcshell.client.dialects.method_tables import described, method_table
from rpcshell.client.dialects.steps import granted
from rpcshell.version import __version__
from rpcwire import EncodeError, Fault, Floats, Reply

if TYPE_CHECKING:
    from rpcshell.client.dialects import Message, Steps

_NEW: Final = "session/new"
PROMPT: Final = "session/prompt"
_PERMISSION: Final = "session/request_permission"

_VERSION: Final = 1
_BEGIN: Final = frozenset((_NEW, "session/load", "session/resume"))
_NAMELESS: Final = frozenset((_NEW, "session/list", "authenticate"))


class Acp(JsonRpc):
    """The client's side."""

    framings: ClassVar[tuple[str, ...]] = ("line",)
    over_http: ClassVar[bool] = False

    def __init__(self, max_reply: int, floats: Floats = "float", framing: str | None = None) -> None:
        super().__init__(max_reply, floats, framing)
        self._offers: Mapping[str, Any] = {}
        self._info: Mapping[str, Any] = {}
        self._ways: list[Any] = []
        self._sessions: list[str] = []
        self._calls: dict[int, tuple[str, str | None]] = {}

    def hello(self) -> Steps[None]:
        """Initialize; nothing is offered to the agent but to be asked for permission."""
        params = {
            "protocolVersion": _VERSION,
            "clientCapabilities": {},
            "clientInfo": {"name": "rpcshell", "title": "rpcshell", "version": __version__},
        }
        result = as_mapping((yield from granted(Ask("initialize", params), "to initialize")))
        if result.get("protocolVersion") != _VERSION:
            raise HandshakeFailed(f"it does not speak version {_VERSION} of ACP", "is this an agent?")
        self._offers, self._info = as_mapping(result.get("agentCapabilities")), as_mapping(result.get("agentInfo"))
        self._ways = as_list(result.get("authMethods"))

    def describe(self) -> Steps[Description]:
        """The methods of the protocol that the agent is capable of; it need not be asked."""
        yield from ()
        title, version = self._info.get("title") or self._info.get("name"), self._info.get("version")
        return described(method_table("acp"), self._offers, as_text(title), as_text(version))

    def complete(self, method: str, param: str, typed: str, others: Mapping[str, Any]) -> Steps[list[str]]:
        """The sessions that were begun here, or the ways to log in."""
        yield from ()
        if param == "methodId":
            return [str(as_mapping(way).get("id")) for way in self._ways]
        return list(reversed(self._sessions))

    def encode_call(self, method: str, params: object, *, meta: bool, plain: bool, number: int = 0) -> bytes:
        """A request, or a notification, which has no reply; in the session that was begun last where none is named.

        Raises:
            EncodeError: There is no session, or JSON cannot carry the params.
        """
        known = method_table("acp").methods.get(method)
        if known is not None and (params is None or isinstance(params, dict)):
            params = self._filled(method, {**known.defaults, **(params or {})})
        replies = known is None or known.replies
        data = self.encode(self.envelope(method, params, **({"id": number} if replies else {})))
        if replies:
            self._calls[number] = (method, params.get("sessionId") if isinstance(params, dict) else None)
        else:
            self.say(Reply("sent", None, id=number))
        return data

    def _filled(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """Params with what nobody typed: the folder, the session, and the text as a part of a prompt."""
        if method in _BEGIN:
            params.setdefault("cwd", str(Path.cwd()))
        if method == PROMPT and "text" in params:
            params["prompt"] = [*as_list(params.get("prompt")), {"type": "text", "text": params.pop("text")}]
        if method not in _NAMELESS and "sessionId" not in params:
            if not self._sessions:
                raise EncodeError("there is no session: session/new begins one")
            params["sessionId"] = self._sessions[-1]
        return params

    def read(self, message: Any) -> Iterator[Message]:
        """What a message says; what an agent does is a part of the reply to the prompt, where there is one."""
        for said in super().read(message):
            match said:
                case Event("session/update", {"sessionId": session, "update": update}):
                    number = next((n for n, call in self._calls.items() if call == (PROMPT, session)), None)
                    yield said if number is None else Partial(_shown(update), number)
                case ServerRequest("session/request_permission", params):
                    yield msgspec.structs.replace(said, form=_permission(as_mapping(params)))
                case Reply() if said.id is not UNSET:
                    method, session = self._calls.pop(int(said.id), ("", None))
                    begun = as_text(as_mapping(said.result).get("sessionId")) or session
                    if method in _BEGIN and said.fault is None and begun:
                        self._sessions = [*(one for one in self._sessions if one != begun), begun]
                    yield said
                case _:
                    yield said

    def cancel(self, number: int) -> bytes | None:
        """The notification for it, where it is a prompt; nothing else can be cancelled."""
        method, session = self._calls.pop(number, ("", None))
        return self.encode(self.envelope("session/cancel", {"sessionId": session})) if method == PROMPT else b""

    def default_answer(self, request: ServerRequest) -> Any | Fault:
        """No: nobody is there to allow anything."""
        if request.method == _PERMISSION:
            options = as_list(as_mapping(request.params).get("options"))
            refusal = next((one for one in options if as_mapping(one).get("kind") == "reject_once"), None)
            return _selected(refusal)
        return super().default_answer(request)


def _permission(params: Mapping[str, Any]) -> Form:
    """What a person is asked: which of the options to choose."""
    options = {as_text(one.get("name")): one for one in map(as_mapping, as_list(params.get("options")))}
    title = as_text(as_mapping(params.get("toolCall")).get("title")) or "it does not say what for"
    return Form.choosing("option", options, _selected, f"The agent asks for permission: {title}")


def _selected(option: Mapping[str, Any] | None) -> dict[str, Any]:
    """The outcome of a request for permission."""
    if option is None:
        return {"outcome": {"outcome": "cancelled"}}
    return {"outcome": {"outcome": "selected", "optionId": option.get("optionId")}}


def _shown(update: Any) -> Any:
    """What people want to see of an update: what the agent says, or all of anything else."""
    match update:
        case {"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": str() as text}}:
            return text
    return update
