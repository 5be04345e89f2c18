"""Holds the arrows between the packages, what they export, and that nobody imports `server`."""

from __future__ import annotations

import ast
import importlib
import re
import sys
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = {
    "rpcshell": ROOT / "rpcshell",
    "rpcserver": ROOT / "server/rpcserver",
    "rpcwire": ROOT / "server/rpcwire",
}
PLUGIN = "pytest_rpcserver"
"""A module beside the packages, which every run of pytest imports."""
SCREEN = {"prompt_toolkit", "pygments"}
DRAWING = ("rpcshell.prompt.", "rpcshell.lab.top.screen")
"""Where they may be imported: the prompt, and the full-screen view, which is an application of its own."""
OPTIONAL = {
    "prometheus_client": {"rpcserver.ops.exposition"},
    "pytest": {PLUGIN},
    "dns": {"rpcshell.client.fleet.srv_source"},
    "kazoo": {"rpcserver.ops.registry_session", "rpcshell.client.fleet.serverset_source"},
    "watchfiles": {"rpcserver.ops.watch"},
}
"""Packages that need not be installed, and the one module of the server, and of the shell, that imports each."""


@dataclass(frozen=True, slots=True)
class Import:
    """One import as the source says it: `deferred` inside a function, `typing_only` for the type checker."""

    importer: str
    imported: str
    deferred: bool
    typing_only: bool
    line: int

    @property
    def package(self) -> str:
        return self.imported.partition(".")[0]


def module_name(file: Path, root: Path) -> str:
    parts = file.relative_to(root.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(file: Path, name: str) -> list[Import]:
    found: list[Import] = []
    package = name if file.name == "__init__.py" else name.rpartition(".")[0]

    def walk(node: ast.AST, deferred: bool, typing_only: bool) -> None:
        if isinstance(node, ast.Import):
            found.extend(Import(name, alias.name, deferred, typing_only, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                whole = f"{base}.{alias.name}"
                found.append(Import(name, whole if whole in MODULES else base, deferred, typing_only, node.lineno))
        inside = deferred or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if isinstance(node, ast.If) and getattr(node.test, "id", getattr(node.test, "attr", "")) == "TYPE_CHECKING":
            for statement in node.body:
                walk(statement, inside, True)
            for statement in node.orelse:
                walk(statement, inside, typing_only)
            return
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.stmt | ast.excepthandler | ast.match_case):  # where alone an import may be
                walk(child, inside, typing_only)

    walk(ast.parse(file.read_text(), str(file)), False, False)
    return found


MODULES = {module_name(file, root): file for root in SOURCES.values() for file in sorted(root.rglob("*.py"))}
MODULES[PLUGIN] = ROOT / f"server/{PLUGIN}.py"


@cache
def all_imports() -> tuple[Import, ...]:
    """The imports of all modules; every process of a run loads this file, and one of them needs them."""
    return tuple(found for name, file in MODULES.items() for found in imports_of(file, name))


def between(importer: str, imported: set[str]) -> list[str]:
    """The imports, of any kind but typing, from modules under `importer` into modules under `imported`."""
    return [
        f"{found.importer} imports {found.imported}"
        for found in all_imports()
        if not found.typing_only
        and f"{found.importer}.".startswith(f"{importer}.")
        and any(f"{found.imported}.".startswith(f"{target}.") for target in imported)
    ]


def test_the_sources_are_found() -> None:
    assert {"rpcwire.framing", "rpcserver.arbiter.arbiter", "rpcshell.app.cli"} <= MODULES.keys()


@pytest.mark.thorough
def test_nobody_imports_server() -> None:
    everywhere = [
        *all_imports(),
        *(
            found
            for file in ROOT.glob("tests/**/*.py")
            # To read all of the tests as syntax takes a second.
            if re.search(r"(?m)^\s*(import|from)\s+server\b", file.read_text())
            for found in imports_of(file, "tests")
        ),
    ]
    assert [found for found in everywhere if found.package == "server"] == []
    assert not (ROOT / "server/__init__.py").exists()


@pytest.mark.parametrize(
    ("package", "allowed"),
    [
        ("rpcwire", {"msgspec"}),
        (PLUGIN, {"rpcserver", "pytest", "pluggy"}),
        ("rpcserver", {"rpcwire", "msgspec", "click", "uvloop", *OPTIONAL}),
        ("rpcshell", {"rpcwire", "msgspec", "click", "platformdirs", "plotext", "wcwidth", "dns", "kazoo", *SCREEN}),
    ],
)
def test_a_package_imports_only_its_own_dependencies(package: str, allowed: set[str]) -> None:
    outside = {
        found.package
        for found in all_imports()
        if found.importer.partition(".")[0] == package and found.package not in sys.stdlib_module_names
    }
    assert outside - {package} <= allowed


@pytest.mark.parametrize("package", OPTIONAL)
def test_what_need_not_be_installed_is_imported_in_one_place(package: str) -> None:
    found = {found.importer for found in all_imports() if found.package == package and not found.typing_only}
    assert found == OPTIONAL[package]


def test_the_wire_has_no_sockets_threads_or_event_loops() -> None:
    assert between("rpcwire", {"socket", "asyncio", "threading", "select", "selectors", "time"}) == []


def test_the_screen_is_drawn_in_one_place() -> None:
    drawing = {found.importer for found in all_imports() if found.package in SCREEN and not found.typing_only}
    assert {name for name in drawing if not name.startswith(DRAWING)} == set()


FLOORS = {
    "the whole": (
        {"server", "rpcshell.version", "rpcshell.guides"},
        {"rpcshell.line", "rpcshell.client"},
        {"rpcshell.view", "rpcshell.servers"},
        {"rpcshell.shell"},
        {"rpcshell.prompt"},
        {"rpcshell.lab"},
        {"rpcshell.commands"},
        {"rpcshell.app"},
        {"rpcshell"},
    ),
    "the server": (
        {"rpcwire"},
        {"rpcserver.system"},
        {"rpcserver.service"},
        {"rpcserver.workers"},
        {"rpcserver.arbiter"},
        {"rpcserver.ops"},
        {"rpcserver"},
        {"rpcserver.testing"},
        {PLUGIN},
    ),
}
"""The rooms of the house, the lowest floor first. Imports run down, those for the type checker too."""


def room_of(module: str, rooms: set[str]) -> str:
    """The innermost room that a module stands in; the server is a single one to the whole."""
    if "server" in rooms and not module.startswith("rpcshell"):
        return "server"
    parts = module.split(".")
    return next(room for end in range(len(parts), 0, -1) if (room := ".".join(parts[:end])) in rooms)


@pytest.mark.parametrize("house", FLOORS)
def test_imports_run_down_from_floor_to_floor(house: str) -> None:
    floors = {room: number for number, rooms in enumerate(FLOORS[house]) for room in rooms}
    packages = {"rpcserver", "rpcwire", PLUGIN} if house == "the server" else {*SOURCES, PLUGIN}
    upwards = [
        f"{found.importer} imports {found.imported}"
        for found in all_imports()
        if found.imported.partition(".")[0] in packages
        and found.importer.partition(".")[0] in packages
        and (inner := room_of(found.importer, set(floors))) != (outer := room_of(found.imported, set(floors)))
        and floors[inner] <= floors[outer]
    ]
    assert upwards == []


@pytest.mark.parametrize("package", SOURCES)
def test_no_module_needs_one_that_needs_it(package: str) -> None:
    graph: dict[str, set[str]] = {}
    for found in all_imports():
        # A package's own names come from its modules; the circle through it is Python's way of saying so.
        if found.package == package and found.imported not in {package, found.importer}:
            graph.setdefault(found.importer, set()).add(found.imported)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"a circle of imports: {' -> '.join(error.args[1])}")


@pytest.mark.parametrize("package", SOURCES)
def test_every_public_name_is_exported_and_every_export_exists(package: str) -> None:
    module = importlib.import_module(package)
    exported = module.__all__
    assert list(exported) == sorted(set(exported), key=lambda name: (not name.isupper(), not name[0].isupper(), name))
    for name in exported:
        assert getattr(module, name) is not None
    public = {
        name for name, value in vars(module).items() if not name.startswith("_") and not isinstance(value, type(sys))
    }
    assert public - {"annotations", "TYPE_CHECKING", "Any"} <= set(exported)


def eagerly_loaded() -> dict[str, set[str]]:
    """By module, what its own import loads, with the packages that these are in."""
    needs: dict[str, set[str]] = {}
    for found in all_imports():
        if not found.deferred and not found.typing_only:
            needs.setdefault(found.importer, set()).add(found.imported)
    loaded: dict[str, set[str]] = {}
    for name in MODULES:
        waiting, seen = [name], loaded.setdefault(name, set())
        while waiting:
            parts = waiting.pop().split(".")
            new = {".".join(parts[:end]) for end in range(1, len(parts) + 1)} - seen
            seen |= new
            waiting += [needed for one in new for needed in needs.get(one, ())]
    return loaded


def test_an_import_inside_a_function_spares_its_module_something() -> None:
    loaded = eagerly_loaded()
    assert [
        f"{found.importer} has loaded {found.imported} already"
        for found in all_imports()
        if found.deferred and found.imported in loaded[found.importer] - {found.importer}
    ] == []


def test_a_module_says_first_what_lives_there() -> None:
    # A module's docstring is its first statement: to read all of them as syntax takes seconds.
    assert [name for name, file in MODULES.items() if not file.read_text().startswith(('"""', 'r"""'))] == []


def test_files_stay_readable() -> None:
    lengths = {name: len(file.read_text().splitlines()) for name, file in MODULES.items()}
    assert {name: length for name, length in lengths.items() if length > 400} == {}


def test_no_drawers_without_a_name() -> None:
    assert [name for name in MODULES if name.rpartition(".")[2] in {"utils", "util", "helpers", "common", "misc"}] == []


def test_what_contributing_names_is_there() -> None:
    files = [ROOT / name for name in ("hatch_build.py", "rpcshell", "server", "tests")]
    places = [f"{one}/" for file in files for one in (file, *file.glob("**/*"))]
    named = re.findall(r"`([\w/]+(?:\.py|/))`", (ROOT / "CONTRIBUTING.md").read_text())
    assert [name for name in named if not any(one.endswith(f"/{name.rstrip('/')}/") for one in places)] == []


@pytest.mark.parametrize("package", ["rpcshell.line.language", "rpcshell.line.suggest"])
def test_what_two_threads_may_import_at_once_is_imported_by_its_package(package: str) -> None:
    # The prompt imports in the background. A thread that imports a package, and one that imports a module of it
    # directly, hold a lock each that the other one needs; Python ends one of them with a deadlock error.
    offered = {f"{package}.{name}" for name in importlib.import_module(package).__all__}
    assert [
        f"{found.importer} imports {found.imported}"
        for found in all_imports()
        if found.imported.startswith(f"{package}.")
        and found.imported not in offered
        and not found.typing_only
        and not f"{found.importer}.".startswith(f"{package}.")
    ] == []
