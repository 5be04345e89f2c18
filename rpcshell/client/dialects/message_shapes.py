"""What the messages of a server look like that a table describes: calls, replies, events, and where names come from.

A call is a template, in which texts stand for what differs. Places in messages are keys with dots between them, and in
a list counts from 0: `message.commands`, `results.0`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta

from rpcshell.client.dialects import Event, Partial
from rpcshell.client.dialects.lenient import as_number
from rpcwire import ERROR_OUT, EncodeError, Reply, encode_value

METHOD, PARAMS, SPREAD, ID = "$method", "$params", "$params...", "$id"
BY_NAME, BY_POSITION, ID_TEXT = "$by-name", "$by-position", "$id-text"
STANDING: Final = (METHOD, PARAMS, SPREAD, BY_NAME, BY_POSITION, ID, ID_TEXT)
"""What stands in a template for what differs from call to call."""

_LONGEST_INDEX: Final = 10

Json = str | int | float | bool | list[Any] | dict[str, Any]

UNSAID: Final = "message"
"""What an event is called that has no name."""


class EnvelopeTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab", omit_defaults=True):
    """What is written as a table of the configuration."""


class ReplyShape(EnvelopeTable, frozen=True, kw_only=True):
    """Where in a reply things stand."""

    ok: Annotated[
        dict[str, Json],
        Meta(description="What a good reply has: values by their places, a list for any of several."),
    ] = {}
    result: Annotated[
        str | list[str],
        Meta(description="Where the result is; of several places the first that is there; else it is all."),
    ] = ""
    error: Annotated[str, Meta(description="Where an error is told; without ok, what has one is no good reply.")] = (
        "error"
    )
    code: Annotated[str, Meta(description="Where the number of an error is.")] = ""
    id: Annotated[str, Meta(description="Where the number of the call is, if not where the request has it.")] = ""
    more: Annotated[str, Meta(description="Where it says that it is a part, with more to come.")] = ""

    def read(self, message: Any, number: int | msgspec.UnsetType = UNSET) -> Reply | Partial:
        """What a message says to the call with that number, or else to the oldest that waits."""
        error = at_path(message, self.error)
        if not (_has_values(message, self.ok) if self.ok else not error):
            return Reply(ERROR_OUT, self._fault(message, error), id=number)
        places = [self.result] if isinstance(self.result, str) else self.result
        result = next((found for place in places if (found := at_path(message, place)) is not None), None)
        if self.more and at_path(message, self.more):
            return Partial(result, None if number is UNSET else number)
        return Reply("result", result, id=number)

    def _fault(self, message: Any, error: Any) -> Any:
        """An error in words, with its number where it has one; what only says that there is one is shown whole."""
        told = error if error and isinstance(error, str | dict | list) else message
        code = at_path(message, self.code) if self.code else None
        if (number := as_number(code)) is not None:
            if isinstance(told, str):
                return {"code": number, "message": told}
            return {"code": number, "message": encode_value(told).decode(), "data": told}
        return f"{code}: {told}" if isinstance(code, str) and isinstance(told, str) else told


class EventShape(EnvelopeTable, frozen=True, kw_only=True):
    """How what comes unasked is told from a reply."""

    key: Annotated[str, Meta(description="What only an event has; where it is a text, it is the event's name.")] = ""
    has: Annotated[
        dict[str, Json],
        Meta(description="What an event has instead: values by their places, a list for any of several."),
    ] = {}
    name: Annotated[str, Meta(description="Where its name is, if elsewhere.")] = ""
    params: Annotated[str, Meta(description="Where what it says is; else that is all.")] = ""

    def read(self, message: Any) -> Event | None:
        """The event that a message is, or None."""
        if not (_has_values(message, self.has) if self.has else at_path(message, self.key)):
            return None
        name = at_path(message, self.name or self.key)
        last = self.key.rpartition(".")[2] or UNSAID
        return Event(name if isinstance(name, str) else last, at_path(message, self.params))


class NamesQuestion(EnvelopeTable, frozen=True, kw_only=True):
    """How a server is asked for the names of its methods."""

    method: Annotated[str, Meta(description="The method that returns them.")]
    params: Annotated[Json | None, Meta(description="Its params.")] = None
    path: Annotated[
        str,
        Meta(description="Where in the result they are: a list of texts, or of objects with a name, or an object."),
    ] = ""
    prefix: Annotated[str, Meta(description="What the names of methods begin with there, and not in a call.")] = ""


def at_path(message: Any, path: str) -> Any:
    """What stands at a place in a message, or None; at none, it is the message. Items of lists count from 0."""
    for step in path.split(".") if path else ():
        match message:
            case dict():
                message = message.get(step)
            case list() if step.isdecimal() and len(step) < _LONGEST_INDEX and int(step) < len(message):
                message = message[int(step)]
            case _:
                return None
    return message


def _has_values(message: Any, values: Mapping[str, Json]) -> bool:
    """Whether a message has these values at their places, or at each one of a list of them."""
    return all(_is_one_of(at_path(message, path), wanted) for path, wanted in values.items())


def _is_one_of(value: Any, wanted: Json) -> bool:
    # To Python, 1 and true are the same.
    return any(
        value == one and isinstance(value, bool) == isinstance(one, bool)
        for one in (wanted if isinstance(wanted, list) else (wanted,))
    )


def texts_in(template: Any) -> Iterator[str]:
    """Every text of a template, and of its keys the one that stands for something."""
    match template:
        case str():
            yield template
        case dict():
            yield from (METHOD for key in template if key == METHOD)
            for inner in template.values():
                yield from texts_in(inner)
        case list():
            for inner in template:
                yield from texts_in(inner)


def needs_params(template: Any) -> bool:
    """Whether the method is a key whose value goes where there are no params."""
    match template:
        case dict():
            gone = (PARAMS, BY_NAME, BY_POSITION)
            return any((key == METHOD and inner in gone) or needs_params(inner) for key, inner in template.items())
        case list():
            return any(map(needs_params, template))
    return False


def path_of(wanted: str, template: Any) -> str | None:
    """Where in a template a text stands, if only objects lead to it, with keys of which a path can be made."""
    for key, inner in template.items() if isinstance(template, dict) else ():
        if not key or "." in key or key == METHOD:
            continue
        if inner == wanted:
            return str(key)
        if (path := path_of(wanted, inner)) is not None:
            return f"{key}.{path}"
    return None


def filled(template: Any, values: Mapping[str, Any]) -> Any:
    """A template with the values of what stands in it; members and items without one are left out."""
    match template:
        case str() if template in values:
            return values[template]
        case str() if template.startswith("$$"):
            return template[1:]
        case dict():
            return _filled_object(template, values)
        case list():
            items: list[Any] = []
            for one in template:
                inner = filled(one, values)
                if one == SPREAD and isinstance(inner, list | tuple):
                    items += inner
                elif inner is not UNSET:
                    items.append(inner)
            return items
    return template


def _filled_object(template: dict[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    spread: Any = UNSET
    for key, inner in template.items():
        if inner == SPREAD:
            spread = values[SPREAD]
        elif (value := filled(inner, values)) is not UNSET:
            members[values[METHOD] if key == METHOD else key] = value
    if spread is UNSET:
        return members
    if not isinstance(spread, dict):
        raise EncodeError("calls of this dialect take params by name, as an object")
    if taken := next((key for key in spread if key in members), None):
        raise EncodeError(f"calls of this dialect have no place for a param {taken!r}, which stands for something else")
    return {**members, **spread}
