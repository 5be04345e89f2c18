"""Apps that limit what their own processes may have, which the server needs as well."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.models import of_each_kind_and, preloaded_too
from tests.servers import PROBE_APP, launched, running

LOWERED = (
    PROBE_APP
    + """
import resource

def lower(soft: int, hard: int | None = None) -> None:
    least = resource.getrlimit(resource.RLIMIT_NOFILE)[1] if hard is None else hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, least))

"""
)


@pytest.mark.samples(3)
@preloaded_too
# There the hook runs in each connection's own process.
@of_each_kind_and(
    "code", {"import": "lower(3)", "hook": "service.on_worker_start(lambda: lower(3))"}, but=("fork", "hook")
)
def test_the_limit_of_descriptors_that_an_app_lowers_is_put_back(
    model: str, preload: tuple[str, ...], code: str, tmp_path: Path
) -> None:
    with running("-m", model, "-w", "1", *preload, app=LOWERED + code, folder=tmp_path) as server:
        with server.connect() as client:
            assert client.call("echo", 1).result == 1
        assert server.log().count("the app has lowered the limit of descriptors (RLIMIT_NOFILE) to 3; it is ") == 1
        assert "no connection can be accepted" not in server.log()


@preloaded_too
@pytest.mark.parametrize(
    "code",
    [
        "lower(3, 3)",
        "lower(24, 24)\nheld = [open('/dev/null') for _ in range(resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 8)]",
    ],
    ids=["forbidden", "held"],
)
def test_an_app_that_leaves_no_descriptors_does_not_start_and_is_told_why(
    code: str, preload: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "app.py").write_text(LOWERED + code)
    with launched("-w", "1", *preload, "--bind", "127.0.0.1:0", "app.py", cwd=tmp_path) as server:
        assert server.wait() == 3
        assert "the app leaves no descriptors for connections: it holds all, or has lowered" in server.log()
        assert server.log().count("Traceback") == 0
