"""What MCP's servers ask of their client: something of a person, a word of a model, and where the client is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from rpcshell.client.dialects import Form, FormAction, ServerRequest
from rpcshell.client.dialects.lenient import as_list, as_mapping, as_text
from rpcwire import Fault

SAMPLING: Final = "sampling/createMessage"
"""What a server asks of a model that its client has."""

CAPABILITIES: Final[Mapping[str, Any]] = {"roots": {}, "elicitation": {"form": {}, "url": {}}}
"""What this client can be asked for, whoever uses it."""

_ELICITATION: Final = "elicitation/create"
_URL_REQUIRED: Final = -32042
_REFUSED: Final = -1
"""The code for what the user does not want, as the specification has it for sampling."""


def for_a_person(request: ServerRequest) -> ServerRequest:
    """A request with the form that it asks for, if it does."""
    if request.method != _ELICITATION:
        return msgspec.structs.replace(request, keep_alive=request.method == "ping")
    params = as_mapping(request.params)
    if params.get("mode") == "url":
        url = as_text(params.get("url"))
        form = Form(lambda action, _: {"action": action}, f"{as_text(params.get('message'))}\n{_where(url)}")
        return msgspec.structs.replace(request, form=form)
    form = Form(_filled_in, as_text(params.get("message")), as_mapping(params.get("requestedSchema")))
    return msgspec.structs.replace(request, form=form)


def _where(url: str) -> str:
    """What to open in a browser; whose page it is stands by itself, as the rest may look like another one's."""
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    host = parts.hostname if parts.scheme in ("http", "https") else None
    return f"To be opened in a browser{f', at {host}' if host else ''}: {url}"


def with_urls(error: Any) -> Any:
    """The error of a call for which a page has to be visited first, with that page in its message."""
    told = as_mapping(error)
    if told.get("code") != _URL_REQUIRED:
        return error
    asked = [as_mapping(one) for one in as_list(as_mapping(told.get("data")).get("elicitations"))]
    pages = [f"{as_text(one.get('message'))} {_where(as_text(one.get('url')))}" for one in asked]
    return {**told, "message": " ".join((as_text(told.get("message")), *pages, "Then call again."))}


def _filled_in(action: FormAction, fields: dict[str, Any]) -> dict[str, Any]:
    return {"action": action, "content": fields} if action == "accept" else {"action": action}


def own_answer(request: ServerRequest) -> Any | Fault | None:
    """That this client is there, and where; what only people or models can answer is declined. None for the rest."""
    match request.method:
        case "ping":
            return {}
        case "roots/list":
            here = Path.cwd()
            return {"roots": [{"uri": here.as_uri(), "name": here.name}]}
        case method if method == _ELICITATION:
            return {"action": "decline"}
        case method if method == SAMPLING:
            return Fault(_REFUSED, "this client has no model to ask")
    return None
