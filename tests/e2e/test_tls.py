"""The shell against the server over TLS, in every model: single lines, the library, and what is refused."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import pytest

from rpcshell import connect, connect_async
from rpcshell.client.errors import TlsFailed
from rpcshell.client.target import TlsFiles
from tests import forks
from tests.models import of_each_kind
from tests.rpcserver.tls_serving import make_certificates
from tests.servers import running


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return forks.run("rpcshell", arguments)


@pytest.mark.samples(1)
@of_each_kind
def test_the_shell_and_the_library_talk_to_a_server_over_tls(model: str, tmp_path: Path) -> None:
    files = make_certificates(tmp_path)
    with running("--model", model, "--workers", "2", *files.asking, app=None, folder=tmp_path) as server:
        target = server.addresses[0]
        assert target.startswith("tls://127.0.0.1:")
        own = ("--tls-ca", files.ca, "--tls-cert", files.client)
        told = run(target, *own, "-c", 'ping {"a": 1}', "-c", "blob size=3000000 | wc -c")
        assert (told.returncode, told.stderr) == (0, "")
        assert told.stdout.split() == ['{"a":1}', "3000003"]
        tls = TlsFiles(ca=str(files.ca), cert=str(files.client))
        with connect(target, tls=tls) as client:
            assert [client.call("ping", number) for number in range(3)] == [0, 1, 2]

        async def several() -> list[object]:
            async with connect_async(target, tls=tls) as client:
                return list(await asyncio.gather(*(client.call("ping", number) for number in range(3))))

        assert asyncio.run(several()) == [0, 1, 2]
        nameless = run(target, "--tls-ca", files.ca, "-c", "ping 1")
        assert nameless.returncode == 3
        assert "client certificate" in nameless.stderr
        assert nameless.stderr.count("\n") == 1
        with pytest.raises(TlsFailed, match="unknown issuer"):
            connect(target)
        plain = run(target.removeprefix("tls://"), "-c", "ping 1")
        assert plain.returncode == 3
        assert "tls://" in plain.stderr
