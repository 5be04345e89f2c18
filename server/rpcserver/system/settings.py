"""The settings of a server, and reading them from a TOML file.

Which source wins (command line, environment, file, default) is decided in `rpcserver.cli`, where each setting's
option, help text and bounds are.
"""

from __future__ import annotations

import math
import os
import re
import sys
from typing import TYPE_CHECKING, Any, Final

import msgspec

from rpcserver.system.addresses import NATIVE, Bind, TcpBind, is_wildcard, parse_bind
from rpcserver.system.contents import read_contents
from rpcserver.system.errors import ServerError
from rpcserver.system.near_names import near_names
from rpcwire import MAX_REQUEST

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from rpcserver.system.proxy_protocol import TrustedProxies
    from rpcwire.serverset import ServersetAddress

_MIN_WORKERS: Final = 4
_REGISTRY_SETTLE: Final = 0.3
_SMALLEST_FRAME: Final = 2
_LARGEST_FRAME: Final = (1 << 32) - 1
_UNITS: Final = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_IN_WORDS: Final[dict[object, str]] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    str | list[str]: "a text or a list of texts",
}
"""The types that settings may have in a file."""

_FOUND: Final = (
    (bool, "true or false"),
    (int, "a whole number"),
    (float, "a number"),
    (str, "a text"),
    (list, "a list"),
    (dict, "a table"),
)
"""What may be there in their place; a boolean is an int to Python."""


class SettingsError(ServerError):
    """A configuration that cannot be used.

    Attributes:
        reason: what is wrong and what would be right.
        source: the file, where one is to blame.
        line: the line in it, from 1.
    """

    def __init__(self, reason: str, *, source: Path | None = None, line: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.source = source
        self.line = line

    def __str__(self) -> str:
        if self.source is None:
            return self.reason
        place = str(self.source) if self.line is None else f"{self.source}:{self.line}"
        return f"{place}: {self.reason}"


class ServerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a server can be told; what each is for, the options of the command say.

    Durations are in seconds, and 0 means without a limit.
    """

    app: str | None = None
    """None is the demo."""
    bind: tuple[Bind, ...] = (TcpBind("127.0.0.1", 8080),)
    workers: int = 1
    model: str = "sync"
    threads: int = 8
    queue: int = 64
    max_children: int = 64
    max_connections: int = 1024
    """A sync worker has one."""
    timeout: float = 60.0
    max_connection_age: float = 0.0
    max_requests: int = 0
    max_requests_jitter: int = 0
    """At random, so that workers are not replaced all at once."""
    reclaim_idle: float = 5.0
    backlog: int = 1024
    unix_mode: int = 0o600
    tls_cert: Path | None = None
    """Without one TCP addresses are plain."""
    tls_key: Path | None = None
    tls_client_ca: Path | None = None
    max_frame: int = MAX_REQUEST
    """Bytes."""
    max_buffered: int = 16 * MAX_REQUEST
    """Bytes of large requests in each worker."""
    idle_timeout: float = 300.0
    read_timeout: float = 30.0
    write_timeout: float = 30.0
    start_timeout: float = 60.0
    drain_timeout: float = 30.0
    """0 is not at all."""
    drain_grace: float = 1.0
    drain_settle: float | None = None
    """None is not at all, but for what clients of a registry need."""
    debug: bool = False
    control: str = "auto"
    """A path, `auto` or `none`."""
    proxy_protocol: TrustedProxies | None = None
    metrics: TcpBind | None = None
    health: Bind | None = None
    register: ServersetAddress | None = None
    advertise: TcpBind | None = None
    """Port 0 is that of the listener."""
    register_credentials: Path | None = None
    register_session: float = 5.0
    register_ca: Path | None = None
    register_cert: Path | None = None
    register_key: Path | None = None
    reload: bool = False
    preload: bool = False
    access_log: bool = False

    @property
    def settle(self) -> float:
        """For how long the server serves on after it was told to stop gracefully, in seconds."""
        if self.drain_settle is None:
            return 0.0 if self.register is None else _REGISTRY_SETTLE
        return self.drain_settle


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0))


def default_workers(*, concurrent: bool) -> int:
    """How many workers there are unless told: one a processor, where each serves many connections.

    Another one serves one connection at a time, and waits for its client most of that time. It should have as many as
    there are clients; who does not say how many these are has twice the processors and one more, at least four.
    """
    return processors() if concurrent else max(_MIN_WORKERS, 2 * processors() + 1)


def checked_seconds(seconds: float | None) -> float | None:
    """Check a duration, where there is one.

    Raises:
        ValueError: it is no number; ranges let NaN through, since it compares with nothing.
    """
    if seconds is not None and math.isnan(seconds):
        raise ValueError("NaN is no duration")
    return seconds


def parse_size(text: str) -> int:
    """Read the size of a frame: `1048576`, `64K`, `16M` or `1GiB`.

    Raises:
        ValueError: it is none, or no size for a frame.
    """
    size = parse_budget(text)
    if not _SMALLEST_FRAME <= size <= _LARGEST_FRAME:
        raise ValueError(f"{text!r} is out of range: a frame has 2 bytes to 4 GiB less one")
    return size


def parse_budget(text: str) -> int:
    """Read a number of bytes, of which 0 is no limit, as `parse_size` does.

    Raises:
        ValueError: it is none.
    """
    found = re.fullmatch(r"([0-9]+)\s*([kmg]?)(?:i?b)?", text.strip().lower())
    if not found:
        raise ValueError(f"{text!r} is no size: write bytes, or 64K, 16M, 1G")
    return min(int(found[1]) * _UNITS[found[2]], sys.maxsize)


def parse_control(text: str) -> str:
    """Read where the control socket goes: a path, `auto` or `none`.

    Raises:
        ValueError: it is none of them.
    """
    if not text or "\0" in text or text.startswith("@"):
        # To an abstract name anybody may connect.
        raise ValueError("write a path, as in /run/calc/control.sock, or auto, or none")
    return text


def parse_metrics(text: str | None) -> TcpBind | None:
    """Read where metrics are served: `HOST:PORT` or `[IPV6]:PORT`.

    Raises:
        ValueError: it is no such address.
    """
    if text is None:
        return None
    bind = parse_bind(text)
    if not isinstance(bind, TcpBind) or bind.framing != NATIVE:
        raise ValueError(f"{text!r} is no TCP address: write HOST:PORT, as in 127.0.0.1:9100")
    return bind


def parse_health(text: str | None) -> Bind | None:
    """Read where balancers ask how the server is: `HOST:PORT`, `[IPV6]:PORT` or `unix:PATH`.

    Raises:
        ValueError: it is no such address.
    """
    bind = None if text is None else parse_bind(text)
    if bind is not None and bind.framing != NATIVE:
        raise ValueError(f"{text!r} has a framing, and HTTP has its own: write HOST:PORT or unix:PATH")
    return bind


def parse_registry(text: str | None) -> ServersetAddress | None:
    """Read where the server is registered: `zk://HOST:PORT,HOST:PORT/path`, or `zks://` for TLS.

    Raises:
        ValueError: it is no such address.
    """
    if text is None:
        return None
    # Few servers are registered.
    from rpcwire.serverset import ServersetAddress

    return ServersetAddress.parse(text)


def parse_advertised(text: str | None) -> TcpBind | None:
    """Read as what the server is registered: `HOST:PORT`, or `HOST` for the port that it listens on.

    Raises:
        ValueError: it is no address that clients could connect to.
    """
    if text is None:
        return None
    from rpcwire.serverset import is_host

    whole = text if re.search(r"[^:\]]:[0-9]+$|\]:[0-9]+$", text) else f"{text}:0"
    bind = parse_bind(whole)
    if not isinstance(bind, TcpBind) or bind.framing != NATIVE or not is_host(bind.host):
        raise ValueError(f"{text!r} is no address of a machine: write HOST:PORT, as in 10.0.0.1:8080, or HOST")
    if is_wildcard(bind.host):
        raise ValueError(f"{text!r} is every address of this machine: name the one that clients connect to")
    return bind


def parse_proxies(text: str | None) -> TrustedProxies | None:
    """Read whose PROXY headers are taken; see `parse_trusted`.

    Raises:
        ValueError: it names no addresses.
    """
    if text is None:
        return None
    # What knows networks takes a while to import, and few servers stand behind a proxy.
    from rpcserver.system.proxy_protocol import parse_trusted

    return parse_trusted(text)


def parse_mode(text: str) -> int:
    """Read the permissions of a file: `600` or `0o600`.

    Raises:
        ValueError: it is no such thing.
    """
    if not re.fullmatch(r"(0o?)?[0-7]{3}", text):
        raise ValueError(f"{text!r} is no file mode: write three octal digits, as in 660")
    return int(text.removeprefix("0o"), 8)


def read_file(path: Path, known: Mapping[str, Any]) -> dict[str, object]:
    """Read settings from a TOML file whose keys are the names of the options: `drain-timeout = 10`.

    Args:
        path: the file.
        known: the type of each setting.

    Returns:
        The settings by the names of their fields, with underscores.

    Raises:
        SettingsError: the file cannot be read, is no TOML, or holds what is no setting.
    """
    import tomllib

    try:
        # Editors on Windows begin files with a mark of their encoding, which is no TOML.
        text = read_contents(path).decode("utf-8-sig")
    except OSError as error:
        raise SettingsError(f"it cannot be read: {(error.strerror or str(error)).lower()}", source=path) from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise SettingsError("it is not UTF-8", source=path, line=line) from error
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        # Beside those of tomllib, that a number has too many digits for Python, or brackets are nested too deeply.
        found = re.search(r" \(at line (\d+), column (\d+)\)$", str(error))
        what = str(error)[: found.start()] if found else str(error)
        if what.endswith(r"character '\n'"):
            what = "the quote is not closed on its line"
        if path.suffix == ".py":
            what += "; settings are TOML here, no Python (--config-reference prints what there is)"
        reason = f"this is not TOML{f' at column {found[2]}' if found else ''}: {what[:1].lower()}{what[1:]}"
        raise SettingsError(reason, source=path, line=int(found[1]) if found else None) from error
    settings: dict[str, object] = {}
    for key, value in document.items():
        name = key.replace("-", "_")
        if name not in known:
            near = near_names(name, known, limit=1)
            hint = f"did you mean {near[0].replace('_', '-')}?" if near else "--config-reference prints what there is"
            raise SettingsError(f"{key} means nothing ({hint})", source=path, line=line_of(text, key))
        try:
            settings[name] = msgspec.convert(value, known[name])
        except msgspec.ValidationError:
            there = next((words for kind, words in _FOUND if isinstance(value, kind)), "that")
            wanted = _IN_WORDS[known[name]]
            reason = f"what is in {key} is a text" if isinstance(value, list) else f"{key} is {wanted}, not {there}"
            raise SettingsError(reason, source=path, line=line_of(text, key)) from None
    return settings


def line_of(text: str, key: str) -> int | None:
    """Return the number of the line on which a TOML document sets a top-level key, from 1, if it can be told."""
    pattern = re.compile(rf"""\s*\[?\s*["']?{re.escape(key)}["']?\s*[=.\]]""")
    return next((number for number, line in enumerate(text.splitlines(), 1) if pattern.match(line)), None)
