"""What a server needs to be let into a registry: credentials and an ACL from a file, and the files of TLS.

They are read when the server starts, so that what is wrong is said at once, and forgotten; the companion that talks to
the registry reads them again. So no worker holds a password.
"""

from __future__ import annotations

import importlib.util
import os
import re
import stat
import tomllib
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from rpcserver.system.errors import ServerError, TlsError
from rpcserver.system.inherited import named_folder
from rpcserver.system.settings import SettingsError, line_of
from rpcwire.credentials import LARGEST_CREDENTIALS, is_exposed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rpcserver.system.settings import ServerSettings
    from rpcwire.serverset import ServersetAddress

T = TypeVar("T")

_SCHEMES: Final = ("world", "auth", "digest", "ip", "x509", "sasl", "super")
_ENTRY: Final = re.compile(rf"({'|'.join(_SCHEMES)}):(.*):([cdrwa]+)", re.DOTALL)
_FOR_ALL: Final = ("world:anyone:cdrwa",)
_FOR_THE_USER: Final = ("auth::cdrwa", "world:anyone:r")


class RegistryUnavailable(ServerError):
    """The server cannot be registered, because kazoo is not installed."""

    def __str__(self) -> str:
        return "--register needs the package kazoo: pip install 'rpcshell[zookeeper]'"


class RegistryAccess:
    """Where the registry is, and the files that say who this server is to it.

    Raises:
        RegistryUnavailable: a package is missing.
        SettingsError: the file of credentials cannot be used.
        TlsError: a file for TLS cannot be used.
    """

    def __init__(self, settings: ServerSettings, address: ServersetAddress) -> None:
        if importlib.util.find_spec("kazoo") is None:
            raise RegistryUnavailable
        # The companion may be started again, when the folder's name may lead elsewhere.
        folder = named_folder()
        named = (settings.register_credentials, settings.register_ca, settings.register_cert, settings.register_key)
        self.address = address
        self.session = settings.register_session
        self.credentials, self.ca, self.cert, self.key = (file and folder / file for file in named)
        read_credentials(self.credentials)
        if address.tls:
            check_tls(self.ca, self.cert, self.key)


class AclEntry(msgspec.Struct, frozen=True):
    """Who may do what: a scheme, whom it means, and letters of `cdrwa` (create, delete, read, write, admin)."""

    scheme: str
    id: str
    permissions: str


class Credentials(msgspec.Struct, frozen=True):
    """Who the server is to the registry, and who may do what with the nodes that it makes there."""

    user: str | None
    password: str
    acl: tuple[AclEntry, ...]

    def __repr__(self) -> str:
        return f"Credentials(user={self.user!r})"


def read_credentials(path: Path | None) -> Credentials:
    """Read `user`, `password` and `acl` from a TOML file.

    The ACL is a list of entries as zkCli writes them: `["auth::cdrwa", "world:anyone:r"]`, which is also what counts
    where there is a user and no ACL. Without a file there is no user, and everybody may do everything.

    Raises:
        SettingsError: it cannot be read, others may read it, or it holds something else.
    """
    if path is None:
        return Credentials(None, "", _acl(_FOR_ALL))
    text = _read_secret(path)
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        # Also of what Python cannot hold, such as brackets that are nested too deeply.
        # The message repeats no more than a character of the file.
        raise SettingsError(f"is not TOML: {error}", source=path) from None

    def wrong(key: str, reason: str) -> SettingsError:
        return SettingsError(f"{key!r} {reason}", source=path, line=line_of(text, key))

    def taken(key: str, kind: type[T], words: str) -> T | None:
        try:
            return msgspec.convert(document[key], kind) if key in document else None
        except msgspec.ValidationError:
            raise wrong(key, f"must be {words}") from None

    for key in document:
        if key not in {"user", "password", "acl"}:
            raise wrong(key, "is no setting: there are user, password and acl")
    user = taken("user", str, "a string")
    password = taken("password", str, "a string")
    entries: Sequence[str] | None = taken("acl", list[str], "a list of strings")
    if (user is None) != (password is None):
        raise SettingsError("needs both user and password, or neither", source=path)
    if user is not None and (not user or ":" in user):
        raise wrong("user", "must be a name without a colon")
    if entries is not None and user is None and any(entry.startswith("auth:") for entry in entries):
        raise wrong("acl", "names the user with auth:, and there is none")
    if entries is None:
        entries = _FOR_ALL if user is None else _FOR_THE_USER
    try:
        acl = _acl(entries)
    except ValueError as error:
        raise wrong("acl", str(error)) from None
    return Credentials(user, password or "", acl)


def check_tls(ca: Path | None, cert: Path | None, key: Path | None) -> None:
    """Try out the files that TLS to the registry takes.

    Raises:
        TlsError: one of them cannot be used.
    """
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if ca is not None:
        try:
            context.load_verify_locations(ca)
        except OSError as error:
            raise TlsError(ca, f"holds no authorities in PEM form that can be read: {error.strerror}") from None
    if cert is not None:
        try:
            # A key with a password would have a person asked for it.
            context.load_cert_chain(cert, key, password="")
        except OSError as error:
            holder = key if key is not None and not isinstance(error, ssl.SSLError) and cert.exists() else cert
            reason = f"cannot be used with its key, which must be its own and without a password: {error.strerror}"
            raise TlsError(holder, reason) from None


def _read_secret(path: Path) -> str:
    try:
        # A pipe that nobody writes to would be waited for.
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise SettingsError("is no file", source=path)
            if is_exposed(found):
                raise SettingsError("holds a password, and others may read it: chmod 600", source=path)
            return file.read(LARGEST_CREDENTIALS).decode("utf-8-sig")
    except OSError as error:
        raise SettingsError(f"cannot be read: {error.strerror}", source=path) from error
    except UnicodeDecodeError:
        raise SettingsError("is not UTF-8 text", source=path) from None


def _acl(entries: Sequence[str]) -> tuple[AclEntry, ...]:
    if not entries:
        raise ValueError("has no entry: nobody could do anything")
    found = [match for entry in entries if (match := _ENTRY.fullmatch(entry))]
    if len(found) < len(entries):
        # It is not repeated, for it may hold the digest of a password.
        raise ValueError('has an entry of another form: write SCHEME:ID:cdrwa, as in ["auth::cdrwa", "world:anyone:r"]')
    return tuple(AclEntry(*match.groups()) for match in found)
