"""Which apps are found, which are not there, and which fail by themselves: three things told apart."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import ClassVar

import pytest
from msgspec import Struct

from rpcserver import AppFailed, AppNotFound, LoadError, Service, ServiceError
from rpcserver.service.loader import LoadedApp, load_service
from rpcserver.system.errors import QuickStop
from tests.rpcserver.calling import Caller

SERVICE = """
    from rpcserver import Service
    service = Service("here")
    other = Service("other")
    plain = {"ping": lambda params: params}
    class nested:
        deep = Service("deep")
    def make():
        return Service("made")
    def make_dict(name="x"):
        return plain
    number = 5
"""


class Raising(Struct):
    """A type that raises, one after another, what it is told."""

    raised: ClassVar[list[BaseException]] = []

    name: str

    def __post_init__(self) -> None:
        raise self.raised.pop()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, with what loading does to the interpreter undone afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def write(folder: Path, name: str, text: str = SERVICE) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dedent(text))
    return path


def not_found(app: str) -> str:
    with pytest.raises(AppNotFound) as caught:
        load_service(app)
    assert caught.value.app == app
    assert "\n" not in str(caught.value)
    return str(caught.value)


def failed(app: str) -> tuple[str, str]:
    with pytest.raises(AppFailed) as caught:
        load_service(app)
    assert caught.value.app == app
    trace = caught.value.traceback or ""
    assert not [line for line in trace.splitlines() if "File" in line and "/server/rpcserver/" in line]
    assert "importlib" not in trace
    return str(caught.value), trace


def test_no_app_means_the_demo() -> None:
    assert load_service(None).name == "demo"


@pytest.mark.parametrize(
    ("app", "name"),
    [
        ("app_here:service", "here"),
        ("app_here", "here"),
        ("app_here:other", "other"),
        ("app_here:plain", "app_here"),
        ("app_here:nested.deep", "deep"),
        ("app_here:make", "made"),
        ("app_here:make_dict", "app_here"),
        ("app_here.py", "here"),
        ("app_here.py:other", "other"),
        ("./app_here.py:make", "made"),
        ("inner/app_there.py", "here"),
        ("inner/app_there.py:plain", "app_there"),
        ("inner/not-a-name.py:other", "other"),
        ("app_package.module:other", "other"),
        ("app_package:service", "here"),
    ],
)
def test_every_way_to_name_an_app(folder: Path, app: str, name: str) -> None:
    write(folder, "app_here.py")
    write(folder, "inner/app_there.py")
    write(folder, "inner/not-a-name.py")
    write(folder, "app_package/__init__.py")
    write(folder, "app_package/module.py")
    service = load_service(app)
    assert isinstance(service, Service)
    assert service.name == name


def test_an_absolute_path_names_an_app(folder: Path) -> None:
    path = write(folder, "elsewhere/app_there.py")
    assert load_service(f"{path}:other").name == "other"


def test_a_dict_of_callables_is_served(folder: Path) -> None:
    write(folder, "app_here.py")
    assert Caller(load_service("app_here:plain")).call("ping", [1]) == [1]


def test_the_current_folder_comes_first_for_a_module(folder: Path) -> None:
    write(folder, "app_here.py", "import app_beside\nservice = {'f': app_beside.f}")
    write(folder, "app_beside.py", "def f(): return 'beside'")
    assert Caller(load_service("app_here")).call("f") == "beside"
    assert sys.path[0] == str(folder)


def test_the_files_folder_comes_first_for_a_path(folder: Path) -> None:
    write(folder, "inner/app_there.py", "import app_beside\nservice = {'f': app_beside.f}")
    write(folder, "inner/app_beside.py", "def f(): return 'inner'")
    write(folder, "app_beside.py", "def f(): return 'outer'")
    assert Caller(load_service("inner/app_there.py")).call("f") == "inner"
    assert sys.path[0] == str(folder / "inner")


@pytest.mark.parametrize("name", ["server", "json", "rpcserver", "rpcwire", "service", "logging"])
def test_a_file_may_be_called_like_a_module_of_ours_or_of_python(folder: Path, name: str) -> None:
    import json

    path = write(folder, f"inner/{name}.py", "from rpcserver import Service\nservice = Service(__name__)")
    assert load_service(str(path)).name in {name, f"{name}_app"}
    assert sys.modules["json"] is json


def test_a_types_annotations_resolve_in_a_file(folder: Path) -> None:
    text = """
        from __future__ import annotations
        import dataclasses
        from rpcserver import Service
        service = Service("typed")
        @dataclasses.dataclass
        class Point:
            x: int
        @service.method
        def f(point: Point) -> int:
            return point.x
    """
    path = write(folder, "inner/typed.py", text)
    assert Caller(load_service(str(path))).call("f", [{"x": 1}]) == 1


@pytest.mark.parametrize(
    ("app", "says"),
    [
        ("app_her", "there is no module 'app_her' in {folder}; did you mean app_here?"),
        ("zzz_nothing", "there is no module 'zzz_nothing' in {folder}; run this in its folder, or give a path"),
        ("app_here.sub:service", "there is no module 'app_here.sub'"),
        ("zzz_nothing.sub", "there is no module 'zzz_nothing'"),
        ("app_her.py", "there is no file app_her.py; did you mean app_here.py?"),
        ("zzz.py", "there is no file zzz.py; check the path"),
        ("nowhere/app_here.py", "there is no folder nowhere"),
        ("inner/", "inner is a folder; name the file"),
        ("app_here:servic", "has no attribute 'servic'; did you mean service?"),
        ("app_here:makes", "did you mean make?"),
        ("app_here:nested.dee", "did you mean deep?"),
        ("app_here:nested.zzz", "app_here has no attribute 'nested.zzz'"),
        ("app_unnamed", "app_unnamed has no attribute 'service'; did you mean app?"),
        ("calculators", "calculators has no attribute 'service'; did you mean calculator?"),
        ("app_empty", "make a Service there"),
        ("app_here:number", "is a int"),
        ("app_here:Service", "without arguments"),
        ("app_wrong:needs", "without arguments"),
        ("app_wrong:later", "coroutine"),
        ("app_wrong:nothing", "is a NoneType"),
        (":service", "module:attribute"),
        ("app_here:", "module:attribute"),
        ("", "module:attribute"),
        ("a b:c", "module:attribute"),
        ("app_here:a:b", "module:attribute"),
        (".app_here", "module:attribute"),
    ],
)
def test_an_app_that_is_not_there_is_told_with_what_to_do(folder: Path, app: str, says: str) -> None:
    write(folder, "app_here.py")
    write(folder, "inner/app_there.py")
    write(folder, "app_unnamed.py", "from rpcserver import Service\napp = Service('x')")
    write(folder, "calculators.py", "from rpcserver import Service\ncalculator = Service('x')\ndef helps(): ...")
    write(folder, "app_empty.py", "x = 1")
    write(folder, "app_wrong.py", "def needs(a): ...\nasync def later(): ...\ndef nothing(): ...")
    assert says.format(folder=folder) in not_found(app)


@pytest.mark.samples(9)
@pytest.mark.parametrize(
    ("text", "says", "line"),
    [
        ("import zzz_missing", "ModuleNotFoundError: No module named 'zzz_missing'", "import zzz_missing"),
        ("import app_broken.sub", "ModuleNotFoundError", "import app_broken.sub"),
        ("from rpcserver import Nothing", "ImportError", "from rpcserver import Nothing"),
        ("service = 1 / 0", "ZeroDivisionError: division by zero", "service = 1 / 0"),
        ("raise SystemExit(4)", "ended the process with 4", "raise SystemExit(4)"),
        ("service = = 1", "SyntaxError", "service = = 1"),
        ("def f(:\n  pass", "SyntaxError", "line 1"),
        ("if True:\nx = 1", "IndentationError", "line 2"),
        # A SyntaxError, or before Python 3.11.4 a ValueError.
        ("x = '\x00'", "Error: source code string cannot contain null bytes", ""),
    ],
)
@pytest.mark.parametrize("form", ["{name}", "{name}:service", "{name}.py", "{folder}/{name}.py:service"])
def test_an_app_that_fails_shows_its_own_frames(folder: Path, form: str, text: str, says: str, line: str) -> None:
    write(folder, "app_broken.py", text)
    message, trace = failed(form.format(name="app_broken", folder=folder))
    assert says in message
    assert line in trace
    assert "app_broken" not in sys.modules


def test_a_failure_in_what_an_app_imports_shows_both_files(folder: Path) -> None:
    write(folder, "app_outer.py", "import app_inner")
    write(folder, "app_inner.py", "def f():\n    raise OSError('no database')\nf()")
    for app in ("app_outer", "app_outer.py"):
        message, trace = failed(app)
        assert "OSError: no database" in message
        assert [line for line in trace.splitlines() if "File" in line] == [
            f'  File "{folder}/app_outer.py", line 1, in <module>',
            f'  File "{folder}/app_inner.py", line 3, in <module>',
            f'  File "{folder}/app_inner.py", line 2, in f',
        ]


def test_the_causes_of_a_failure_are_shown(folder: Path) -> None:
    text = "try:\n    import zzz_missing\nexcept ImportError as error:\n    raise OSError('x') from error"
    write(folder, "app_here.py", text)
    _, trace = failed("app_here")
    assert "direct cause" in trace
    assert "import zzz_missing" in trace


def test_a_package_whose_submodule_is_missing_inside_it_failed(folder: Path) -> None:
    write(folder, "app_package/__init__.py", "from . import zzz_missing")
    message, _ = failed("app_package")
    assert "zzz_missing" in message


def test_a_parent_package_that_fails_is_a_failure(folder: Path) -> None:
    write(folder, "app_package/__init__.py", "1 / 0")
    write(folder, "app_package/module.py")
    message, trace = failed("app_package.module")
    assert "ZeroDivisionError" in message
    assert "1 / 0" in trace


def test_a_factory_that_fails_is_a_failure(folder: Path) -> None:
    write(folder, "app_here.py", "def make():\n    return {}['x']")
    message, trace = failed("app_here:make")
    assert "KeyError" in message
    assert "in make" in trace


def test_a_failure_that_cannot_be_looked_at_is_shown_by_its_class(folder: Path) -> None:
    text = "class Shy(Exception):\n    def __getattribute__(self, name):\n        raise OSError(name)\nraise Shy"
    write(folder, "app_here.py", text)
    message, trace = failed("app_here")
    assert message.startswith("app_here failed: Shy")
    assert f'File "{folder}/app_here.py", line 4' in trace
    assert trace.endswith("Shy: (it cannot be looked at: OSError)\n")


def test_handlers_that_cannot_be_registered_are_a_failure(folder: Path) -> None:
    write(folder, "app_here.py", "service = {'a': 5}")
    message, trace = failed("app_here")
    assert "5 is not" in message
    assert trace == ""
    write(folder, "app_twice.py", "from rpcserver import Service\ns = Service('x')\ns.method(print)\ns.method(print)")
    message, trace = failed("app_twice:s")
    assert "already registered" in message
    assert "line 4" in trace


def test_whatever_an_app_raises_while_loading_is_its_failure_but_for_a_quick_stop(folder: Path) -> None:
    write(folder, "app_here.py", "raise KeyboardInterrupt")
    write(folder, "app_beside.py", "import asyncio\ndef make():\n    raise asyncio.CancelledError")
    write(folder, "app_stopped.py", "from rpcserver.system.errors import QuickStop\nraise QuickStop")
    assert "KeyboardInterrupt" in failed("app_here")[0]
    assert "CancelledError" in failed("app_beside:make")[0]
    with pytest.raises(QuickStop):
        load_service("app_stopped")


def test_what_types_raise_as_examples_are_read_is_the_apps_failure_but_for_a_quick_stop() -> None:
    service = Service("example")

    @service.method(examples=[{"item": {"name": "tea"}}])
    def look(item: Raising) -> str:
        return item.name

    raised = Raising.raised
    for error in (LookupError("no such item"), SystemExit(0), OSError("away")):
        raised.append(error)
        with pytest.raises(AppFailed, match=r"^shop\.py failed: ") as failure:
            LoadedApp.of(service, "shop.py")
        assert "in __post_init__" in str(failure.value.traceback)
    raised.append(ValueError("no such item"))
    with pytest.raises(ServiceError, match="example 1 does not fit: no such item"):
        LoadedApp.of(service, "shop.py")
    raised.append(QuickStop())
    with pytest.raises(QuickStop):
        LoadedApp.of(service, "shop.py")


def test_both_kinds_of_error_have_one_base() -> None:
    assert issubclass(AppNotFound, LoadError)
    assert issubclass(AppFailed, LoadError)
