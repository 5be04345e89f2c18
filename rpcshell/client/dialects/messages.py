"""What a server may say to a listening dialect, as it is handed on: replies and parts, events, requests, and strays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

import msgspec

from rpcshell.client.dialects.steps import Tell
from rpcwire import ErrorCode, Goodbye, Reply

_MOST_SHOWN: Final = 1000
"""Characters of what came that an error shows."""


class TextReply(Reply, frozen=True):
    """A reply whose result is a text to be read, such as what a command line inside the server prints."""


class Partial(msgspec.Struct, frozen=True):
    """One of several replies to a call, with more to come: a part of the result, or a `Progress`.

    Attributes:
        value: What it says.
        number: The call's, or None for the oldest one that waits.
    """

    value: Any
    number: int | None = None


class Progress(msgspec.Struct, frozen=True):
    """The value of a `Partial` that is no part of the result, and only tells how far the call has come.

    Attributes:
        done: How much is done, in whatever the server counts.
        total: How much there is to do, in the same, or None where that is not known.
        text: What is being done.
    """

    done: float | None = None
    total: float | None = None
    text: str = ""


class Event(msgspec.Struct, frozen=True):
    """What a server says unasked.

    Attributes:
        name: The event's name, or the method of a notification.
        params: What it says.
        offers_changed: Whether the server offers other methods from now on.
    """

    name: str
    params: Any = None
    offers_changed: bool = False


class ServerRequest(msgspec.Struct, frozen=True):
    """What a server asks of its client.

    Attributes:
        method: What it asks for.
        params: With what.
        id: What identifies it to the server; of any kind.
        form: What a person has to be asked for it, where one has.
        keep_alive: Whether it only asks if the client is still there, which the dialect answers, whoever else may.
    """

    method: str
    params: Any
    id: Any
    form: Form | None = None
    keep_alive: bool = False


FormAction = Literal["accept", "decline", "cancel"]
"""What becomes of a form: it was filled in, the person does not want to, or does not say."""


class Form(msgspec.Struct, frozen=True):
    """What a request of a server asks a person.

    Attributes:
        answer: Makes the outcome of the request, as `answer` of the dialect takes it, of what became of the form and
            of the fields by name, which are empty unless it was accepted.
        message: What it is about.
        schema: A JSON Schema of an object whose properties are the fields; without any, it is a question of yes or no.
        title: A few words.
    """

    answer: Callable[[FormAction, dict[str, Any]], Any]
    message: str = ""
    schema: Mapping[str, Any] = {}
    title: str = ""

    @classmethod
    def choosing(cls, field: str, options: Mapping[str, Any], outcome: Callable[[Any], Any], message: str) -> Form:
        """One that asks for one of the options, by their names; without any it is a question of yes or no.

        Args:
            field: What the only field is called.
            options: What there is to choose from, by name.
            outcome: Makes the outcome of the request of the option that was chosen, or of None.
            message: What it is about.
        """

        def chosen(action: FormAction, fields: dict[str, Any]) -> Any:
            return outcome(options.get(str(fields.get(field))) if action == "accept" else None)

        schema = {"type": "object", "properties": {field: {"enum": list(options)}}, "required": [field]}
        return cls(chosen, message, schema if options else {})


class Stray(msgspec.Struct, frozen=True):
    """What came between messages and is none: a line that a child has printed, or a message that is broken.

    Attributes:
        text: What it is.
        meant: Whether it was meant to be a message, as what a child just prints cannot look like that.
        problem: What it is not.
    """

    text: str
    meant: bool = False
    problem: str = "what came is no JSON"


def not_json(text: str, problem: object) -> dict[str, Any]:
    """The error of a call whose reply is none, with what came in its place."""
    shown = text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}\u2026"
    return {"code": ErrorCode.PARSE_ERROR, "message": f"the reply cannot be read: {problem}", "data": shown}


Message = Reply | Goodbye | Partial | Event | ServerRequest | Stray | Tell
"""What a server may say, and the `Tell` that has to be said at once in turn.

The `id` of a reply is the number of its call; without one it is for the oldest that waits.
"""
