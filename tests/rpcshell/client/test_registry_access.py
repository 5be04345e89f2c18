"""How a client is let into the registry of its fleet: by TLS that is verified, and as a user with a password."""

from __future__ import annotations

import contextlib
import gc
import json
import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from rpcshell import ServersetTarget, TlsFailed, TlsFiles, UsageError, connect
from rpcshell.client.fleet.serverset_source import read_credentials
from rpcshell.client.fleet.sources import Source, source_of
from tests.rpcserver.test_registration import tls_before
from tests.rpcshell.client.test_fleet_clients import named
from tests.rpcshell.client.test_registries import register
from tests.rpcshell.faces import Connect
from tests.rpcshell.peers import DEADLINE, serving
from tests.servers import until
from tests.zookeeper import Serverset

SECRET = "hunter2-is-no-password"  # noqa: S105

pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


@pytest.fixture(autouse=True)
def _nothing_of_kazoo_is_left() -> Iterator[None]:
    """kazoo may leave a connection open that it is stopped in; the next test is not to be told of it."""
    yield
    gc.collect()


def written(folder: Path, text: str | bytes, mode: int = 0o600) -> str:
    file = folder / "reader.toml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    file.chmod(mode)
    return str(file)


def says(source: Source | None, words: str) -> None:
    """Hold that a registry tells nothing, and comes to say why."""
    assert source is not None
    others = set(threading.enumerate())
    source.start(lambda listed: pytest.fail(f"told of {listed}"))
    try:
        until(lambda: words in source.problem())
    finally:
        source.stop()
        for thread in set(threading.enumerate()) - others:
            thread.join(DEADLINE)


@pytest.fixture
def protected(serverset: Serverset) -> Serverset:
    """A path that one user may read."""
    from kazoo.security import make_digest_acl

    serverset.client.add_auth("digest", f"reader:{SECRET}")
    serverset.client.ensure_path(serverset.path)
    serverset.client.set_acls(serverset.path, [make_digest_acl("reader", SECRET, all=True)])
    return serverset


def test_the_registry_may_speak_tls(serverset: Serverset, tmp_path: Path, connect: Connect) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    with serving(named("a")) as server, tls_before(serverset.hosts, authority) as port:
        register(serverset, server)
        url = f"zks://localhost:{port}{serverset.path}"
        with connect(url, tls=TlsFiles(ca=str(tmp_path / "ca.pem"))) as client:
            assert client.call("who") == "a"


def test_a_registry_that_is_not_trusted_is_told_as_that(serverset: Serverset) -> None:
    with tls_before(serverset.hosts, trustme.CA()) as port:
        says(source_of(ServersetTarget(f"zks://localhost:{port}{serverset.path}"), None), "certificate verify failed")


def test_a_file_for_tls_that_cannot_be_used_is_named() -> None:
    with pytest.raises(TlsFailed, match=r"nothing\.pem"):
        connect("zks://127.0.0.1/calc", tls=TlsFiles(ca="nothing.pem"))


def test_only_the_user_who_may_read_finds_the_servers_and_nothing_says_the_password(
    protected: Serverset, tmp_path: Path, caplog: pytest.LogCaptureFixture, connect: Connect
) -> None:
    caplog.set_level(logging.DEBUG)
    credentials = written(tmp_path, f'user = "reader"\npassword = "{SECRET}"\nacl = ["auth::r"]')
    target = ServersetTarget(protected.url, credentials=credentials)
    with serving(named("a")) as server:
        register(protected, server)
        with connect(target) as client:
            assert client.call("who") == "a"
            said = repr(client)
        says(source_of(ServersetTarget(protected.url), None), "does not let this client read there")
    assert SECRET not in f"{caplog.text}{said}{target}{target!r}"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f'user = "{SECRET}', "has no credentials"),
        (b"\xff", "is not UTF-8"),
        (f"user = {'[' * 5000}", "has no credentials"),
        ('user = "calc"', "missing required field `password`"),
        (f'user = "a:b"\npassword = "{SECRET}"', "without a colon"),
        (f'user = "a"\npasswort = "{SECRET}"', "unknown field `passwort`"),
    ],
)
def test_a_file_without_credentials_is_refused_without_repeating_it(
    text: str | bytes, reason: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=reason) as caught:
        read_credentials(written(tmp_path, text))
    assert SECRET not in str(caught.value)


def test_a_file_that_others_may_read_or_that_is_none_is_refused(tmp_path: Path) -> None:
    text = f'user = "a"\npassword = "{SECRET}"'
    with pytest.raises(UsageError, match="others may read it"):
        read_credentials(written(tmp_path, text, 0o604))
    if os.geteuid() == 0:
        assert read_credentials(written(tmp_path, text, 0o640)) == f"a:{SECRET}"
    for path in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(UsageError, match="cannot be read"):
            read_credentials(str(path))


WRITTEN = st.tuples(st.text(), st.text()).map(
    lambda words: "user = {}\npassword = {}".format(*map(json.dumps, words)).encode()
)


@given(st.binary() | st.text().map(str.encode) | WRITTEN)
def test_any_file_has_credentials_or_is_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "any.toml"
    file.touch(0o600)
    file.write_bytes(data)
    with contextlib.suppress(UsageError):
        assert ":" in read_credentials(str(file))
