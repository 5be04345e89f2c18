"""Addresses as people write them: hosts, ports, paths of sockets, commands of children, checked.

What is none raises a `UsageError`, which names the whole `text` of the target that it is in.
"""

from __future__ import annotations

import re
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rpcshell.client.errors import UsageError

if TYPE_CHECKING:
    from urllib.parse import SplitResult

FORMS: Final = (
    "write host:port, port, [v6]:port, unix:/path, tls://host:port or exec:COMMAND, after DIALECT: if it has one; "
    "or many: host:port,host:port, zk://host/path, srv://_service._tcp.name, dns://name:port"
)
"""What targets look like."""

_HOST: Final = re.compile(r"[\w.-]{1,253}")
_ZONE: Final = re.compile(r"[\w.-]+")
_ADDRESS_AND_MORE: Final = r"(?P<address>(?:\w[\w.-]*|\[[\da-fA-F:.]+\]):\d{1,5})/(?P<more>.*)"
_SERVICE: Final = r"(?a)_[\w-]{1,62}\._tcp(?:\.[\w-]{1,63})+\.?"
_LAST_PORT: Final = 65535
# sockaddr_un.sun_path holds 108 bytes with its final NUL on Linux, 104 on macOS (unix(7)).
_LONGEST_PATH: Final = 103
# Abstract names are Linux's alone, and the NUL is their first byte.
_LONGEST_NAME: Final = 108


def refuse_user(address: str) -> None:
    """Refuse what may have a password in it, without repeating it."""
    if "@" in address:
        raise UsageError("a target takes no user and no password", hint=FORMS)


def host_and_port(address: str, text: str) -> tuple[str, int]:
    """The host, which is this one where there is none, and the port of an address.

    Raises:
        UsageError: It is none.
    """
    refuse_user(address)
    if address.startswith("["):
        return _bracketed(address, text)
    host, colon, port = address.rpartition(":")
    if not colon and not address.isdecimal():
        if not address:
            raise UsageError("an empty target" if not text else f"target {text!r} has no host and port", hint=FORMS)
        raise UsageError(f"target {text!r} has no port", hint=FORMS)
    if ":" in host:
        raise UsageError(f"target {text!r} has several colons", hint="put an IPv6 address in brackets: [::1]:8080")
    if host and not _HOST.fullmatch(host):
        raise UsageError(f"{host!r} is not a host name", hint=FORMS)
    return host or "localhost", _port(port, text)


def service_name(name: str, text: str) -> str:
    """The name of a service in the DNS, as it is.

    Raises:
        UsageError: It is none.
    """
    if not re.fullmatch(_SERVICE, name):
        raise UsageError(f"{text!r} names no service in the DNS", hint="write srv://_service._tcp.name")
    return name


def command_words(command: str, text: str) -> tuple[str, ...]:
    """A child's program and its arguments.

    Raises:
        UsageError: They do not parse, or there are none.
    """
    import shlex

    try:
        argv = tuple(shlex.split(command))
    except ValueError as error:
        raise UsageError(f"the command in target {text!r} does not parse: {error}") from error
    if not argv or "\0" in command:
        raise UsageError(f"target {text!r} names no command", hint="write exec:COMMAND ARG ...")
    return argv


def checked_url(text: str) -> str:
    """A URL of a server, with its scheme, as it is.

    Raises:
        UsageError: It is none, or has a user and a password.
    """
    try:
        parts = url_parts(text)
        port = parts.port
    except ValueError as error:
        raise UsageError(f"{text!r} is no URL: {error}") from error
    if not parts.hostname or port == 0 or not text.isascii() or not text.isprintable() or " " in text:
        raise UsageError(f"{text!r} is no URL of a server", hint="write http://host:port/path")
    if parts.username is not None:
        raise UsageError("a URL with a user and a password would be shown and remembered", hint="use a header")
    return text


def checked_path(text: str) -> str:
    """A path without `unix:` before it, as it is.

    Raises:
        UsageError: It is an address with something behind it, as URLs have it.
    """
    if found := re.fullmatch(_ADDRESS_AND_MORE, text):
        address, method = found["address"], found["more"].strip("/").replace("/", ".")
        hint = f"a method is a word of its own: {address} {method}" if method else f"write {address}"
        raise UsageError(f"{text!r} has more than a host and a port", hint=f"{hint}; unix:{text} is a socket")
    return text


def socket_path(path: str, text: str) -> str:
    """The absolute path of a Unix socket, or its abstract name with an @ before it, as `socket_names` writes them.

    Raises:
        UsageError: It names none, or one that is too long.
    """
    abstract = path.startswith("@")
    if path in {"", "@"} or "\0" in path or (path.endswith("/") and not abstract):
        raise UsageError(f"target {text!r} names no socket", hint="write unix:/path/to/socket or unix:@name")
    if abstract and sys.platform != "linux":
        raise UsageError(f"abstract sockets are Linux's: {text!r}", hint="write unix:./@name for a file of that name")
    try:
        absolute = name_of_socket(path if abstract else str(Path.cwd() / path))
        length = len(absolute.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError as error:
        raise UsageError(f"target {text!r} is not valid Unicode") from error
    except OSError as error:
        raise UsageError(f"{path!r} cannot be found from here: {error.strerror}") from error
    longest = _LONGEST_NAME if abstract else _LONGEST_PATH
    if length > longest:
        raise UsageError(
            f"the socket path is {length} bytes long and the system takes {longest}: {absolute!r}",
            hint="use a shorter path",
        )
    return path_of_socket(absolute)


def name_of_socket(path: str) -> str:
    """The path of a Unix socket for system calls: bytes that are no UTF-8 may be written in it (`socket_names`)."""
    if "\\udc" not in path:
        return path
    from rpcwire.socket_names import meant_name

    return meant_name(path)


def path_of_socket(name: str) -> str:
    """The path of a Unix socket as it is written, of one as the system tells it."""
    if name.isascii():
        return name
    from rpcwire.socket_names import written_name

    return written_name(name)


def _bracketed(address: str, text: str) -> tuple[str, int]:
    host, closed, rest = address[1:].partition("]")
    if not closed or not rest.startswith(":"):
        raise UsageError(f"target {text!r} has no port after its brackets", hint="write [v6]:port, as in [::1]:8080")
    number, percent, zone = host.partition("%")
    try:
        socket.inet_pton(socket.AF_INET6, number)
    except (OSError, ValueError):
        raise UsageError(f"{host!r} is not an IPv6 address", hint="write [v6]:port, as in [::1]:8080") from None
    if percent and not _ZONE.fullmatch(zone):
        raise UsageError(f"{zone!r} is not an interface name in target {text!r}")
    return host, _port(rest[1:], text)


def _port(digits: str, text: str) -> int:
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= len(str(_LAST_PORT))):
        raise UsageError(f"{digits!r} is not a port in target {text!r}", hint=FORMS)
    port = int(digits)
    if not 1 <= port <= _LAST_PORT:
        raise UsageError(f"port {port} is out of range in target {text!r}", hint=f"ports go from 1 to {_LAST_PORT}")
    return port


def url_parts(url: str) -> SplitResult:
    """The parts of a URL; raises `ValueError` where it is none."""
    # Few targets are URLs.
    from urllib.parse import urlsplit

    return urlsplit(url)
