"""Reloading when the app's files change."""

from __future__ import annotations

import contextlib
import os
import re
import select
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rpcserver.ops.watch import Watched, WatchUnavailable, watch_duty, watched_by
from rpcserver.testing import Client
from tests.models import preloaded_too
from tests.rpcserver.companion_host import CompanionHost
from tests.servers import PATIENCE, Server, launched, running


@pytest.mark.parametrize("app", ["calc.py", "./calc.py", "calc.py:service", "sub/../calc.py"])
def test_of_a_file_its_folder_is_watched(tmp_path: Path, app: str) -> None:
    (tmp_path / "sub").mkdir()
    assert watched_by(app, tmp_path) == Watched(tmp_path, app=tmp_path / "calc.py")


@pytest.mark.parametrize("app", ["shop.api.v1:service", "shop.api", "shop"])
def test_of_a_module_in_a_package_the_outermost_package_is_watched(tmp_path: Path, app: str) -> None:
    package = tmp_path / "shop"
    (package / "api").mkdir(parents=True)
    (package / "__init__.py").write_text("raise AssertionError('nothing of the app may be imported')")
    assert watched_by(app, tmp_path) == Watched(package)


def test_of_a_namespace_package_its_folder_is_watched(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop/api.py").touch()
    assert watched_by("shop.api:service", tmp_path) == Watched(tmp_path / "shop")


def test_of_a_module_alone_its_folder_is_watched(tmp_path: Path) -> None:
    (tmp_path / "alone.py").touch()
    assert watched_by("alone:service", tmp_path) == Watched(tmp_path, app=tmp_path / "alone.py")


def test_of_an_installed_module_its_file_alone_is_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "site-packages"
    folder.mkdir()
    (folder / "calc.py").touch()
    monkeypatch.syspath_prepend(folder)
    found = watched_by("calc:service", tmp_path)
    assert found == Watched(folder, folder / "calc.py", folder / "calc.py")
    assert found.concerns(folder / "calc.py")
    assert not found.concerns(folder / "other.py")


def test_a_module_that_is_not_there_yet_is_waited_for_in_the_current_folder(tmp_path: Path) -> None:
    assert watched_by("not_written_yet:service", tmp_path) == Watched(tmp_path)


def test_the_demo_cannot_be_watched(tmp_path: Path) -> None:
    with pytest.raises(WatchUnavailable, match="name an APP"):
        watched_by(None, tmp_path)


@pytest.mark.parametrize(
    ("name", "matters"),
    [
        ("calc.py", True),
        ("deep/er/calc.py", True),
        ("calc.pyc", False),
        ("calc.txt", False),
        ("calc.py~", False),
        ("__pycache__/calc.py", False),
        (".git/hooks/calc.py", False),
        (".venv/lib/calc.py", False),
        ("named_oddly/lib/calc.py", False),
        ("named_oddly_too/calc.py", True),
    ],
)
def test_only_source_files_of_the_app_matter(tmp_path: Path, name: str, matters: bool) -> None:
    (tmp_path / "named_oddly").mkdir()
    (tmp_path / "named_oddly/pyvenv.cfg").touch()
    assert Watched(tmp_path).concerns(tmp_path / name) is matters


def test_an_app_may_live_below_a_folder_that_would_be_left_out(tmp_path: Path) -> None:
    folder = tmp_path / "node_modules/site-packages/app"
    assert Watched(folder).concerns(folder / "calc.py")
    assert not Watched(folder).concerns(tmp_path / "calc.py")


class Host(CompanionHost):
    """One whose companion watches a folder."""

    def __init__(self, find: Callable[[], Path]) -> None:
        super().__init__()
        self.reloads = 0
        self.companions.add(watch_duty(lambda: Watched(find()), self.reload))

    def reload(self) -> None:
        self.reloads += 1

    def until_reloaded(self, change: Callable[[], None]) -> None:
        """Make a change, again and again until the watcher is up and sees it."""
        before = self.reloads
        deadline = time.monotonic() + PATIENCE
        while self.reloads == before:
            assert time.monotonic() < deadline
            change()
            self.turn(0.5)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    with contextlib.closing(Host(lambda: tmp_path)) as made:
        yield made


def test_a_change_asks_for_one_reload_and_is_named(
    host: Host, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")

    def change_both() -> None:
        (tmp_path / "notes.txt").write_text("no")
        (tmp_path / "calc.py").write_text("yes")

    host.until_reloaded(change_both)
    assert host.reloads == 1
    assert "calc.py changed: reloading" in caplog.text
    assert "notes.txt" not in caplog.text


def test_a_release_whose_name_is_no_text_is_watched_as_well(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    former, new, current = tmp_path / "former", tmp_path / os.fsdecode(b"n\xffw"), tmp_path / "current"
    former.mkdir()
    new.mkdir()
    current.symlink_to(former)

    def release() -> None:
        following = tmp_path / "following"
        following.symlink_to(new)
        following.replace(current)

    with contextlib.closing(Host(current.resolve)) as host:
        host.until_reloaded(release)
    assert "n\\udcffw changed: reloading" in caplog.text


def test_a_file_whose_name_is_no_text_keeps_nobody_from_seeing_others(
    host: Host, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    host.until_reloaded((tmp_path / "calc.py").touch)
    (tmp_path / os.fsdecode(b"n\xffw.txt")).touch()
    host.until_reloaded((tmp_path / "calc.py").touch)
    assert "exited" not in caplog.text


@pytest.mark.parametrize("before", [0, 3])
def test_a_change_beside_that_of_a_file_whose_name_is_no_text_is_seen_as_well(
    host: Host, tmp_path: Path, before: int
) -> None:
    host.until_reloaded((tmp_path / "calc.py").touch)
    for number in range(before):
        (tmp_path / os.fsdecode(b"n\xff%d.txt" % number)).touch()
        host.turn(0.3)
    reloads = host.reloads
    (tmp_path / os.fsdecode(b"n\xff.txt")).touch()
    (tmp_path / "calc.py").touch()
    host.run_until(lambda: host.reloads > reloads)


def test_many_changes_at_once_are_one_reload(host: Host, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    host.until_reloaded((tmp_path / "first.py").touch)
    before = host.reloads
    for number in range(50):
        (tmp_path / f"calc{number}.py").touch()
    host.until_reloaded(lambda: None)
    assert host.reloads == before + 1
    # A busy machine may put off the last ones until the watcher has told of the others.
    assert re.search(r"calc\d+\.py and \d+ more changed: reloading", caplog.text)


def version(number: int) -> str:
    return f"from rpcserver import Service\nservice = Service('v')\n@service.method\ndef version(): return {number}\n"


def change(server: Server, file: Path, text: str, condition: Callable[[], bool]) -> None:
    """Change the app, again and again, since the watcher may not be up yet, until that has had its effect."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, server.log()
        file.write_text(text)
        # No oftener than the watcher takes for a single change.
        until = time.monotonic() + 0.5
        while (left := until - time.monotonic()) > 0 and not condition():
            select.select([server.log_end], [], [], min(left, 0.05))


def serves(server: Server, number: int) -> Callable[[], bool]:
    def called() -> bool:
        with server.connect() as client:
            return bool(client.call("version", close=True).result == number)

    return called


def test_a_server_serves_the_app_as_it_is_now(tmp_path: Path) -> None:
    with running("-w", "2", "--reload", app=version(1), folder=tmp_path) as server:
        file = tmp_path / "probe.py"
        server.wait_for_log("watching")
        assert serves(server, 1)()
        # Files of the same size in the same second: a cached module would go unnoticed.
        for number in (2, 3, 4):
            change(server, file, version(number), serves(server, number))
        assert "probe.py changed: reloading" in server.log()
        assert not (tmp_path / "__pycache__").exists()


def test_a_reload_loses_no_call_of_a_client_that_heeds_close(tmp_path: Path) -> None:
    with running("-w", "2", "--reload", app=version(1), folder=tmp_path) as server:
        server.wait_for_log("watching")
        with Client(server.addresses[0]) as client:
            change(server, tmp_path / "probe.py", version(2), lambda: client.call("version") == 2)


@preloaded_too
def test_an_app_that_is_broken_for_a_while_goes_on_as_it_was(preload: tuple[str, ...], tmp_path: Path) -> None:
    with running("-w", "1", "--reload", *preload, app=version(1), folder=tmp_path) as server:
        file = tmp_path / "probe.py"
        server.wait_for_log("watching")
        change(server, file, "def broken(:\n", lambda: "the reload has failed" in server.log())
        assert serves(server, 1)()
        change(server, file, version(2), serves(server, 2))


def point(link: Path, target: Path) -> None:
    """Have a link lead elsewhere, at once."""
    fresh = link.with_name("fresh")
    fresh.symlink_to(target)
    fresh.replace(link)


def test_links_that_change_lead_to_a_reload(tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / f"release{number}").mkdir()
        (tmp_path / f"release{number}/calc.py").write_text(f"from parts.number import number\n{version(number)}")
        (tmp_path / f"parts{number}").mkdir()
        (tmp_path / f"parts{number}/number.py").write_text(f"number = {number}\n")
        (tmp_path / f"release{number}/parts").symlink_to(tmp_path / "parts1")
    current = tmp_path / "current"
    current.symlink_to(tmp_path / "release1")
    app = str(current / "calc.py")
    with launched("--bind", "127.0.0.1:0", "-w", "1", "--reload", app, cwd=tmp_path) as server:
        server.wait_until_ready()
        server.wait_for_log("watching")
        point(current, tmp_path / "release2")
        server.wait_for_log(f"{tmp_path}/release2 changed: reloading")
        change(server, tmp_path / "notes.txt", "", serves(server, 2))
        server.wait_for_log("watching", 2)
        point(tmp_path / "release2/parts", tmp_path / "parts2")
        server.wait_for_log("parts changed: reloading")
        server.wait_for_log("watching", 3)
        change(
            server,
            tmp_path / "parts2/number.py",
            "number = 3\n",
            lambda: "number.py changed: reloading" in server.log(),
        )


def test_reload_without_an_app_is_a_clear_error(tmp_path: Path) -> None:
    with launched("--bind", "127.0.0.1:0", "--reload", cwd=tmp_path) as server:
        event = server.event()
        assert "--reload watches your app's files" in event["message"]
        assert server.wait() == 1
