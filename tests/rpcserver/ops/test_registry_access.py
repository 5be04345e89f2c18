"""Who a server is to a registry: what the file of credentials may hold, and who may read it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from rpcserver.ops.registry_access import AclEntry, check_tls, read_credentials
from rpcserver.system.errors import TlsError
from rpcserver.system.settings import SettingsError

SECRET = "hunter2"  # noqa: S105


def written(folder: Path, text: str | bytes, mode: int = 0o600) -> Path:
    file = folder / "credentials.toml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    file.chmod(mode)
    return file


@pytest.mark.parametrize(
    ("text", "user", "acl"),
    [
        ("", None, ["world:anyone:cdrwa"]),
        (f'user = "calc"\npassword = "{SECRET}"', "calc", ["auth::cdrwa", "world:anyone:r"]),
        (f'user = "calc"\npassword = "{SECRET}"\nacl = ["auth::cdrwa"]', "calc", ["auth::cdrwa"]),
        ('acl = ["ip:10.0.0.0/8:rw", "digest:a:b=:c"]', None, ["ip:10.0.0.0/8:rw", "digest:a:b=:c"]),
    ],
)
def test_what_a_file_says(text: str, user: str | None, acl: list[str], tmp_path: Path) -> None:
    found = read_credentials(written(tmp_path, text))
    assert found.user == user
    assert [f"{entry.scheme}:{entry.id}:{entry.permissions}" for entry in found.acl] == acl
    assert SECRET not in repr(found)


def test_without_a_file_everybody_may_do_everything() -> None:
    assert read_credentials(None).acl == (AclEntry("world", "anyone", "cdrwa"),)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f'user = "{SECRET}', "is not TOML"),
        (b"\xff", "is not UTF-8"),
        (f"user = {'[' * 5000}", "is not TOML"),
        ('user = "calc"', "needs both user and password"),
        (f'password = "{SECRET}"', "needs both user and password"),
        (f'user = "a:b"\npassword = "{SECRET}"', "without a colon"),
        (f'user = ""\npassword = "{SECRET}"', "without a colon"),
        (f'user = 1\npassword = "{SECRET}"', "'user' must be a string"),
        (f'passwort = "{SECRET}"', "'passwort' is no setting"),
        ("acl = []", "has no entry"),
        ('acl = "world:anyone:r"', "'acl' must be a list of strings"),
        (f'acl = ["digest:{SECRET}"]', "write SCHEME:ID:cdrwa"),
        (f'acl = ["nonesuch:{SECRET}:r"]', "write SCHEME:ID:cdrwa"),
        ('acl = ["world:anyone:x"]', "write SCHEME:ID:cdrwa"),
        ('acl = ["auth::r"]', "there is none"),
    ],
)
def test_what_is_wrong_is_said_and_no_secret_with_it(text: str | bytes, reason: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=reason) as caught:
        read_credentials(written(tmp_path, text))
    assert str(tmp_path) in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("mode", [0o604, 0o606, 0o644, 0o602])
def test_a_file_that_others_may_read_is_refused(mode: int, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="chmod 600"):
        read_credentials(written(tmp_path, "", mode))


def test_a_group_may_read_what_is_roots(tmp_path: Path) -> None:
    file = written(tmp_path, "", 0o640)
    if os.geteuid() == 0:
        assert read_credentials(file).user is None
    else:
        with pytest.raises(SettingsError, match="chmod 600"):
            read_credentials(file)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        read_credentials(tmp_path / "nothing")
    with pytest.raises(SettingsError, match="Is a directory"):
        read_credentials(tmp_path)


@given(st.text() | st.lists(st.text(), max_size=3).map(lambda entries: f"acl = {entries!r}".replace("'", '"')))
def test_whatever_a_file_holds_it_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    file = written(tmp_path_factory.getbasetemp(), text.encode("utf-8", "surrogatepass"))
    try:
        read_credentials(file)
    except SettingsError as error:
        assert str(error)


def test_files_for_tls_are_tried_out(tmp_path: Path) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("calc")
    ca, cert, key, bad = (tmp_path / name for name in ("ca.pem", "cert.pem", "key.pem", "bad.pem"))
    authority.cert_pem.write_to_path(ca)
    issued.cert_chain_pems[0].write_to_path(cert)
    issued.private_key_pem.write_to_path(key)
    bad.write_text("nothing")
    check_tls(None, None, None)
    check_tls(ca, cert, key)
    for files in (
        (bad, None, None),
        (tmp_path / "none", None, None),
        (ca, cert, None),
        (ca, bad, key),
        (ca, cert, bad),
    ):
        with pytest.raises(TlsError):
            check_tls(*files)
