"""LSP, the Language Server Protocol (https://microsoft.github.io/language-server-protocol), 3.18.

A server tells what it is capable of when it is greeted, and may register more or take it back at any time; the methods
themselves are those of the protocol. What it asks has to be answered, as some say nothing else until then.

`file`, `line` and `character` are a short form of what the protocol has: a file that is named so is opened, and the
server is told what has changed on the disk before the next call. Positions are as the protocol counts them, from 0,
and characters in UTF-16 code units. What else is typed goes as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, Final

import msgspec

from rpcshell.client.dialects import Ask, Description, Event, Form, HandshakeFailed, Message, ServerRequest, Steps, Tell
from rpcshell.client.dialects.jsonrpc import JsonRpc
from rpcshell.client.dialects.lenient import as_list, as_mapping, as_text
from rpcshell.client.dialects.lsp_files import OpenFiles, Told, uri_of
from rpcshell.client.dialects.method_tables import ShippedMethod, described, method_table
from rpcshell.client.dialects.recognition import Guess, Recognition, framing_seen, messages_in
from rpcshell.client.dialects.steps import granted
from rpcshell.version import __version__
from rpcwire import EncodeError, Fault, Floats, Reply
from rpcwire.framings import FRAMINGS

OPEN: Final = "textDocument/didOpen"
CLOSE: Final = "textDocument/didClose"
_REGISTER: Final = "client/registerCapability"
_UNREGISTER: Final = "client/unregisterCapability"

_NOT_INITIALIZED: Final = -32002
_INITIALIZE: Final = (
    b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"processId":null,"rootUri":null,"capabilities":{}}}'
)
_OF_SERVERS: Final = ("window/", "workspace/", "textDocument/", "client/", "telemetry/", "$/")
"""How the names of what servers say unasked begin."""

_MOST_REGISTRATIONS: Final = 1000
_NOTED: Final = frozenset((_REGISTER, _UNREGISTER, "window/showMessageRequest", "window/workDoneProgress/create"))
"""What is answered with nothing."""

_SHORT: Final = frozenset(("file", "line", "character"))
_SUBJECTS: Final = {"textDocument/semanticTokens": "semanticTokensProvider"}
"""What is registered by a name that is none of a method."""


class LspOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """What users may set for a server."""

    settings: dict[str, Any] = {}
    """What `workspace/configuration` is answered with, by section; a dot leads one step inside."""
    initialization_options: Any = None
    """What `initialize` tells."""
    root: str | None = None
    """The folder that the server is to look at, if not this one."""


class Lsp(JsonRpc):
    """The client's side."""

    framings: ClassVar[tuple[str, ...]] = ("content-length",)
    over_http: ClassVar[bool] = False
    options_type = LspOptions
    guesses: ClassVar[tuple[Guess, ...]] = (
        Guess(FRAMINGS["content-length"].frame(_INITIALIZE), "LSP's initialize", rank=35),
        Guess(FRAMINGS["content-length"].frame(_INITIALIZE), "LSP's initialize", refines="jsonrpc+content-length"),
    )

    @classmethod
    def recognises(cls, first: bytes, guess: Guess) -> Recognition | None:
        """What it is capable of, that it was not asked that first, or what only language servers say unasked."""
        for said in messages_in(first, "content-length") if framing_seen(first) == "content-length" else ():
            match said:
                case {"jsonrpc": "2.0", "method": str() as method} if method.startswith(_OF_SERVERS):
                    return Recognition("lsp")
                case {"jsonrpc": "2.0", "result": {"capabilities": dict()}}:
                    return Recognition("lsp")
                case {"jsonrpc": "2.0", "error": {"code": code}} if code == _NOT_INITIALIZED:
                    return Recognition("lsp")
        return None

    def __init__(self, max_reply: int, floats: Floats = "float", framing: str | None = None) -> None:
        super().__init__(max_reply, floats, framing)
        self._static: Mapping[str, Any] = {}
        self._registered: dict[str, tuple[str, Any]] = {}
        self._info: Mapping[str, Any] = {}
        self._table = method_table("lsp")
        self._files = OpenFiles(self._table.languages)

    def hello(self) -> Steps[None]:
        """Initialize, and tell what is configured."""
        params = {
            # Which process this is says nothing to a server on another machine.
            "processId": None,
            "clientInfo": {"name": "rpcshell", "version": __version__},
            "rootUri": self._root.as_uri(),
            "workspaceFolders": self._folders,
            "capabilities": self._table.client,
        }
        if self.options.initialization_options is not None:
            params["initializationOptions"] = self.options.initialization_options
        told = as_mapping((yield from granted(Ask("initialize", params), "to initialize")))
        if "capabilities" not in told:
            raise HandshakeFailed("it does not tell what it is capable of", "is this a language server?")
        self._static, self._info = as_mapping(told["capabilities"]), as_mapping(told.get("serverInfo"))
        yield Tell(self.encode(self.envelope("initialized", {})))
        if settings := self.options.settings:
            yield Tell(self.encode(self.envelope("workspace/didChangeConfiguration", {"settings": settings})))

    def bye(self) -> Steps[None]:
        """Have the server shut down, and end."""
        yield Ask("shutdown")
        yield Tell(self.encode(self.envelope("exit", None)))

    def describe(self) -> Steps[Description]:
        """The methods of the protocol that the server is capable of; it need not be asked."""
        yield from ()
        name, version = self._info.get("name"), self._info.get("version")
        told = described(self._table, self._capabilities, as_text(name), as_text(version))
        commands = as_mapping(self._capabilities.get("executeCommandProvider")).get("commands")
        for method in told.document["methods"] if isinstance(commands, list) else ():
            if method["name"] == "workspace/executeCommand":
                method["params"][0] = {**method["params"][0], "schema": {"type": "string", "examples": commands}}
        return told

    @property
    def _capabilities(self) -> dict[str, Any]:
        """What the server is capable of, by now."""
        found = dict(self._static)
        for method, options in self._registered.values():
            known = self._table.methods.get(method)
            if subject := _SUBJECTS.get(method, "") if known is None else known.needs.partition(".")[0]:
                found[subject] = options or found.get(subject) or True
        return found

    @property
    def _root(self) -> Path:
        return Path.cwd() / Path(self.options.root or ".").expanduser()

    @property
    def _folders(self) -> list[dict[str, str]]:
        return [{"uri": self._root.as_uri(), "name": self._root.name}]

    def complete(self, method: str, param: str, typed: str, others: Mapping[str, Any]) -> Steps[list[str]]:
        """Files: those that are open, and beside them those that there are where one is asked for that need not be."""
        yield from ()
        if param != "file":
            return []
        return self._files.names if method == CLOSE else self._files.offered(typed)

    def encode_call(self, method: str, params: object, *, meta: bool, plain: bool, number: int = 0) -> bytes:
        """A request, or a notification, which has no reply; before it what is to be told of files.

        Raises:
            EncodeError: A file cannot be read, or JSON cannot carry the params.
        """
        known = self._table.methods.get(method)
        if known is not None and known.whole is None and (params is None or isinstance(params, dict)):
            params = {**known.defaults, **(params or {})} or None
        file = params.get("file") if isinstance(params, dict) and known is not None and known.at else None
        told: Iterator[Told] = iter(())
        if known is not None and isinstance(params, dict) and isinstance(file, str):
            params = _placed(known, params, uri_of(file))
            told = self._files.close(file) if method == CLOSE else self._files.open(file)
        replies = known is None or known.replies
        # First of all what may fail, as what is told of files is told once.
        own = self.encode(self.envelope(method, params, **({"id": number} if replies else {})))
        if isinstance(file, str) and method in (OPEN, CLOSE):
            own = b""
        notes = (self.encode(self.envelope(*note)) for note in chain(told, self._files.changed()))
        data = b"".join((*notes, own))
        if not replies:
            self.say(Reply("sent", None, id=number))
        return data

    def read(self, message: Any) -> Iterator[Message]:
        """What a message says; that the server offers something else from now on is an event too."""
        for said in super().read(message):
            match said:
                case ServerRequest(method, params) if method in (_REGISTER, _UNREGISTER):
                    self._register(as_mapping(params))
                    yield said
                    yield Event(method, params, offers_changed=True)
                case ServerRequest("window/showMessageRequest", params):
                    yield msgspec.structs.replace(said, form=_choice(as_mapping(params)))
                case _:
                    yield said

    def _register(self, params: Mapping[str, Any]) -> None:
        for one in as_list(params.get("registrations")):
            if len(self._registered) < _MOST_REGISTRATIONS:
                self._registered[str(one["id"])] = (str(one["method"]), one.get("registerOptions"))
        # The protocol has spelt it so since it has it.
        for one in as_list(params.get("unregisterations")):
            self._registered.pop(str(one["id"]), None)

    def default_answer(self, request: ServerRequest) -> Any | Fault:
        """What is configured, and where this is; nothing is changed and nothing is shown for a server."""
        match request.method, request.params:
            case "workspace/configuration", {"items": list() as items}:
                return [_section(self.options.settings, as_mapping(item).get("section")) for item in items]
            case "workspace/workspaceFolders", _:
                return self._folders
            case "workspace/applyEdit", _:
                return {"applied": False, "failureReason": "rpcshell changes no files"}
            case "window/showDocument", _:
                return {"success": False}
            case method, _ if method in _NOTED or method.endswith("/refresh"):
                return None
        return super().default_answer(request)


def _placed(method: ShippedMethod, params: dict[str, Any], uri: str) -> dict[str, Any]:
    """Params as the protocol has them, of those in their short form."""
    placed: dict[str, Any] = {"textDocument": {"uri": uri}}
    rest = params.keys() - _SHORT if method.at == "position" else params.keys() - {"file"}
    if method.at == "position" and "position" not in params:
        if not {"line", "character"} <= params.keys():
            raise EncodeError("a place in a file has a line and a character, both counted from 0")
        placed["position"] = {"line": params["line"], "character": params["character"]}
    return placed | {name: value for name, value in params.items() if name in rest}


def _choice(params: Mapping[str, Any]) -> Form:
    """What a person is asked: one of the actions, or none."""
    actions = {as_text(action.get("title")): action for action in as_list(params.get("actions"))}
    return Form.choosing("action", actions, lambda chosen: chosen, as_text(params.get("message")))


def _section(settings: Any, section: Any) -> Any:
    """The settings of a section, or null."""
    if not isinstance(section, str) or not section:
        return settings or None
    if isinstance(settings, dict) and section in settings:
        return settings[section]
    for step in section.split("."):
        settings = settings.get(step) if isinstance(settings, dict) else None
    return settings
