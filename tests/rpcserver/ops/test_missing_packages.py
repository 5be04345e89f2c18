"""What is asked for without the package that it needs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.servers import launched


@pytest.mark.samples(4)
@pytest.mark.parametrize("checked", [(), ("--check",)], ids=["started", "checked"])
@pytest.mark.parametrize(
    ("options", "package", "extra"),
    [
        (("--register", "zk://h/a"), "kazoo", "zookeeper"),
        (("--reload", "calc.py"), "watchfiles", "reload"),
        (("--metrics", "127.0.0.1:0"), "prometheus_client", "metrics"),
    ],
    ids=["register", "reload", "metrics"],
)
def test_the_error_says_how_to_get_it(
    options: tuple[str, ...], package: str, extra: str, checked: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(f"import sys\nsys.modules[{package!r}] = None\n")
    environment = {"PYTHONPATH": str(tmp_path)}
    with launched("--bind", "127.0.0.1:0", *checked, *options, cwd=tmp_path, env=environment) as server:
        said = f"{options[0]} needs the package {package}: pip install 'rpcshell[{extra}]'"
        assert server.event()["message"] == said
        assert server.wait() == 1
        assert server.log() == f"rpcserver: {said}\n"
