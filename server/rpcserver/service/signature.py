"""What a handler takes and returns: its parameters with their types, read once from its annotations.

Reading params into these types is `endpoint`'s matter, describing them `openrpc`'s.
"""

from __future__ import annotations

import functools
import inspect
import types
import typing
from typing import Any, NoReturn

import msgspec

from rpcserver.service.context import Context
from rpcserver.service.source import handler_place, unwrapped
from rpcserver.system.errors import ServiceError
from rpcwire import EncodeError, encode_value

if typing.TYPE_CHECKING:
    from collections.abc import Callable

NO_DEFAULT: Any = inspect.Parameter.empty
"""The default of a parameter that has none."""

_WHOLE_NAME = "params"
"""The one parameter of this name takes params as they came."""

_MOST_VALUES = 4
_LONGEST_DEFAULT = 40
_JSON_TYPES: frozenset[object] = frozenset({Any, None, bool, int, float, str, bytes, dict, list})


class Parameter(msgspec.Struct, frozen=True):
    """One parameter that callers give."""

    name: str
    type: Any  # its annotation, `Any` where there is none
    default: Any  # the handler's own default object, or `NO_DEFAULT`
    keyword_only: bool  # whether it cannot be given by position

    @property
    def required(self) -> bool:
        """Whether callers must give it."""
        return self.default is NO_DEFAULT


class Signature(msgspec.Struct, frozen=True):
    """What a handler takes and returns."""

    parameters: tuple[Parameter, ...]  # what callers give, those that cannot be given by position last
    whole: bool
    context_at: int | str | None  # where the `Context` goes: an index among the positional ones, a keyword, or nowhere
    result: Any  # its type, `Any` where it is not said
    is_async: bool

    @property
    def positional(self) -> tuple[Parameter, ...]:
        """The parameters that can be given by position."""
        return tuple(parameter for parameter in self.parameters if not parameter.keyword_only)

    @property
    def keyword_only(self) -> tuple[Parameter, ...]:
        """The parameters that can be given by name only."""
        return tuple(parameter for parameter in self.parameters if parameter.keyword_only)


def read_signature(handler: Callable[..., Any], name: str) -> Signature:
    """Read what the handler of a method takes and returns.

    Raises:
        ServiceError: it has *args or **kwargs, an annotation that cannot be resolved or that JSON cannot carry, or it
            is a generator.
    """
    return _SignatureReader(handler, name).read()


def schema_of_object(annotation: type) -> dict[str, Any]:
    """The schema of `object`, at any depth, which takes what `Any` does: a schema_hook for msgspec.

    Raises:
        NotImplementedError: it is another type that msgspec does not know.
    """
    if annotation is object:
        # It allows anything, as an empty schema does, which msgspec would take for none.
        return {"$comment": "anything"}
    raise NotImplementedError


def usage(name: str, signature: Signature) -> str:
    """A call's form, as in `add(a: number, b: number = 0)`."""
    shown = [_shown(parameter) for parameter in signature.positional]
    if signature.keyword_only:
        shown += ["*", *map(_shown, signature.keyword_only)]
    return f"{name}({', '.join(shown)})"


def _shown(parameter: Parameter) -> str:
    schema = msgspec.json.schema(parameter.type, ref_template="{name}", schema_hook=schema_of_object)
    kind = _type_in_words(schema)
    text = parameter.name if kind == "any" else f"{parameter.name}: {kind}"
    if parameter.required:
        return text
    try:
        default = encode_value(parameter.default).decode()
    except EncodeError:
        default = "…"
    return f"{text} = {default if len(default) <= _LONGEST_DEFAULT else '…'}"


def _type_in_words(schema: Any) -> str:
    """A schema in a word or two: `integer`, `array of Item`, `"red" or "blue"`."""
    if "enum" in schema:
        values = [encode_value(value).decode() for value in schema["enum"][:_MOST_VALUES]]
        return " or ".join(values if len(schema["enum"]) <= _MOST_VALUES else [*values, "…"])
    if "$ref" in schema:
        reference: str = schema["$ref"]
        definition = schema.get("$defs", {}).get(reference, {})
        return _type_in_words(definition) if "enum" in definition else reference
    if "anyOf" in schema:
        return " or ".join(_type_in_words({"$defs": schema.get("$defs", {}), **member}) for member in schema["anyOf"])
    kind: str = schema.get("type", "any")
    if kind == "array" and schema.get("items"):
        return f"array of {_type_in_words({'$defs': schema.get('$defs', {}), **schema['items']})}"
    return kind


class _SignatureReader:
    def __init__(self, handler: Callable[..., Any], name: str) -> None:
        self._handler = handler
        self._name = name

    def read(self) -> Signature:
        called = self._called()
        if inspect.isgeneratorfunction(called) or inspect.isasyncgenfunction(called):
            self._refuse("a generator cannot answer a call, which has one result; return a list instead")
        hints = self._hints(unwrapped(called))
        context_at: int | str | None = None
        positional: list[Parameter] = []
        keyword_only: list[Parameter] = []
        for parameter in self._parameters():
            if parameter.kind in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD}:
                stars = "*" if parameter.kind is parameter.VAR_POSITIONAL else "**"
                self._refuse(f"{stars}{parameter.name} cannot be described to callers; name each parameter")
            annotation = hints.get(parameter.name, Any)
            by_keyword = parameter.kind is parameter.KEYWORD_ONLY
            if _asks_for_context(annotation):
                if context_at is not None:
                    self._refuse("two parameters ask for the Context; one is enough")
                context_at = parameter.name if by_keyword else len(positional)
                continue
            annotation = self._checked(annotation, f"parameter {parameter.name!r}")
            read = Parameter(parameter.name, annotation, parameter.default, by_keyword)
            (keyword_only if by_keyword else positional).append(read)
        whole = not keyword_only and [parameter.name for parameter in positional] == [_WHOLE_NAME]
        return Signature(
            parameters=(*positional, *keyword_only),
            whole=whole,
            context_at=context_at,
            result=self._checked(hints.get("return", Any), "the result"),
            is_async=inspect.iscoroutinefunction(called),
        )

    def _called(self) -> Any:
        """What runs when the handler is called: itself, or the `__call__` of an object's class."""
        handler = self._handler
        known = inspect.isroutine(handler) or inspect.isclass(handler) or hasattr(handler, "__wrapped__")
        return handler if known or isinstance(handler, functools.partial) else type(handler).__call__

    def _parameters(self) -> list[inspect.Parameter]:
        try:
            return list(inspect.signature(self._handler).parameters.values())
        except (ValueError, TypeError):
            self._refuse("its signature cannot be read; wrap it in a function with named parameters")

    def _hints(self, target: Any) -> dict[str, Any]:
        if inspect.isclass(target):
            target = target.__init__
        elif not inspect.isroutine(target):
            target = unwrapped(type(target).__call__)
        try:
            hints = typing.get_type_hints(target, include_extras=True)
        except NameError as error:
            self._refuse(
                f"the annotation {error.name!r} cannot be resolved when the worker starts; define or import it at "
                "the module's top level, outside `if TYPE_CHECKING:`"
            )
        except (AttributeError, SyntaxError, TypeError) as error:
            self._refuse(f"an annotation cannot be resolved: {error}")
        if inspect.isclass(unwrapped(self._handler)):
            hints.pop("return", None)
        return hints

    def _checked(self, annotation: Any, what: str) -> Any:
        """The type to read or write: one that JSON and msgspec know, checked in its depth."""
        if annotation is object:
            return Any
        if annotation is None or annotation is types.NoneType:
            return None
        if annotation is NoReturn or annotation is typing.Never:
            return Any
        if _is_plain(annotation):
            return annotation
        try:
            msgspec.json.Decoder(annotation)
            msgspec.json.schema(annotation, schema_hook=schema_of_object)
        except (TypeError, NameError, AttributeError, RecursionError) as error:
            reason = str(error).strip().splitlines()[-1]
            self._refuse(f"the type of {what} cannot be sent as JSON: {reason}")
        return annotation

    def _refuse(self, reason: str) -> NoReturn:
        raise ServiceError(reason, handler=self._name, location=handler_place(self._handler))


def _is_plain(annotation: Any) -> bool:
    try:
        return annotation in _JSON_TYPES
    except TypeError:
        return False


def _asks_for_context(annotation: Any) -> bool:
    if annotation is Context:
        return True
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _asks_for_context(typing.get_args(annotation)[0])
    if origin in {typing.Union, types.UnionType}:
        return any(_asks_for_context(member) for member in typing.get_args(annotation))
    return False
