"""What the messages of a server look like that a table describes: replies, events, and where names come from.

Places in messages are keys with dots between them, and in a list counts from 0: `message.commands`, `results.0`.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta

from rpcshell.client.dialects import Event, Partial
from rpcshell.client.dialects.lenient import as_number
from rpcshell.client.dialects.message_template import Json, at_path, has_values
from rpcwire import ERROR_OUT, Reply, encode_value

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
        if not (has_values(message, self.ok) if self.ok else not error):
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
        if not (has_values(message, self.has) if self.has else at_path(message, self.key)):
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
