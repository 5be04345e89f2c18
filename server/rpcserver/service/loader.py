"""Finds and imports the app that a server is to serve.

An app that is not there (`AppNotFound`) and one whose own code fails (`AppFailed`) are different errors: the first
says what to write instead, the second shows the traceback of the user's own frames.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import inspect
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec

from rpcserver.service.discovery import endpoints_of
from rpcserver.service.service import Service
from rpcserver.service.source import has_own_frames, one_line, own_traceback
from rpcserver.system.errors import AppFailed, AppNotFound, QuickStop, ServiceError
from rpcserver.system.near_names import near_names

if TYPE_CHECKING:
    from types import ModuleType

    from rpcserver.service.endpoint import Endpoint

_DEFAULT_ATTRIBUTE = "service"
"""The name of the app in its module, where none is given."""

_DEMO = "rpcserver.testing.demo"
"""By its name, as any other app: nothing of the server depends on what it serves."""


class LoadedApp(msgspec.Struct, frozen=True):
    """An app that is imported, with its methods ready to be called, which processes forked after that share."""

    service: Service
    endpoints: Mapping[str, Endpoint]

    @classmethod
    def of(cls, service: Service, app: str | None) -> LoadedApp:
        """Make the methods of a service ready, by which its types may run code of their own, as examples are read.

        Raises:
            ServiceError: a handler cannot be served as it is written.
            AppFailed: the user's own code failed.
        """
        try:
            return cls(service, endpoints_of(service))
        except (QuickStop, ServiceError):
            raise
        except BaseException as error:  # noqa: BLE001 - a user's type may raise anything
            _fail(app or _DEMO, error)


def load_service(app: str | None) -> Service:
    """Import an app and make a service of it.

    The app is `module:attribute`, `module`, `path/file.py:attribute` or `path/file.py`, where the attribute is a
    `Service`, a dict of callables or a function without parameters that returns one of these; None is the demo service.
    The folder of a file, or the current one for a module, is put first on `sys.path`.

    Raises:
        AppNotFound: there is no such file, module or attribute, or it cannot be served.
        AppFailed: the user's own code failed.
    """
    if app is None:
        demo: Service = importlib.import_module(_DEMO).service
        return demo
    module_name, attribute = _split(app)
    if module_name.endswith(".py") or "/" in module_name:
        module = _import_file(app, Path(module_name))
    else:
        module = _import_module(app, module_name)
    return _as_service(app, module, attribute, _attribute(app, module, attribute))


def _split(app: str) -> tuple[str, str]:
    name, colon, attribute = app.rpartition(":")
    if not colon or "/" in attribute or attribute.endswith(".py"):
        name, attribute = app, _DEFAULT_ATTRIBUTE
    if not name or not attribute:
        raise AppNotFound(app, f"{app!r} names no app; write module:attribute or path/file.py:attribute")
    return name, attribute


def _import_file(app: str, path: Path) -> ModuleType:
    if not path.is_file():
        folder = path.parent
        if path.is_dir():
            message = f"{path} is a folder; name the file in it that holds the service"
        elif not folder.is_dir():
            message = f"there is no folder {folder}; check the path"
        else:
            near = near_names(path.stem, sorted(found.stem for found in folder.glob("*.py")))
            message = f"there is no file {path}; {_hint([f'{stem}.py' for stem in near], 'check the path')}"
        raise AppNotFound(app, message)
    # A file may be called like a module that is loaded already; it must not become that module.
    name = path.stem if path.stem not in sys.modules else f"{path.stem}_app"
    path = path.resolve()
    _put_first(path.parent)
    loader = importlib.machinery.SourceFileLoader(name, str(path))
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    if spec is None:
        raise AppNotFound(app, f"{path} cannot be imported; name a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        loader.exec_module(module)
    except QuickStop:
        raise
    except BaseException as error:  # noqa: BLE001 - a user's module may raise anything
        sys.modules.pop(name, None)
        _fail(app, error)
    return module


def _import_module(app: str, name: str) -> ModuleType:
    if not all(part.isidentifier() for part in name.split(".")):
        raise AppNotFound(app, f"{name!r} is no module name; write module:attribute or path/file.py:attribute")
    folder = Path.cwd()
    _put_first(folder)
    importlib.invalidate_caches()
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or name
        if has_own_frames(error.__traceback__) or not (name == missing or name.startswith(f"{missing}.")):
            _fail(app, error)
        near = near_names(name, _module_names(folder))
        hint = _hint(near, "run this in its folder, or give a path")
        raise AppNotFound(app, f"there is no module {missing!r} in {folder}; {hint}") from None
    except QuickStop:
        raise
    except BaseException as error:  # noqa: BLE001 - a user's module may raise anything
        _fail(app, error)


def _attribute(app: str, module: ModuleType, attribute: str) -> Any:
    found: Any = module
    for part in attribute.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            services, others = _candidates(found)
            meant = near_names(part, [*services, *others]) or (services or others)[:3]
            hint = _hint(meant, "make a Service there and name it")
            raise AppNotFound(app, f"{module.__name__} has no attribute {attribute!r}; {hint}") from None
    return found


def _candidates(holder: Any) -> tuple[list[str], list[str]]:
    """The names in a module or a class that may be meant: its services, and dicts and functions of its own."""
    public = {name: value for name, value in getattr(holder, "__dict__", {}).items() if not name.startswith("_")}
    services = [name for name, value in public.items() if isinstance(value, Service)]
    own = getattr(holder, "__name__", None)
    others = [
        name
        for name, value in public.items()
        if isinstance(value, dict) or (inspect.isfunction(value) and value.__module__ == own)
    ]
    return services, others


def _as_service(app: str, module: ModuleType, attribute: str, found: Any) -> Service:
    if callable(found) and not isinstance(found, Service | Mapping):
        found = _made(app, attribute, found)
    if isinstance(found, Service):
        return found
    if isinstance(found, Mapping):
        try:
            return Service.from_dict(found, name=module.__name__)
        except ServiceError as error:
            raise AppFailed(app, str(error), None) from error
    what = f"{attribute} of {module.__name__} is a {type(found).__name__}"
    raise AppNotFound(app, f"{what}; an app is a Service, a dict of callables or a factory")


def _made(app: str, attribute: str, factory: Any) -> Any:
    if inspect.iscoroutinefunction(factory):
        raise AppNotFound(app, f"the factory {attribute} is a coroutine function; make it a plain one")
    try:
        inspect.signature(factory).bind()
    except ValueError:
        pass
    except TypeError as error:
        message = f"{attribute} is called without arguments to make the service, and cannot be: {error}"
        raise AppNotFound(app, message) from None
    try:
        return factory()
    except QuickStop:
        raise
    except BaseException as error:  # noqa: BLE001 - a user's factory may raise anything
        _fail(app, error)


def _fail(app: str, error: BaseException) -> NoReturn:
    # Of any other class, `code` may be answered by the app.
    text = f"it ended the process with {error.code!r}" if type(error) is SystemExit else one_line(error)
    raise AppFailed(app, f"{app} failed: {text}", own_traceback(error)) from error


def _put_first(folder: Path) -> None:
    text = str(folder)
    if text in sys.path:
        sys.path.remove(text)
    sys.path.insert(0, text)


def _module_names(folder: Path) -> list[str]:
    files = [found.stem for found in folder.glob("*.py")]
    packages = [found.parent.name for found in folder.glob("*/__init__.py")]
    return sorted(name for name in (*files, *packages) if name != "__init__")


def _hint(near: Iterable[str], otherwise: str) -> str:
    names = list(near)
    return f"did you mean {' or '.join(names)}?" if names else otherwise
