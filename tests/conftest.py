"""What every test may rely on, however the run was started."""

import functools
import gc
import os
import shutil
import signal
import sys
import tempfile
import warnings
import zlib
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import pytest
from _pytest.runner import runtestprotocol
from hypothesis import HealthCheck, configuration, settings
from hypothesis.internal.conjecture import providers

from tests.forks import MEETING
from tests.zookeeper import own_zookeeper, serverset, way, zookeeper

__all__ = ["own_zookeeper", "serverset", "way", "zookeeper"]

# Time is no property of what is tested, and the same examples for everybody make a red run the fault of a change.
settings.register_profile(
    "suite",
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=12,
    suppress_health_check=[HealthCheck.too_slow],
)
# As `.ci/run` has it.
settings.register_profile("many", settings.get_profile("suite"), max_examples=200)
# Other ones at each run, for whoever changes what parses: pytest --hypothesis-profile=thorough
settings.register_profile("thorough", settings.get_profile("suite"), derandomize=False, max_examples=2000)

HEEDED = (
    *("CI", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS", "EDITOR", "FORCE_COLOR", "LESS", "LINES", "LISTEN_FDS"),
    *("LISTEN_PID", "NOTIFY_SOCKET", "NO_COLOR", "PAGER", "SHELL", "TERM", "TERM_PROGRAM", "VISUAL"),
)
HEEDED_BEGINNINGS = ("LC_", "PROMPT_TOOLKIT_", "PYTHON", "RPCSERVER_", "RPCSHELL_", "XDG_", "_RPCSHELL_")
"""Variables that the product or its libraries heed, and that differ from one user to the next."""

KEPT = ("PYTHONPATH", "RPCSHELL_NODE_MODULES")

HERE = Path(__file__).parent

QUICK = (
    *("rpcserver/service/", "rpcshell/line/", "rpcshell/prompt/", "rpcshell/shell/", "rpcshell/view/", "rpcwire/"),
    *("e2e/test_language.py", "test_architecture.py", "rpcshell/guides/test_claims.py", "rpcshell/test_library.py"),
    *("rpcserver/arbiter/test_reclaim.py", "rpcserver/ops/test_registry_access.py", "rpcserver/testing/test_demo.py"),
    *("rpcserver/system/test_settings.py", "rpcserver/system/test_sockets.py", "rpcserver/workers/test_models.py"),
    *("rpcshell/app/test_options.py", "rpcshell/app/test_script.py", "rpcshell/client/test_client.py"),
    *("rpcshell/client/test_detection.py", "rpcshell/client/test_dialogue.py", "rpcshell/client/test_target.py"),
    *("rpcshell/commands/export/", "rpcshell/commands/test_commands.py", "rpcshell/commands/test_method_page.py"),
    *("rpcshell/lab/bench/test_report.py", "rpcshell/lab/lesson/test_course.py", "rpcshell/lab/load/test_callers.py"),
    *("rpcshell/lab/top/test_view.py", "rpcshell/servers/test_supervision.py", "test_guards.py"),
)
"""The rooms that hardly start a process, and a little of each other one. What is `quick` stands there, except for
properties, for what is `thorough`, and for the files below."""

TOILSOME = {
    *("test_budgets.py", "test_dialect_finder.py", "test_discovery.py", "test_mistakes.py"),
    *("test_remembered_dialects.py", "test_speed.py"),
}

LONGEST = {"test_blocks.py", "test_dialect_finder.py", "test_jsonrpc.py", "test_watch.py", "test_worker_drills.py"}
"""Files that begin first: at the end, others would have to wait for them."""

home = pytest.StashKey[str]()


def pytest_configure(config: pytest.Config) -> None:
    for name in list(os.environ):
        if name not in KEPT and (name in HEEDED or name.startswith(HEEDED_BEGINNINGS)):
            del os.environ[name]
    # Most of what tests cost before the first one runs is pytest's rewriting of their sources, in each process.
    sys.dont_write_bytecode = False
    config.stash[home] = tempfile.mkdtemp(prefix="rpcshell-home-")
    os.environ |= {"HOME": config.stash[home], "LANG": "C.UTF-8", "TERM": "xterm-256color"}
    os.environ.setdefault(MEETING, config.stash[home])
    configuration.set_hypothesis_home_dir(_kept_folder(config) or config.stash[home])
    profile = config.getoption("--hypothesis-profile") or "suite"
    settings.load_profile(profile)
    if settings.get_profile(profile).derandomize:
        # Constants of whatever sources are imported by then would make them other examples in each process.
        pytest.MonkeyPatch().setattr(providers, "is_local_module_file", lambda _path: False, raising=False)
    # What is imported and collected stays; looking through it time and again, here and in forks, costs seconds.
    gc.disable()


def _kept_folder(config: pytest.Config) -> str | None:
    """Where hypothesis keeps its table of characters and what `thorough` reads in sources; None for nowhere."""
    cache: pytest.Cache | None = getattr(config, "cache", None)
    try:
        return None if cache is None else str(cache.mkdir("hypothesis"))
    except OSError:
        # A checkout that belongs to somebody else.
        return None


def pytest_sessionstart(session: pytest.Session) -> None:
    """Share a first rewriting of all sources among the processes: each begins elsewhere, and finds the others' work."""
    config = session.config
    everything = config.args_source is pytest.Config.ArgsSource.TESTPATHS and config.getoption("markexpr") != "quick"
    if everything and hasattr(config, "workerinput"):
        number = int(config.workerinput["workerid"].removeprefix("gw"))
        for file in sorted(config.rootpath.glob("tests/**/test_*.py"))[number :: config.workerinput["workercount"]]:
            # What cannot be imported here, warns of something or skips itself, says so when it is collected.
            with suppress(Exception, pytest.skip.Exception), warnings.catch_warnings(action="error"):
                import_module(".".join(file.relative_to(config.rootpath).with_suffix("").parts))


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


@functools.cache
def _may_be_quick(file: Path) -> bool:
    place = file.relative_to(HERE) if file.is_relative_to(HERE) else file
    return place.as_posix().startswith(QUICK) and file.name not in TOILSOME


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Read no files that have nothing of what is wanted."""
    if config.getoption("markexpr") == "quick" and collection_path.is_file() and not _may_be_quick(collection_path):
        return True
    return None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):
        # Neighbours are alike: at a time one process should compute while another waits.
        items.sort(key=lambda item: _place_in_line(item.path))
    _spare_cases(items)
    # Whoever asks for none of them need not wait until all are looked at.
    for item in items if "quick" in config.getoption("markexpr") else ():
        is_property = getattr(getattr(item, "obj", None), "is_hypothesis_test", False)
        if _may_be_quick(item.path) and not (is_property or any(map(item.get_closest_marker, ("soak", "thorough")))):
            item.add_marker("quick")


@functools.cache
def _place_in_line(file: Path) -> tuple[bool, int]:
    return file.name not in LONGEST, zlib.crc32(file.name.encode())


@pytest.hookimpl(optionalhook=True, tryfirst=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Three for each of two cores, as tests wait for processes and deadlines; what is quick hardly waits."""
    return 3 if config.getoption("markexpr") == "quick" else 6


def _spare_cases(items: list[pytest.Item]) -> None:
    """Have those cases of a test be `thorough` that are not among its `samples`."""
    tests: dict[str, list[pytest.Item]] = {}
    for item in items:
        if item.get_closest_marker("samples") and not any(map(item.get_closest_marker, ("soak", "thorough"))):
            tests.setdefault(item.nodeid.partition("[")[0], []).append(item)
    for name, cases in tests.items():
        [count] = next(cases[0].iter_markers("samples")).args
        # Each test has others, so that all together see every model and face.
        first = zlib.crc32(name.encode())
        kept = {(first + len(cases) * number // count) % len(cases) for number in range(count)}
        for number, case in enumerate(cases):
            if number not in kept:
                case.add_marker("thorough")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Have workers say no more of a test that passed than that: for most, messages cost more than the test."""
    if not hasattr(item.config, "workerinput") or item.config.getoption("durations"):
        return None
    for report in runtestprotocol(item, log=False, nextitem=nextitem):
        if report.when == "call" or not report.passed:
            item.ihook.pytest_runtest_logreport(report=report)
    return True


def pytest_unconfigure(config: pytest.Config) -> None:
    shutil.rmtree(config.stash[home], ignore_errors=True)


@pytest.fixture(scope="session", autouse=True)
def _signals_arrive() -> Iterator[None]:
    # A shell without job control starts what it puts in the background with SIGINT ignored, nohup(1) ignores SIGHUP,
    # and programs inherit that.
    interrupt = signal.signal(signal.SIGINT, signal.default_int_handler)
    hangup = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGHUP, hangup)
