"""What users write: services, their methods and hooks. Registration only.

How a handler's parameters are read is `signature`'s matter, how it is called `endpoint`'s.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar, overload

import msgspec
from msgspec import UNSET

from rpcserver.service.source import handler_name, handler_place
from rpcserver.system.errors import ServiceError
from rpcwire import ERROR_OUT

Handler = Callable[..., Any]
Hook = Callable[..., Any]
AnyHandler = TypeVar("AnyHandler", bound=Handler)
AnyHook = TypeVar("AnyHook", bound=Hook)

_RESERVED_PREFIX = "rpc."
"""Names under it belong to the protocol: JSON-RPC 2.0, section 4.1."""


class Example(msgspec.Struct, frozen=True):
    """A call worth showing, in `rpc.discover` and in the shell.

    Attributes:
        params: the params as a caller would send them.
        result: what the call answers, where that can be said.
        name: a few words on what it shows.
        description: more of them.
    """

    params: Any = None
    result: Any = UNSET
    name: str = ""
    description: str = ""


class Method(msgspec.Struct, frozen=True):
    """A handler with what was said about it when it was registered.

    Attributes:
        name: what callers call it by.
        handler: the callable that answers.
        out: the out name of its replies; while it is empty, the method's name stands for it.
        idempotent: whether calling it twice does what calling it once does.
        deprecated: whether callers should stop using it.
        examples: calls worth showing.
        summary: one line that stands for the docstring's first, or None.
        blocking: whether a plain handler may block; one that never does needs no thread in event-loop models.
    """

    name: str
    handler: Handler
    out: str
    idempotent: bool = False
    deprecated: bool = False
    examples: tuple[Example, ...] = ()
    summary: str | None = None
    blocking: bool = True


class _Inclusion(msgspec.Struct, frozen=True):
    service: Service
    prefix: str


class Service:
    """A named set of methods.

    Args:
        name: its title in `rpc.discover`.
        version: the version of the API, not of the protocol.
        description: what the service is for.

    Raises:
        ServiceError: one of them is no text.
    """

    def __init__(self, name: str, version: str = "0", description: str = "") -> None:
        given: dict[str, object] = {"name": name, "version": version, "description": description}
        for what, value in given.items():
            if not isinstance(value, str):
                raise ServiceError(f"the {what} of a service is a text, not {value!r}")
        self.name = name
        self.version = version
        self.description = description
        self._methods: dict[str, Method] = {}
        self._inclusions: list[_Inclusion] = []
        self._preload_hooks: list[Hook] = []
        self._start_hooks: list[Hook] = []
        self._stop_hooks: list[Hook] = []

    @classmethod
    def from_dict(cls, handlers: Mapping[str, Handler], name: str = "service", version: str = "0") -> Service:
        """Make a service of plain callables by name.

        Raises:
            ServiceError: a name or a handler cannot be registered.
        """
        service = cls(name, version)
        for method_name, handler in handlers.items():
            if not isinstance(method_name, str):
                raise ServiceError(f"the keys of a dict of handlers are method names, not {method_name!r}")
            service._register(handler, name=method_name, out=None)
        return service

    @overload
    def method(self, handler: AnyHandler, /) -> AnyHandler: ...
    @overload
    def method(
        self,
        /,
        *,
        name: str | None = None,
        out: str | None = None,
        idempotent: bool = False,
        deprecated: bool = False,
        examples: Iterable[Any] = (),
        summary: str | None = None,
        blocking: bool = True,
    ) -> Callable[[AnyHandler], AnyHandler]: ...
    def method(
        self,
        handler: Any = None,
        /,
        *,
        name: str | None = None,
        out: str | None = None,
        idempotent: bool = False,
        deprecated: bool = False,
        examples: Iterable[Any] = (),
        summary: str | None = None,
        blocking: bool = True,
    ) -> Any:
        """Register a handler: `@service.method`, or `@service.method(out="pong")`.

        Args:
            handler: a function, a coroutine function or any callable whose signature can be read.
            name: what callers call it by; the handler's own name unless given.
            out: the out name of its replies; the method's name unless given.
            idempotent: calling it twice does what calling it once does, so that clients may repeat it.
            deprecated: callers should stop using it.
            examples: `Example`s, or params alone.
            summary: one line instead of the docstring's first.
            blocking: False promises that a plain handler never blocks and takes microseconds; models with an event
                loop then call it on the loop, without the cost of a thread.

        Raises:
            ServiceError: the name is taken or reserved, the out name is "error", or it is no handler.
        """
        register = functools.partial(
            self._register,
            name=name,
            out=out,
            idempotent=idempotent,
            deprecated=deprecated,
            examples=examples,
            summary=summary,
            blocking=blocking,
        )
        return register if handler is None else register(handler)

    def include(self, other: Service, prefix: str = "") -> None:
        """Serve another service's methods too, its hooks included.

        What is registered on it later counts as well.

        Args:
            other: the service to include.
            prefix: put before its methods' names, as in `"user."`.

        Raises:
            ServiceError: a name is taken or reserved, or the services include each other.
        """
        if not isinstance(other, Service):
            raise ServiceError(f"include() takes a Service, not {type(other).__name__}; see Service.from_dict")
        if any(service is self for service in other._family()):
            raise ServiceError(f"service {other.name!r} cannot be included in {self.name!r}: it includes that itself")
        self._inclusions.append(_Inclusion(other, prefix))
        try:
            self.methods()
        except ServiceError:
            self._inclusions.pop()
            raise

    def on_preload(self, hook: AnyHook) -> AnyHook:
        """Have a function run once the app is imported; what it loads is shared by the workers of `--preload`.

        There it runs before they are forked, otherwise in each of them before its start hooks. It takes nothing and is
        a plain function, for an event loop would not survive the forks.

        Raises:
            ServiceError: it is a coroutine function, or none at all.
        """
        _checked_hook(hook)
        if inspect.iscoroutinefunction(hook):
            reason = "a hook of on_preload is a plain function: write @service.on_worker_start for a coroutine"
            raise ServiceError(reason, handler=handler_name(hook), location=handler_place(hook))
        self._preload_hooks.append(hook)
        return hook

    def on_worker_start(self, hook: AnyHook) -> AnyHook:
        """Have a function run in every worker before it serves: connections to databases are opened here.

        It takes nothing, or one parameter for the `WorkerInfo`; it may be a coroutine function.
        """
        self._start_hooks.append(_checked_hook(hook))
        return hook

    def on_worker_stop(self, hook: AnyHook) -> AnyHook:
        """Have a function run in every worker after its last call; it is called like a start hook."""
        self._stop_hooks.append(_checked_hook(hook))
        return hook

    def methods(self) -> dict[str, Method]:
        """Every method by its full name, those of included services after the service's own.

        Raises:
            ServiceError: two methods have one name, or a prefix makes a reserved one.
        """
        methods: dict[str, Method] = {}
        for method in self._walk(""):
            _check_name(method.name, method.handler)
            _check_out(method.out, method.name, method.handler)
            if method.name in methods:
                raise _taken(method.name, methods[method.name].handler, method.handler)
            methods[method.name] = method
        return methods

    @property
    def preload_hooks(self) -> tuple[Hook, ...]:
        """What to run once the app is imported; what is included comes before what includes it."""
        return tuple(hook for service in self._family() for hook in service._preload_hooks)

    @property
    def start_hooks(self) -> tuple[Hook, ...]:
        """What to run when a worker starts, in this order: what is included comes before what includes it."""
        return tuple(hook for service in self._family() for hook in service._start_hooks)

    @property
    def stop_hooks(self) -> tuple[Hook, ...]:
        """What to run when a worker stops, in this order: the reverse of starting."""
        return tuple(reversed([hook for service in self._family() for hook in service._stop_hooks]))

    def _walk(self, prefix: str) -> Iterator[Method]:
        for method in self._methods.values():
            name = prefix + method.name
            yield msgspec.structs.replace(method, name=name, out=method.out or name)
        for inclusion in self._inclusions:
            yield from inclusion.service._walk(prefix + inclusion.prefix)

    def _family(self) -> list[Service]:
        """Every service concerned, each once, included ones first."""
        family: list[Service] = []
        for inclusion in self._inclusions:
            family += [service for service in inclusion.service._family() if service not in family]
        return [*family, self]

    def _register(
        self, handler: AnyHandler, *, name: str | None, out: str | None, examples: Iterable[Any] = (), **options: Any
    ) -> AnyHandler:
        if not callable(handler):
            raise ServiceError(f"a handler is callable, and {handler!r} is not; write @service.method(name=…)")
        name = handler_name(handler) if name is None else name
        _check_name(name, handler)
        _check_out(name if out is None else out, name, handler)
        if name in self._methods:
            raise _taken(name, self._methods[name].handler, handler)
        shown = tuple(item if isinstance(item, Example) else Example(item) for item in examples)
        self._methods[name] = Method(name, handler, out or "", examples=shown, **options)
        return handler


def _check_name(name: object, handler: Handler) -> None:
    reason = None
    if not isinstance(name, str) or not name:
        reason = f"a method's name is a text, not {name!r}; choose one with name=…"
    elif name.startswith(_RESERVED_PREFIX):
        reason = f"names that start with {_RESERVED_PREFIX!r} are the protocol's own; choose another"
    elif any(character.isspace() or not character.isprintable() for character in name):
        reason = f"the name {name!r} holds white space or unprintable characters; choose another"
    elif name == "<lambda>":
        reason = "a lambda has no name of its own; register it with method(name=…)"
    if reason is not None:
        raise ServiceError(reason, handler=handler_name(handler), location=handler_place(handler))


def _check_out(out: object, name: str, handler: Handler) -> None:
    if not isinstance(out, str) or not out or not out.isprintable():
        reason = f"the out name {out!r} is not a text that can be shown; choose another with out=…"
    elif out == ERROR_OUT:
        reason = f"the out name {ERROR_OUT!r} is kept for error replies; choose another with out=…"
    else:
        return
    raise ServiceError(reason, handler=name, location=handler_place(handler))


def _taken(name: str, first: Handler, second: Handler) -> ServiceError:
    place = handler_place(first)
    where = "" if place is None else f" at {place}"
    reason = f"the name {name!r} is already registered{where}; rename one, or include with a prefix"
    return ServiceError(reason, handler=name, location=handler_place(second))


def _checked_hook(hook: AnyHook) -> AnyHook:
    if not callable(hook):
        raise ServiceError(f"a hook is callable, and {hook!r} is not; write @service.on_worker_start")
    return hook
