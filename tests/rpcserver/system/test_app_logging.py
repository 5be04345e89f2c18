"""What an app does to the logging of its process takes no line from the server's log."""

from __future__ import annotations

import logging
import logging.config
from typing import TYPE_CHECKING

import pytest

from rpcserver.system.log import keep_enabled
from tests.servers import running

if TYPE_CHECKING:
    from pathlib import Path

SILENCING = {
    "disable": "logging.disable()",
    "no handlers": "logging.config.dictConfig({'version': 1, 'root': {'level': 'WARNING'}})",
    "filters that raise": "logging.root.handlers[0].addFilter(lambda record: 1 / 0)",
    "a factory that raises": "logging.setLogRecordFactory(lambda *given: 1 / 0)",
    "handlers that raise": "h = logging.Handler(); h.emit = lambda record: exit(); logging.root.addHandler(h)",
    "no level": "logging.getLogger().setLevel(logging.CRITICAL)",
    "a library's handler": "logging.root.handlers[:] = [logging.NullHandler()]",
    "nothing passed on": "[setattr(logging.getLogger(n), 'propagate', False) for n in logging.root.manager.loggerDict]",
    "forced": "logging.basicConfig(force=True, level='WARNING')",
}


@pytest.mark.samples(3)
@pytest.mark.parametrize(
    ("how", "late"),
    [*((how, False) for how in SILENCING), ("no handlers", True), ("a library's handler", True)],
    ids=str,
)
def test_no_way_to_configure_logging_silences_the_server(how: str, late: bool, tmp_path: Path) -> None:
    app = (
        "import logging, logging.config\n"
        "from rpcserver import Context, Service\n"
        "def configure() -> None:\n"
        f"    {SILENCING[how]}\n"
        "service = Service('x')\n"
        f"{'service.method(configure)' if late else 'configure()'}\n"
        "@service.method\n"
        "def boom() -> None:\n"
        "    1 / 0\n"
        "@service.method\n"
        "def say(context: Context) -> str:\n"
        "    context.log.warning('%d of %d', 'one')\n"
        "    return 'said'\n"
    )
    with running("-w", "1", folder=tmp_path, app=app) as server, server.connect() as client:
        if late:
            assert client.call("configure").fault is None
        assert client.call("boom").fault is not None
        server.wait_for_log("ZeroDivisionError: division by zero")
        assert client.call("say").result == "said"
        server.wait_for_log("%d of %d")
        # Only a handler of the app's own writes it as it is.
        assert ("\nTraceback" in server.log()) is (how == "forced")


def test_an_app_that_configures_logging_does_not_silence_the_server() -> None:
    before = logging.root.handlers[:]
    own = logging.getLogger("rpcserver.made.for.this")
    keep_enabled(None)
    logging.config.dictConfig({"version": 1})
    try:
        assert own.isEnabledFor(logging.ERROR)
        assert not own.disabled
    finally:
        logging.root.handlers[:] = before
        for found in logging.root.manager.loggerDict.values():
            if isinstance(found, logging.Logger):
                found.disabled = False
