"""Standard streams that are closed, or replaced by the app: workers serve, and never run the arbiter's code."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.models import of_each_kind, some
from tests.servers import PROBE_APP, Server, launched, running

NO_FLUSH = "class ToLog:\n    def write(self, text): pass\n"
REPLACED = {
    "no flush": NO_FLUSH + "sys.stdout = sys.stderr = ToLog()\n",
    "flush raises": NO_FLUSH + "    def flush(self): raise KeyboardInterrupt\nsys.stdout = ToLog()\n",
    "none": "sys.stdout = sys.stderr = None\n",
    "closed": "sys.stdout.close()\n",
}


@pytest.mark.samples(1)
@pytest.mark.parametrize("model", some("sync"))
@pytest.mark.parametrize("replace", REPLACED.values(), ids=REPLACED)
def test_a_worker_whose_streams_are_replaced_serves_and_leaves(model: str, replace: str, tmp_path: Path) -> None:
    control = tmp_path / "control.sock"
    app = "import sys\n" + replace + PROBE_APP
    with running("-m", model, "-w", "1", "--control", str(control), app=app, folder=tmp_path) as server:
        before = server.workers()
        with server.connect() as client:
            assert client.call("echo", [1]).result == [1]
        with socket.socket(socket.AF_UNIX) as asked:
            asked.connect(str(control))
        server.signal(signal.SIGHUP)
        server.wait_for_log("reloaded")
        assert server.workers() != before
        with server.connect() as client:
            assert client.call("echo", [2]).result == [2]
        assert control.exists()
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
        assert "Traceback" not in server.log()


def test_an_app_that_closes_the_servers_descriptors_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "probe.py").write_text("import os\nos.closerange(3, 256)\n" + PROBE_APP)
    with launched("-w", "1", "--bind", "127.0.0.1:0", str(tmp_path / "probe.py"), cwd=tmp_path) as server:
        assert server.wait() == 3
        assert "the app has closed descriptors of the server" in server.log()


@of_each_kind
def test_what_is_printed_goes_to_no_client_where_the_app_has_closed_the_output(model: str, tmp_path: Path) -> None:
    app = (
        "import os\nfor number in range(3): os.close(number)\n"
        + PROBE_APP
        + "\n@service.method\ndef streams() -> list[str]:\n"
        "    print('told to nobody', flush=True)\n"
        "    return [os.readlink(f'/proc/self/fd/{number}') for number in range(3)]\n"
    )
    with running("-m", model, "-w", "1", app=app, folder=tmp_path) as server, server.connect() as client:
        assert client.call("streams").result == [os.devnull] * 3


@pytest.mark.samples(1)
@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_server_whose_standard_streams_are_closed_serves(closed: str, tmp_path: Path) -> None:
    (tmp_path / "probe.py").write_text(
        "import os\n" + PROBE_APP + "\n@service.method\ndef streams() -> list[str]:\n"
        "    print('told to nobody')\n    return [os.readlink(f'/proc/self/fd/{number}') for number in range(3)]\n"
    )
    ours, theirs = socket.socketpair()
    command = [sys.executable, "-P", "-m", "rpcserver", "--link-fd", str(theirs.fileno()), "-w", "1"]
    command += ["--bind", "127.0.0.1:0", str(tmp_path / "probe.py")]
    process = subprocess.Popen(
        ["/bin/sh", "-c", f'exec "$@" {closed}', "sh", *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        pass_fds=[theirs.fileno()],
    )
    theirs.close()
    assert process.stderr is not None
    server = Server(process, ours, process.stderr.fileno())
    try:
        server.wait_until_ready()
        with server.connect() as client:
            found = client.call("streams").result
        assert not any(name.startswith("socket:") for name in found)
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
        ours.close()
